-- Search box: LIKE with a leading wildcard.
-- expect: leading_wildcard
-- setup
CREATE TABLE products (id int PRIMARY KEY, title text NOT NULL, price int NOT NULL);
INSERT INTO products
SELECT g, md5(g::text) || ' ' || md5((g * 3)::text), g % 300 FROM generate_series(1, 300000) g;
CREATE INDEX products_title ON products (title text_pattern_ops);
VACUUM ANALYZE products;
-- query
SELECT id, title, price FROM products WHERE title LIKE '%3c59dc048e88%';
