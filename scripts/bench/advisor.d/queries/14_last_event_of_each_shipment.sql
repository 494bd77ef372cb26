SELECT reference, event, event_at, depot_id
FROM (SELECT s.reference, t.event, t.event_at, t.depot_id,
             row_number() OVER (PARTITION BY t.shipment_id ORDER BY t.event_at DESC) AS nth
      FROM shipment s JOIN tracking t USING (shipment_id)
      WHERE s.target_id = 77 AND s.due_on BETWEEN '2024-11-04' AND '2024-11-08') x
WHERE nth = 1
ORDER BY event_at
