SELECT s.shipment_id, s.status, s.service, s.created_at, s.due_on, s.delivered_at, c.company
FROM shipment s JOIN client c USING (client_id)
WHERE s.reference = 'REAC32F9559E'
