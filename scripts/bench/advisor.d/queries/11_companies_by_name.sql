SELECT c.client_id, c.company, count(s.shipment_id) AS shipments, max(s.created_at) AS latest
FROM client c LEFT JOIN shipment s ON s.client_id = c.client_id
WHERE c.company LIKE 'Terrapharm 11%'
GROUP BY c.client_id
ORDER BY c.company
