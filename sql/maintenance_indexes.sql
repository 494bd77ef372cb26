-- What there is to do for indexes: bloat, pending lists, BRIN ranges, left-overs.
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_nobody;
CREATE SCHEMA maint;

-- due or not, what is said (numbers left aside), and the command
CREATE FUNCTION pg_temp.due(OUT object text, OUT action text, OUT due boolean, OUT reason text,
                            OUT not_now text)
RETURNS SETOF record LANGUAGE sql AS $$
    SELECT p.object, p.action, p.score >= 1, regexp_replace(p.reason, '[0-9.]+', 'N', 'g'), p.not_now
      FROM dbperf.maintenance_plan(0) AS p
     WHERE p.action IN ('reindex', 'clean_gin', 'summarize_brin') AND p.object LIKE 'maint.%'
     ORDER BY p.object COLLATE "C", p.action
$$;

-- a B-tree that would be a tenth of its size; by a sample, on the first day
CREATE TABLE maint.sparse (id int, key text);
INSERT INTO maint.sparse SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i;
CREATE INDEX "Spar'se ix" ON maint.sparse (key) WITH (fillfactor = 10);
CREATE INDEX sparse_on_purpose ON maint.sparse (key) WITH (fillfactor = 11);
CREATE INDEX sparse_small ON maint.sparse (id) WITH (fillfactor = 10);
ALTER INDEX maint."Spar'se ix" RESET (fillfactor);
ALTER INDEX maint.sparse_small RESET (fillfactor);
SELECT relname, relpages >= 1000 AS big FROM pg_class
WHERE relkind = 'i' AND relnamespace = 'maint'::regnamespace ORDER BY relname COLLATE "C";
SELECT * FROM pg_temp.due();
SELECT p.command, p.score > 3 AS much, p.estimated_pages > 200 AS pages
  FROM dbperf.maintenance_plan(1) AS p WHERE p.object LIKE 'maint.%' AND p.action = 'reindex';

-- more pages for a row than at its best, but these are as full as they are to be
INSERT INTO dbperf.maintenance_index_density (index_oid, relfilenode, best_bytes_per_row)
SELECT oid, relfilenode, 8192 * relpages / reltuples / 3
  FROM pg_class WHERE oid = 'maint.sparse_on_purpose'::regclass;
SELECT * FROM pg_temp.due() WHERE object = 'maint.sparse_on_purpose';

-- and after most rows are gone
DELETE FROM maint.sparse WHERE id % 4 <> 0;
VACUUM maint.sparse;
SELECT * FROM pg_temp.due() WHERE object = 'maint.sparse_on_purpose';

-- what was noted of another file says nothing
UPDATE dbperf.maintenance_index_density SET relfilenode = 1;
SELECT object, due, reason FROM pg_temp.due() WHERE object = 'maint.sparse_on_purpose';

-- rebuilt a moment ago
UPDATE dbperf.maintenance_index_density AS d SET relfilenode = c.relfilenode,
    rebuilt = now() - interval '3 hours 5 minutes'
  FROM pg_class AS c WHERE c.oid = d.index_oid;
SELECT not_now FROM pg_temp.due() WHERE object = 'maint.sparse_on_purpose';
UPDATE dbperf.maintenance_index_density SET rebuilt = now() - interval '25 hours';
SELECT not_now FROM pg_temp.due() WHERE object = 'maint.sparse_on_purpose';
TRUNCATE dbperf.maintenance_index_density;
DROP TABLE maint.sparse;

-- what cannot be rebuilt beside writers, and what is not ours to look at
CREATE TABLE maint.excluded (key text, EXCLUDE USING btree (key WITH =) WITH (fillfactor = 10));
INSERT INTO maint.excluded SELECT md5(i::text) FROM generate_series(1, 20000) AS i;
REINDEX TABLE maint.excluded;
ALTER INDEX maint.excluded_key_excl RESET (fillfactor);
CREATE TEMP TABLE passing (key text);
INSERT INTO passing SELECT md5(i::text) FROM generate_series(1, 20000) AS i;
CREATE INDEX ON passing (key) WITH (fillfactor = 10);
CREATE TABLE maint.parent (key text) PARTITION BY LIST (key);
CREATE INDEX ON maint.parent (key);
SELECT count(*) FROM pg_class
WHERE relname IN ('excluded_key_excl', 'passing_key_idx') AND relpages >= 1000;
SELECT * FROM pg_temp.due();
SELECT count(*) FROM dbperf.maintenance_plan(0)
WHERE object LIKE 'pg_temp%' AND action = 'reindex';
DROP TABLE maint.excluded, maint.parent;

