-- A nightly load: the staging table was never analyzed.
-- expect: missing_statistics
-- setup
CREATE TABLE prices (sku int PRIMARY KEY, price int NOT NULL, comment text NOT NULL);
INSERT INTO prices SELECT g, g % 700, repeat('c', 60) FROM generate_series(1, 200000) g;
VACUUM ANALYZE prices;
CREATE TABLE staging (batch int NOT NULL, sku int NOT NULL, price int NOT NULL);
INSERT INTO staging SELECT 1, (g * 7919::bigint) % 200000 + 1, g % 800 FROM generate_series(1, 40000) g;
-- query
SELECT count(*)
  FROM staging s JOIN prices p ON p.sku = s.sku
 WHERE s.batch = 1 AND s.price <> p.price;
