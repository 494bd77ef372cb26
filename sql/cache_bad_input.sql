-- The result cache and what it is not made for: a reason, and never an error in
-- the statement.
SET dbperf.cache_mode = hint;
SET dbperf.cache_min_duration = 0;
SET dbperf.cache_admission = always;
CREATE TABLE bad_items (id int PRIMARY KEY, v int);
INSERT INTO bad_items SELECT g, g FROM generate_series(1, 10) AS g;
CREATE VIEW bad_view AS SELECT * FROM bad_items;
CREATE MATERIALIZED VIEW bad_mat AS SELECT * FROM bad_items;
CREATE SEQUENCE bad_seq;
CREATE TYPE bad_pair AS (x int, y int);
CREATE TABLE bad_parts (id int) PARTITION BY LIST (id);

-- how many hits a statement has that is executed three times
CREATE FUNCTION bad_hits(query text) RETURNS bigint LANGUAGE plpgsql AS
$$
DECLARE
    before bigint;
BEGIN
    SELECT hits INTO before FROM dbperf.cache_stats;
    FOR i IN 1 .. 3 LOOP
        EXECUTE query;
    END LOOP;
    RETURN (SELECT hits - before FROM dbperf.cache_stats);
END;
$$;

-- a hint, and what is none
SELECT s AS query, bad_hits(s) > 0 AS served
  FROM (VALUES
    (1, '/* dbperf: cache */ SELECT sum(v) FROM bad_items'),
    (2, 'SELECT /* dbperf: cache */ sum(v) FROM bad_items'),
    (3, 'SELECT sum(v) FROM bad_items /* dbperf: cache */'),
    (4, 'SELECT max(v) FROM bad_items'),
    (5, 'SELECT max(v), ''/* dbperf: cache */'' FROM bad_items'),
    (6, 'SELECT max(v), E''\''/* dbperf: cache */'' FROM bad_items'),
    (7, 'SELECT max(v), $$/* dbperf: cache */$$ FROM bad_items'),
    (8, 'SELECT max(v), $x$ $$ /* dbperf: cache */ $x$ FROM bad_items'),
    (9, 'SELECT max(v) AS "/* dbperf: cache */" FROM bad_items'),
    (10, E'SELECT max(v), 10 FROM bad_items -- /* dbperf: cache */'),
    (11, '/* other /* dbperf: cache */ */ SELECT max(v), 11 FROM bad_items'),
    (12, '/* dbperf: cached */ SELECT max(v), 12 FROM bad_items'),
    (13, '/* dbperf: cache'),
    (14, '/*dbperf:cache*/ SELECT max(v), 14 FROM bad_items')) AS t (n, s)
 WHERE n <> 13 ORDER BY n;

-- only the statement that has it
SELECT 1 AS one \; /* dbperf: cache */ SELECT sum(v) FROM bad_items \; SELECT min(v) FROM bad_items;
SELECT bad_hits('SELECT min(v) FROM bad_items');

-- a hint where nothing can be cached
CREATE TEMP TABLE bad_temp (id int);
SELECT s AS query, bad_hits('/* dbperf: cache */ ' || s) AS hits, e::text AS reason
  FROM (VALUES
    (1, 'SELECT 1'),
    (2, 'SELECT now(), sum(v) FROM bad_items'),
    (3, 'SELECT random() < 2 FROM bad_items'),
    (4, 'SELECT sum(v) FROM bad_items WHERE id < random() * 0 + 5'),
    (8, 'SELECT count(*) FROM bad_temp'),
    (9, 'SELECT count(*) > 0 FROM pg_class'),
    (10, 'SELECT last_value FROM bad_seq'),
    (11, 'SELECT ctid IS NULL FROM bad_items'),
    (12, 'SELECT tableoid::regclass FROM bad_items'),
    (13, 'SELECT count(*) >= 0 FROM bad_items TABLESAMPLE BERNOULLI (50)'),
    (14, 'SELECT ROW(id, v) FROM bad_items'),
    (16, 'SELECT v, current_date - current_date FROM bad_items'),
    (17, 'SELECT bad_hits(''SELECT 1'') FROM bad_items'),
    (18, 'SELECT count(*) FROM bad_parts WHERE false'),
    (20, 'VALUES (1)'),
    (22, 'SELECT pg_sleep(0) FROM bad_items WHERE id = 1'),
    (23, 'SELECT (SELECT random() < 2 FROM bad_items LIMIT 1) FROM bad_items'),
    (24, 'SELECT count(*) FROM bad_items, LATERAL (SELECT clock_timestamp() WHERE v > 0) AS s'),
    (25, 'SELECT sum(v) FROM bad_items WHERE v::text::regclass IS NULL AND false')) AS t (n, s),
       LATERAL dbperf.cache_explain('/* dbperf: cache */ ' || s) AS e
 ORDER BY n;

-- the same, and it gives the transaction an id
SELECT s AS query, e::text AS reason
  FROM (VALUES
    (5, 'SELECT id FROM bad_items WHERE id = 1 FOR UPDATE'),
    (6, 'SELECT id FROM bad_items WHERE id = 1 FOR KEY SHARE'),
    (7, 'WITH w AS (UPDATE bad_items SET v = v RETURNING id) SELECT count(*) FROM w'),
    (15, 'SELECT nextval(''bad_seq'') > 0 FROM bad_items'),
    (19, 'UPDATE bad_items SET v = v'),
    (21, 'SELECT txid_current() > 0 FROM bad_items')) AS t (n, s),
       LATERAL dbperf.cache_explain('/* dbperf: cache */ ' || s) AS e
 ORDER BY n;
SELECT bad_hits($q$/* dbperf: cache */ SELECT id FROM bad_items WHERE id = 1 FOR UPDATE$q$);
SELECT bad_hits($q$/* dbperf: cache */ SELECT id FROM bad_items WHERE id = 1 FOR KEY SHARE$q$);
SELECT bad_hits($q$/* dbperf: cache */ WITH w AS (UPDATE bad_items SET v = v RETURNING id) SELECT count(*) FROM w$q$);
SELECT bad_hits($q$/* dbperf: cache */ SELECT nextval('bad_seq') > 0 FROM bad_items$q$);
SELECT bad_hits($q$/* dbperf: cache */ UPDATE bad_items SET v = v$q$);
SELECT bad_hits($q$/* dbperf: cache */ SELECT txid_current() > 0 FROM bad_items$q$);

-- what cache_explain() is given
SELECT dbperf.cache_explain('');
SELECT dbperf.cache_explain('-- nothing');
SELECT dbperf.cache_explain('SELECT FROM WHERE');
SELECT dbperf.cache_explain('SELECT 1; SELECT 2');
SELECT dbperf.cache_explain('SELECT * FROM bad_nothing');
SELECT dbperf.cache_explain('SELECT v FROM bad_items WHERE id = $1');
SELECT dbperf.cache_explain('VACUUM');
SELECT dbperf.cache_explain(NULL);
SELECT e::text FROM dbperf.cache_explain('SELECT sum(v) FROM bad_items') AS e;

-- things that have no results
SELECT dbperf.cache_flush('bad_items') >= 0 AS flushed;
SELECT dbperf.cache_flush('bad_mat') >= 0 AS flushed;
SELECT dbperf.cache_flush('bad_parts') >= 0 AS flushed;
SELECT dbperf.cache_flush('bad_view');
SELECT dbperf.cache_flush('bad_items_pkey');
SELECT dbperf.cache_flush('bad_seq');
SELECT dbperf.cache_flush('bad_pair');
SELECT dbperf.cache_flush('pg_class');
SELECT dbperf.cache_flush('bad_nothing');
SELECT dbperf.cache_flush(NULL);
SELECT dbperf.cache_flush(123456789);
SELECT dbperf.cache_table('bad_view', true);
SELECT dbperf.cache_table('bad_items_pkey', true);
SELECT dbperf.cache_table('bad_seq', true);
SELECT dbperf.cache_table('bad_temp', true);
SELECT dbperf.cache_table(123456789, true);
SELECT dbperf.cache_query(0, true);

-- a table is dropped while it is listed
CREATE TABLE bad_listed (id int);
SELECT dbperf.cache_table('bad_listed', true);
DROP TABLE bad_listed;
SELECT sum(v) FROM bad_items;

-- a result that is larger than an entry may be
SELECT count(*), sum(length(s)) FROM (
    /* dbperf: cache */ SELECT repeat('x', 1000) AS s FROM bad_items, generate_series(1, 300) OFFSET 0) AS q;
SET dbperf.cache_max_entry_size = '8kB';
SELECT bad_hits('/* dbperf: cache */ SELECT repeat(v::text, 10000) FROM bad_items');
SELECT bad_hits('/* dbperf: cache */ SELECT repeat(v::text, 10) FROM bad_items') > 0 AS served;
RESET dbperf.cache_max_entry_size;

-- settings; messages differ between releases
\set VERBOSITY sqlstate
SET dbperf.cache_mode = sometimes;
SET dbperf.cache_size = '1MB';
SET dbperf.cache_min_duration = -1;
SET dbperf.cache_max_entry_size = 0;
SET dbperf.cache_admission = never;
SET dbperf.cache_wait = '2min';
\set VERBOSITY default

-- what is gone stays listed until it is taken off
DELETE FROM dbperf.cache_tables WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = relation);
DROP VIEW bad_view;
DROP MATERIALIZED VIEW bad_mat;
DROP FUNCTION bad_hits(text);
DROP TYPE bad_pair;
DROP TABLE bad_items, bad_parts, bad_temp;
DROP SEQUENCE bad_seq;
RESET dbperf.cache_mode;
RESET dbperf.cache_min_duration;
RESET dbperf.cache_admission;
