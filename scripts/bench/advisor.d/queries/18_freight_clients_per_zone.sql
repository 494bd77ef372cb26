SELECT r.zone, count(DISTINCT s.client_id) AS clients, sum(s.price) AS revenue
FROM region r
  JOIN depot d ON d.region_id = r.region_id
  JOIN shipment s ON s.origin_id = d.depot_id
WHERE s.service = 'freight' AND s.created_at >= '2023-01-01' AND s.created_at < '2023-02-01'
GROUP BY r.zone
