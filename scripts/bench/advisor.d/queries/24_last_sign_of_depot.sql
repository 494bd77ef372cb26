SELECT d.depot_id, d.code,
       (SELECT max(event_at) FROM tracking WHERE depot_id = d.depot_id) AS last_event,
       (SELECT min(event_at) FROM tracking WHERE depot_id = d.depot_id) AS first_event
FROM depot d
WHERE d.code = 'D0421'
