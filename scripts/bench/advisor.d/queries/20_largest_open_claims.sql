SELECT k.claim_id, k.reason, k.amount, k.opened_on, s.reference, d.city
FROM claim k
  JOIN shipment s USING (shipment_id)
  JOIN depot d ON d.depot_id = s.target_id
WHERE k.closed_on IS NULL AND k.severity >= 3
ORDER BY k.amount DESC
LIMIT 50
