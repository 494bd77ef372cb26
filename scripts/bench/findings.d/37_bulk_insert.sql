-- A bulk load from one table into another.
-- healthy
-- setup
CREATE TABLE incoming (id int NOT NULL, value int NOT NULL, text text NOT NULL);
CREATE TABLE archive (id int PRIMARY KEY, value int NOT NULL, text text NOT NULL);
INSERT INTO incoming SELECT g, g % 100, repeat('t', 40) FROM generate_series(1, 60000) g;
VACUUM ANALYZE incoming, archive;
-- query
INSERT INTO archive SELECT id, value, text FROM incoming;
