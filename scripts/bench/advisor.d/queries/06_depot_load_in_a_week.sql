SELECT r.name AS region, date_trunc('day', t.event_at) AS day, count(*) AS events,
       count(DISTINCT t.vehicle_id) AS vehicles
FROM tracking t
  JOIN depot d ON d.depot_id = t.depot_id
  JOIN region r ON r.region_id = d.region_id
WHERE t.event_at >= '2023-11-20' AND t.event_at < '2023-11-27' AND d.kind = 'hub'
GROUP BY 1, 2
ORDER BY 1, 2
