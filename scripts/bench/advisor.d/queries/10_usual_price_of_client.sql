SELECT s.shipment_id, s.client_id, s.price, s.weight_kg,
       (SELECT avg(o.price) FROM shipment o
        WHERE o.client_id = s.client_id AND o.service = s.service) AS usual
FROM shipment s
WHERE s.created_at >= '2024-12-02' AND s.created_at < '2024-12-02 12:00'
  AND s.service = 'freight' AND s.origin_id = 1
ORDER BY s.price DESC
