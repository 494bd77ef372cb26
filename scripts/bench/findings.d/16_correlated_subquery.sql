-- A report that asks for each customer's figures one by one.
-- expect: correlated_subplan
-- setup
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE invoices (id int PRIMARY KEY, client_id int NOT NULL, amount int NOT NULL, paid boolean NOT NULL);
INSERT INTO clients SELECT g, 'client ' || g FROM generate_series(1, 15000) g;
INSERT INTO invoices
SELECT g, (g * 7919::bigint) % 15000 + 1, g % 1000, g % 3 = 0 FROM generate_series(1, 130000) g;
CREATE INDEX invoices_client ON invoices (client_id);
VACUUM ANALYZE clients, invoices;
-- query
SELECT c.id, c.name, (SELECT sum(i.amount) FROM invoices i WHERE i.client_id = c.id) AS total
  FROM clients c;
