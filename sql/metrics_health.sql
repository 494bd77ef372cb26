-- Targets, the verdict on them, and estimates of bloat.
SELECT * FROM dbperf.targets ORDER BY name COLLATE "C";

-- more than enough executions, and the query that has the most of them
SELECT format('SELECT %s AS asked_often', i) FROM generate_series(1, 400) AS i
\set ECHO none
\o /dev/null
\gexec
\o
\set ECHO all
UPDATE dbperf.targets SET threshold = 0 WHERE name = 'query_p95_ms';
SELECT target, comparison, threshold, value > 0 AS value, verdict,
       evidence ~ '^p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms of \d+ executions (in|since)' AS sums,
       evidence ~ ' % of the \d+ that took longer than 0 ms are query -?\d+ \(p95 [\d.]+ ms, \d+ executions\)$' AS query,
       next_step ~ '^SELECT|^ALTER SYSTEM' AS next_step
  FROM dbperf.health WHERE target = 'query_p95_ms';
-- that it is to be recorded, but not everything
SET dbperf.slow_query_min_duration = -1;
SELECT dbperf.query_latency_reset() > 0 AS reset;
SELECT format('SELECT %s AS asked_often, 2 AS not_recorded', i) FROM generate_series(1, 200) AS i
\set ECHO none
\o /dev/null
\gexec
\o
\set ECHO all
SELECT next_step FROM dbperf.health WHERE target = 'query_p95_ms';
RESET dbperf.slow_query_min_duration;
UPDATE dbperf.targets SET threshold = 1e9 WHERE name = 'query_p95_ms';
SELECT verdict, evidence ~ 'executions \w+ [\w. ]+(, without \d+ calls of dbperf''s functions)?$' AS evidence, next_step
  FROM dbperf.health WHERE target = 'query_p95_ms';
SELECT name, threshold, built_in FROM dbperf.targets ORDER BY name COLLATE "C";

-- what is off says how to switch it on
SELECT target, value, verdict, evidence, next_step
  FROM dbperf.health WHERE target = 'pool_efficiency_ratio';
SELECT dbperf.cache_stats_reset();
SET dbperf.cache_mode = off;
SELECT target, value, verdict, evidence, next_step
  FROM dbperf.health WHERE target = 'cache_hit_ratio';
-- one hit of four, and who has missed
CREATE TABLE health_cached AS SELECT i FROM generate_series(1, 1000) AS i;
SET dbperf.cache_mode = hint;
SET dbperf.cache_admission = always;
SELECT count(*) FROM health_cached WHERE i > 1 /* dbperf: cache */;
SELECT count(*) FROM health_cached WHERE i > 1 /* dbperf: cache */;
SELECT count(*) FROM health_cached WHERE i > 2 /* dbperf: cache */;
SELECT count(*) FROM health_cached WHERE i > 3 /* dbperf: cache */;
SELECT value, verdict, evidence ~ '^1 hits and 3 misses since [-\d: ]+, [\d.]+ s saved; most is lost with query -?\d+: 3 misses of [\d.]+ ms$' AS evidence,
       next_step
  FROM dbperf.health WHERE target = 'cache_hit_ratio';
-- the text of another role is not proposed for being planned
CREATE ROLE regress_dbperf_sender;
GRANT SELECT ON health_cached TO regress_dbperf_sender;
SELECT dbperf.cache_stats_reset();
SET ROLE regress_dbperf_sender;
SELECT sum(i) FROM health_cached WHERE i > 1 /* dbperf: cache */;
RESET ROLE;
SELECT verdict, regexp_replace(next_step, '-?\d+;$', 'ID;') AS next_step
  FROM dbperf.health WHERE target = 'cache_hit_ratio';
DROP OWNED BY regress_dbperf_sender;
DROP ROLE regress_dbperf_sender;
RESET dbperf.cache_mode;
RESET dbperf.cache_admission;
DROP TABLE health_cached;

-- any metric can be a target, its worst series counts
INSERT INTO dbperf.targets VALUES
    ('dbperf_max_connections', '<', 10),
    ('dbperf_in_recovery', '<=', 0),
    ('dbperf_connections', '>=', 0);
SELECT target, comparison, threshold, value, verdict, evidence, next_step
  FROM dbperf.health WHERE target ~ '^dbperf_(max|in_rec)' ORDER BY target COLLATE "C";
