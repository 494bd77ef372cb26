SELECT shipment_id, created_at, service, status, price
FROM shipment
WHERE client_id = 4711
ORDER BY created_at DESC
LIMIT 20
