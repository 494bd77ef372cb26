-- Page 6,000 of a list, by OFFSET along the primary key.
-- expect: large_offset
-- setup
CREATE TABLE articles (id int PRIMARY KEY, title text NOT NULL, body text NOT NULL);
INSERT INTO articles SELECT g, 'title ' || g, repeat('b', 100) FROM generate_series(1, 400000) g;
VACUUM ANALYZE articles;
-- query
SELECT id, title FROM articles ORDER BY id OFFSET 300000 LIMIT 50;
