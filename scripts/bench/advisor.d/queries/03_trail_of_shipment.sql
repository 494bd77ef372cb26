SELECT t.event_at, t.event, d.code, d.city, v.plate, t.note
FROM tracking t JOIN depot d USING (depot_id) LEFT JOIN vehicle v USING (vehicle_id)
WHERE t.shipment_id = 12345
ORDER BY t.event_at
