SELECT s.shipment_id, s.reference, s.due_on, date '2024-12-31' - s.due_on AS days_late, c.company
FROM shipment s JOIN client c USING (client_id)
WHERE s.status IN ('created', 'in_transit') AND s.due_on < '2024-12-31' AND s.target_id = 12
ORDER BY s.due_on, s.shipment_id
