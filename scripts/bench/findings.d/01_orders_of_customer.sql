-- A shop's "my orders" page: the foreign key column has no index.
-- expect: missing_index
-- setup
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, placed_at timestamp NOT NULL,
	total numeric(10,2) NOT NULL, note text NOT NULL);
INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 20000) g;
INSERT INTO orders
SELECT g, (g * 7919::bigint) % 20000 + 1, timestamp '2024-01-01' + g * interval '1 minute',
	g % 500, repeat('x', 60)
  FROM generate_series(1, 400000) g;
VACUUM ANALYZE customers, orders;
-- query
SELECT c.name, o.placed_at, o.total
  FROM customers c JOIN orders o ON o.customer_id = c.id
 WHERE c.id = 4711
 ORDER BY o.placed_at DESC;
