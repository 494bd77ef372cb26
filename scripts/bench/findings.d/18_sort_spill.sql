-- An export sorted by a column that no index can serve, with the default memory.
-- expect: sort_spilled
-- setup
CREATE TABLE contacts (id int PRIMARY KEY, last_name text NOT NULL, first_name text NOT NULL, note text NOT NULL);
INSERT INTO contacts
SELECT g, md5((g % 50000)::text), md5(g::text), repeat('n', 30) FROM generate_series(1, 150000) g;
VACUUM ANALYZE contacts;
-- query
SELECT last_name, first_name, note FROM contacts ORDER BY last_name, first_name;
