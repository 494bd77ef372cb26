SELECT c.client_id, c.company, c.credit
FROM client c
WHERE c.segment = 'contract' AND c.active AND c.region_id = 7
  AND NOT EXISTS (SELECT FROM shipment s
                  WHERE s.client_id = c.client_id AND s.created_at >= '2024-10-01')
ORDER BY c.credit DESC NULLS LAST
