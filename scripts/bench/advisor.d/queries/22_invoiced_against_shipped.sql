SELECT c.client_id, c.company, i.invoiced, s.shipped
FROM client c
  JOIN (SELECT client_id, sum(amount) AS invoiced FROM invoice
        WHERE period = '2024-05-01' GROUP BY client_id) i USING (client_id)
  JOIN (SELECT client_id, sum(price) AS shipped FROM shipment
        WHERE created_at >= '2024-05-01' AND created_at < '2024-06-01' GROUP BY client_id) s USING (client_id)
WHERE c.segment IN ('key', 'contract') AND i.invoiced > 5 * s.shipped
ORDER BY i.invoiced - s.shipped DESC
