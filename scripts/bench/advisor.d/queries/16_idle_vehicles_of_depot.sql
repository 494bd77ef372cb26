SELECT v.vehicle_id, v.plate, v.model,
       (SELECT max(t.event_at) FROM tracking t WHERE t.vehicle_id = v.vehicle_id) AS last_seen
FROM vehicle v
WHERE v.depot_id = 33 AND v.retired_on IS NULL
ORDER BY last_seen NULLS FIRST