SELECT verdict, value, evidence ~ '^the worst of 5 series is {state="[\w ()]+"} with 0$' AS evidence
  FROM dbperf.health WHERE target = 'dbperf_connections';
DELETE FROM dbperf.targets WHERE name ~ '^dbperf_';

-- the missed ones come first
UPDATE dbperf.targets SET threshold = 0 WHERE name = 'query_p95_ms';
SELECT (array_agg(verdict))[1] FROM dbperf.health;

-- what cannot be meant
INSERT INTO dbperf.targets VALUES ('query_p99_ms', '<', 1);
INSERT INTO dbperf.targets VALUES ('dbperf_Connections', '<', 1);
INSERT INTO dbperf.targets VALUES ('', '<', 1);
INSERT INTO dbperf.targets VALUES ('dbperf_statement_duration_seconds', '<', 1);
INSERT INTO dbperf.targets VALUES ('dbperf_no_such_metric', '<', 1);
SELECT verdict, evidence, next_step FROM dbperf.health WHERE target = 'dbperf_no_such_metric';
UPDATE dbperf.targets SET comparison = '=' WHERE name = 'query_p95_ms';
UPDATE dbperf.targets SET comparison = 'below' WHERE name = 'query_p95_ms';
UPDATE dbperf.targets SET threshold = 'NaN' WHERE name = 'query_p95_ms';
UPDATE dbperf.targets SET threshold = '-Infinity' WHERE name = 'query_p95_ms';
UPDATE dbperf.targets SET threshold = NULL WHERE name = 'query_p95_ms';
INSERT INTO dbperf.targets VALUES ('query_p95_ms', '<', 1);
CREATE TABLE not_targets (name text, comparison text, threshold float8);
CREATE TRIGGER t BEFORE INSERT ON not_targets FOR EACH ROW EXECUTE FUNCTION dbperf.targets_check();
INSERT INTO not_targets VALUES ('query_p95_ms', '<', 1);
CREATE TRIGGER s BEFORE INSERT ON not_targets FOR EACH STATEMENT EXECUTE FUNCTION dbperf.targets_restore();
INSERT INTO not_targets VALUES ('query_p95_ms', '<', 1);
DROP TABLE not_targets;
-- not even without the trigger
SET session_replication_role = replica;
UPDATE dbperf.targets SET threshold = 'NaN' WHERE name = 'query_p95_ms';
UPDATE dbperf.targets SET comparison = '=' WHERE name = 'query_p95_ms';
RESET session_replication_role;
DELETE FROM dbperf.targets;
SELECT count(*) FROM dbperf.health;

-- who may see it
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
SET ROLE regress_dbperf_plain;
SELECT * FROM dbperf.health;
SELECT * FROM dbperf.targets;
SELECT * FROM dbperf.bloat_estimates;
SELECT dbperf.refresh_estimates();
SET ROLE regress_dbperf_monitor;
SELECT count(*) FROM dbperf.health;
SELECT count(*) > 0 AS seen FROM dbperf.bloat_estimates;
INSERT INTO dbperf.targets VALUES ('query_p95_ms', '<', 50);
SELECT dbperf.refresh_estimates();
RESET ROLE;
-- a query of another role has no id for who may not see it
INSERT INTO dbperf.targets VALUES ('query_p95_ms', '<', 0), ('dbperf_locks_waiting', '<', 1e9);
GRANT SELECT ON dbperf.health, dbperf.targets TO regress_dbperf_plain;
GRANT EXECUTE ON FUNCTION dbperf.health() TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT target, verdict, evidence ~ 'are one query of another role$' AS hidden, next_step
  FROM dbperf.health ORDER BY target COLLATE "C";
-- what he may not ask is said in its row
RESET ROLE;
INSERT INTO dbperf.targets VALUES ('pool_efficiency_ratio', '>', 0.9);
SET ROLE regress_dbperf_plain;
SELECT verdict, evidence FROM dbperf.health WHERE target = 'pool_efficiency_ratio';
RESET ROLE;
REVOKE ALL ON dbperf.health, dbperf.targets FROM regress_dbperf_plain;
REVOKE ALL ON FUNCTION dbperf.health() FROM regress_dbperf_plain;
DROP ROLE regress_dbperf_plain, regress_dbperf_monitor;

