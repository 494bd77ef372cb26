SELECT client_id, company, segment, active
FROM client
WHERE lower(email) = 'orders.1234@client257.example'
