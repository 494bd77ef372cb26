-- Distinct visitors per page: more groups than fit into memory.
-- expect: hash_spilled
-- setup
CREATE TABLE hits (visitor text NOT NULL, page int NOT NULL, ms int NOT NULL);
INSERT INTO hits SELECT md5((g % 120000)::text), g % 7, g % 900 FROM generate_series(1, 250000) g;
VACUUM ANALYZE hits;
-- session
SET work_mem = '2MB';
SET enable_sort = off;
-- query
SELECT visitor, count(*), sum(ms) FROM hits GROUP BY visitor;
