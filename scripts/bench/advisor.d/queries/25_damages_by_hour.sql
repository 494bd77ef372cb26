SELECT extract(hour FROM event_at) AS hour, count(*) AS damaged
FROM tracking
WHERE note = 'damaged' AND event = 'handed over'
  AND event_at >= '2024-12-01' AND event_at < '2024-12-24'
GROUP BY 1
ORDER BY 1
