SELECT c.client_id, c.company, c.email
FROM client c
WHERE c.segment = 'key'
  AND EXISTS (SELECT FROM shipment s JOIN claim k USING (shipment_id)
              WHERE s.client_id = c.client_id AND k.severity = 5
                AND k.opened_on BETWEEN '2024-09-01' AND '2024-09-30')
ORDER BY c.company