-- operators of the caller's search_path are not used
CREATE SCHEMA health_evil;
CREATE FUNCTION health_evil.never(text, text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE OPERATOR health_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = health_evil.never);
SET search_path = health_evil, pg_catalog;
SELECT count(*), count(*) FILTER (WHERE evidence ~ 'called') AS called FROM dbperf.health;
RESET search_path;
\set VERBOSITY terse
DROP SCHEMA health_evil CASCADE;
\set VERBOSITY default

-- Estimates of bloat, against what a rewrite leaves.  Some tables have a lot of it,
-- others none.
CREATE SCHEMA bloat;
SET search_path = bloat;
CREATE TABLE dense AS SELECT i AS a, i::bigint AS b, now() AS c FROM generate_series(1, 20000) AS i;
CREATE TABLE holes AS SELECT i AS a, md5(i::text) AS b FROM generate_series(1, 20000) AS i;
CREATE INDEX ON holes (a);
CREATE INDEX ON holes (b);
DELETE FROM holes WHERE a % 3 <> 0;
CREATE TABLE nulls AS SELECT i AS a, CASE WHEN i % 2 = 0 THEN i END AS b,
       CASE WHEN i % 5 = 0 THEN repeat('x', i % 300) END AS c, true AS d
  FROM generate_series(1, 20000) AS i;
CREATE INDEX ON nulls (b);
CREATE INDEX ON nulls (d);
CREATE TABLE fill (a int, b text) WITH (fillfactor = 70);
INSERT INTO fill SELECT i, repeat('y', 20 + i % 60) FROM generate_series(1, 20000) AS i;
CREATE UNIQUE INDEX ON fill (a) WITH (fillfactor = 60);
CREATE INDEX ON fill (b);
CREATE TABLE churn AS SELECT i AS a, i % 100 AS b, repeat('z', 100) AS c
  FROM generate_series(1, 10000) AS i;
CREATE INDEX ON churn (a);
CREATE INDEX ON churn (b);
CREATE INDEX ON churn ((a * 2));
CREATE INDEX ON churn (a) WHERE b < 10;
UPDATE churn SET a = a + 1;
UPDATE churn SET a = a + 1;
CREATE TABLE dropped AS SELECT i AS a, i AS b, i AS c FROM generate_series(1, 20000) AS i;
ALTER TABLE dropped DROP COLUMN b;
UPDATE dropped SET a = a + 1;
CREATE TABLE unknown AS SELECT i AS a FROM generate_series(1, 1000) AS i;
CREATE INDEX ON unknown (a);
CREATE INDEX unknown_method ON dense USING brin (a);
VACUUM ANALYZE dense;
VACUUM ANALYZE holes;
VACUUM ANALYZE nulls;
VACUUM ANALYZE fill;
VACUUM ANALYZE churn;
VACUUM ANALYZE dropped;
CREATE TABLE was AS SELECT b.*, b.relation::text AS name FROM dbperf.bloat_estimates AS b
  JOIN pg_class AS c ON c.oid = b.relation WHERE c.relnamespace = 'bloat'::regnamespace;
SELECT name, kind, method FROM was WHERE method IS DISTINCT FROM 'statistics' ORDER BY name COLLATE "C";
VACUUM FULL dense;
VACUUM FULL holes;
VACUUM FULL nulls;
VACUUM FULL fill;
VACUUM FULL churn;
VACUUM FULL dropped;
-- within a tenth of the size that is needed; the number of rows in a table that was
-- not analyzed is known from its index, but from 18 on only if autovacuum is on
SELECT name, kind, bloat_ratio > 0.3 AS bloated,
       abs((size_bytes - bloat_bytes) - pg_relation_size(relation)) <=
       greatest(0.1 * pg_relation_size(relation), 2 * 8192) AS right
  FROM was WHERE method IS NOT NULL AND name <> 'unknown' ORDER BY name COLLATE "C";
RESET search_path;

-- nothing is waited for
BEGIN;
LOCK TABLE bloat.dense IN ACCESS EXCLUSIVE MODE;
SELECT dbperf.refresh_estimates();
COMMIT;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA bloat CASCADE;
RESET client_min_messages;

DELETE FROM dbperf.targets;
