SELECT c.client_id, c.company, c.segment, count(*) AS open_invoices, sum(i.amount) AS debt,
       min(i.due_on) AS oldest
FROM invoice i JOIN client c USING (client_id)
WHERE i.paid_on IS NULL AND i.due_on < '2024-06-30' AND i.currency = 'EUR'
GROUP BY c.client_id
ORDER BY debt DESC
LIMIT 10
