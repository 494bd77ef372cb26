-- Sales of one product, found by its code: the column that is joined has no index.
-- expect: missing_index
-- setup
CREATE TABLE articles (id int PRIMARY KEY, code text NOT NULL UNIQUE);
CREATE TABLE order_lines (id int PRIMARY KEY, article_id int NOT NULL, quantity int NOT NULL, note text NOT NULL);
INSERT INTO articles SELECT g, 'A' || g FROM generate_series(1, 3000) g;
INSERT INTO order_lines
SELECT g, (g * 7919::bigint) % 3000 + 1, g % 9, repeat('n', 50) FROM generate_series(1, 400000) g;
VACUUM ANALYZE articles, order_lines;
-- query
SELECT sum(l.quantity) FROM articles a JOIN order_lines l ON l.article_id = a.id WHERE a.code = 'A77';