-- expressions and predicates are never evaluated
CREATE FUNCTION maint.fails(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN $1; END $$;
CREATE TABLE maint.expression (key text);
INSERT INTO maint.expression SELECT md5(i::text) FROM generate_series(1, 20000) AS i;
CREATE INDEX expression_ix ON maint.expression (maint.fails(key)) WITH (fillfactor = 10)
WHERE maint.fails('x') IS NOT NULL;
ALTER INDEX maint.expression_ix RESET (fillfactor);
CREATE OR REPLACE FUNCTION maint.fails(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'it was called'; END $$;
SELECT object, due FROM pg_temp.due();
DROP TABLE maint.expression;

-- GIN: from a quarter of the limit on
CREATE TABLE maint.lists (items int[]);
CREATE INDEX lists_gin ON maint.lists USING gin (items) WITH (gin_pending_list_limit = 64);
SELECT * FROM pg_temp.due() WHERE action = 'clean_gin';
INSERT INTO maint.lists SELECT ARRAY[i] FROM generate_series(1, 100) AS i;
SELECT * FROM pg_temp.due() WHERE action = 'clean_gin';
INSERT INTO maint.lists SELECT ARRAY[i, i + 1] FROM generate_series(1, 700) AS i;
SELECT * FROM pg_temp.due() WHERE action = 'clean_gin';
SELECT command AS clean FROM dbperf.maintenance_plan(1) WHERE object = 'maint.lists_gin' \gset
\echo :clean
:clean;
SELECT * FROM pg_temp.due() WHERE action = 'clean_gin';

-- BRIN: ranges without a summary, the last one not yet full left aside
CREATE TABLE maint.days (day int, filler text);
INSERT INTO maint.days SELECT i, repeat('x', 500) FROM generate_series(1, 3000) AS i;
CREATE INDEX "Day's brin" ON maint.days USING brin (day) WITH (pages_per_range = 4);
SELECT * FROM pg_temp.due() WHERE action = 'summarize_brin';
INSERT INTO maint.days SELECT i, repeat('x', 500) FROM generate_series(3001, 4000) AS i;
SELECT * FROM pg_temp.due() WHERE action = 'summarize_brin';
SELECT command AS summarize FROM dbperf.maintenance_plan(1)
WHERE action = 'summarize_brin' AND object LIKE 'maint.%' \gset
\echo :summarize
:summarize;
SELECT * FROM pg_temp.due() WHERE action = 'summarize_brin';

-- invalid indexes: ours are dropped by the worker, others' are only told
CREATE TABLE maint.failed (a int);
CREATE INDEX failed_a_ccnew ON maint.failed (a);
CREATE INDEX failed_b_ccnew1 ON maint.failed (a);
UPDATE pg_index SET indisvalid = false WHERE indrelid = 'maint.failed'::regclass;
INSERT INTO dbperf.maintenance_leftovers
VALUES ('maint.failed_b_ccnew1'::regclass, 'maint.failed'::regclass, 1, 'failed_b_ccnew1', now());
SELECT object, action, due, reason, not_now FROM pg_temp.due() WHERE object LIKE '%failed%';
DELETE FROM dbperf.maintenance_leftovers;
SELECT object FROM pg_temp.due() WHERE object LIKE '%failed%';

-- who may see and write what is remembered
SET ROLE regress_dbperf_monitor;
SELECT count(*) FROM dbperf.maintenance_index_density, dbperf.maintenance_leftovers;
SELECT count(*) FROM dbperf.maintenance_plan(0)
 WHERE object LIKE 'maint.failed%' AND action = 'reindex';
DELETE FROM dbperf.maintenance_leftovers;
INSERT INTO dbperf.maintenance_index_density VALUES (1, 1, 1);
SET ROLE regress_dbperf_nobody;
SELECT count(*) FROM dbperf.maintenance_index_density;
SELECT count(*) FROM dbperf.maintenance_leftovers;
RESET ROLE;

DROP SCHEMA maint CASCADE;
DROP ROLE regress_dbperf_monitor, regress_dbperf_nobody;
