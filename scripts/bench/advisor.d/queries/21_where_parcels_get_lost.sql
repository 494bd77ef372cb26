SELECT d.code, d.city, count(*) AS lost, sum(s.price) AS value
FROM tracking t
  JOIN shipment s USING (shipment_id)
  JOIN depot d ON d.depot_id = t.depot_id
WHERE t.event = 'lost' AND t.event_at >= '2024-01-01'
GROUP BY d.depot_id
ORDER BY lost DESC, value DESC
LIMIT 20
