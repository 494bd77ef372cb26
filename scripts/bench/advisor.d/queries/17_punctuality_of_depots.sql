SELECT d.depot_id, d.city, count(*) AS delivered,
       avg((s.delivered_at::date > s.due_on)::int)::numeric(4, 3) AS late
FROM shipment s JOIN depot d ON d.depot_id = s.target_id
WHERE s.delivered_at >= '2024-07-01' AND s.delivered_at < '2024-08-01' AND s.service = 'express'
GROUP BY d.depot_id
HAVING count(*) >= 20
ORDER BY late DESC, d.depot_id
LIMIT 25
