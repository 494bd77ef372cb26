-- A batch job updates a range of keys.
-- healthy
-- setup
CREATE TABLE points (id int PRIMARY KEY, owner int NOT NULL, points int NOT NULL, note text NOT NULL);
INSERT INTO points SELECT g, g % 1000, 0, repeat('n', 40) FROM generate_series(1, 500000) g;
VACUUM ANALYZE points;
-- query
UPDATE points SET points = points + 10 WHERE id BETWEEN 100001 AND 115000;
