-- A trigram index that finds nearly every row, of which the recheck keeps few.
-- expect: index_recheck
-- setup
CREATE EXTENSION pg_trgm;
CREATE TABLE codes (id int PRIMARY KEY, code text NOT NULL, label text NOT NULL);
INSERT INTO codes
SELECT g, 'abcabc-bcabca-cabcab-' || CASE WHEN g % 2000 = 0 THEN 'abcabcabc' ELSE 'bcab' END || g, repeat('l', 100)
  FROM generate_series(1, 150000) g;
CREATE INDEX codes_code ON codes USING gin (code gin_trgm_ops);
VACUUM ANALYZE codes;
-- session
SET enable_seqscan = off;
SET work_mem = '64MB';
-- query
SELECT id, label FROM codes WHERE code LIKE '%abcabcabc%';
