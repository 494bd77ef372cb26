SELECT invoice_id, issued_on, due_on, amount, currency, dunning
FROM invoice
WHERE client_id = 8 AND paid_on IS NULL
ORDER BY issued_on
