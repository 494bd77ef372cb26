-- Customers are deleted, and for each one the orders are searched: the foreign key has no index.
-- expect: trigger_share
-- setup
CREATE TABLE buyers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE baskets (id int PRIMARY KEY, buyer_id int NOT NULL REFERENCES buyers, content text NOT NULL);
INSERT INTO buyers SELECT g, 'buyer ' || g FROM generate_series(1, 5000) g;
INSERT INTO baskets SELECT g, g % 4900 + 1, repeat('c', 60) FROM generate_series(1, 150000) g;
VACUUM ANALYZE buyers, baskets;
-- query
DELETE FROM buyers WHERE id > 4992;
