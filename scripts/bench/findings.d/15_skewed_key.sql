-- One key has half of the rows, and is looked up through another table.
-- expect: row_misestimate
-- setup
CREATE TABLE merchants (id int PRIMARY KEY, code text NOT NULL UNIQUE);
CREATE TABLE payments (id int PRIMARY KEY, merchant_id int NOT NULL, card_id int NOT NULL, amount int NOT NULL);
CREATE TABLE cards (id int PRIMARY KEY, brand text NOT NULL, number text NOT NULL);
INSERT INTO merchants SELECT g, 'M' || g FROM generate_series(1, 5000) g;
INSERT INTO cards SELECT g, 'brand ' || g % 4, repeat('n', 50) FROM generate_series(1, 50000) g;
INSERT INTO payments
SELECT g, CASE WHEN g % 2 = 0 THEN 1 ELSE g % 5000 + 1 END, (g * 7919::bigint) % 50000 + 1, g % 90
  FROM generate_series(1, 80000) g;
CREATE INDEX payments_merchant ON payments (merchant_id);
VACUUM ANALYZE merchants, payments, cards;
-- query
SELECT c.brand, sum(p.amount)
  FROM merchants m JOIN payments p ON p.merchant_id = m.id JOIN cards c ON c.id = p.card_id
 WHERE m.code = 'M1'
 GROUP BY c.brand;
