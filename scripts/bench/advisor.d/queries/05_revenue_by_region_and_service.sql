SELECT r.country, r.zone, s.service, count(*) AS shipments, sum(s.price) AS revenue,
       avg(s.weight_kg) AS mean_weight
FROM shipment s
  JOIN client c ON c.client_id = s.client_id
  JOIN region r ON r.region_id = c.region_id
WHERE s.created_at >= '2024-10-01' AND s.created_at < '2024-11-01'
GROUP BY r.country, r.zone, s.service
ORDER BY revenue DESC
