SELECT s.shipment_id, s.service, s.origin_id, s.target_id, s.due_on
FROM shipment s
WHERE (s.origin_id = 64 OR s.target_id = 64) AND s.due_on = '2024-08-14'
ORDER BY s.shipment_id
