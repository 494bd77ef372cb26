-- A count by an index-only scan of a vacuumed table.
-- healthy
-- setup
CREATE TABLE stock_moves (id int PRIMARY KEY, sku int NOT NULL, qty int NOT NULL, info text NOT NULL);
INSERT INTO stock_moves
SELECT g, (g * 7919::bigint) % 1000, g % 10, repeat('i', 100) FROM generate_series(1, 450000) g;
CREATE INDEX stock_moves_sku ON stock_moves (sku) INCLUDE (qty);
VACUUM ANALYZE stock_moves;
-- query
SELECT sku, sum(qty) FROM stock_moves WHERE sku BETWEEN 100 AND 500 GROUP BY sku;
