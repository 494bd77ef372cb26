-- What is due, and why.
SET synchronous_commit = on;	-- so that VACUUM knows which rows all can see
CREATE SCHEMA planned;
SET search_path = planned, public;

-- All that the plan says of the tables here, due or not.  OIDs and what depends
-- on the release (18 analyzes partitioned tables alone) are masked.
CREATE VIEW planned AS
    SELECT row_number() OVER () AS n, replace(p.object, 'planned.', '') AS object, p.action,
           replace(p.command, ' ONLY ', ' ') AS command, p.score >= 1 AS due, round(p.score::numeric, 2) AS score,
           replace(p.reason, '; its partitions are analyzed with it', '') AS reason, p.not_now,
           p.estimated_pages, p.estimated_seconds
      FROM dbperf.maintenance_plan(0) p
     WHERE p.object LIKE 'planned.%';
CREATE FUNCTION flush() RETURNS text LANGUAGE sql AS
    'SELECT ''flushed'' FROM (SELECT pg_stat_force_next_flush()) AS f';

-- dead rows: 50 + 10 * sqrt(10000) is less than 50 + 20 % of 10000
CREATE TABLE dead (id int PRIMARY KEY);
INSERT INTO dead SELECT generate_series(1, 10000);
SELECT flush();
VACUUM ANALYZE dead;
DELETE FROM dead WHERE id <= 1049;
SELECT flush();
SELECT due, score, reason FROM planned WHERE object = 'dead' AND action = 'vacuum';
DELETE FROM dead WHERE id = 1050;
SELECT flush();
SELECT due, score, command, reason, not_now, estimated_pages > 0 AS pages, estimated_seconds > 0 AS seconds
  FROM planned WHERE object = 'dead' AND action = 'vacuum';
-- changed rows count for ANALYZE the same way
SELECT due, score, command, reason, not_now FROM planned WHERE object = 'dead' AND action = 'analyze';
-- once done, it is no longer due
VACUUM ANALYZE dead;
SELECT flush();
SELECT action, due, score FROM planned WHERE object = 'dead' ORDER BY action;

-- reloptions, and those of the table for its TOAST table
CREATE TABLE options (id int, big text) WITH (autovacuum_vacuum_threshold = 10, autovacuum_vacuum_scale_factor = 0,
    autovacuum_analyze_threshold = 20, autovacuum_analyze_scale_factor = 0);
ALTER TABLE options ALTER big SET STORAGE EXTERNAL;
INSERT INTO options SELECT g, repeat('x', 3000) FROM generate_series(1, 1000) g;
SELECT flush();
VACUUM ANALYZE options;
DELETE FROM options WHERE id <= 10;
SELECT flush();
SELECT action, due, score, reason FROM planned WHERE object = 'options' AND action <> 'vacuum_freeze' ORDER BY action;
SELECT replace(object, 'options'::regclass::oid::text, 'N') AS object, action,
       replace(command, 'options'::regclass::oid::text, 'N') AS command, score, reason
  FROM dbperf.maintenance_plan(1)
 WHERE object = 'pg_toast.pg_toast_' || 'options'::regclass::oid;
ALTER TABLE options SET (toast.autovacuum_vacuum_threshold = 40, toast.autovacuum_vacuum_scale_factor = 0);
SELECT action, score FROM dbperf.maintenance_plan(0) WHERE object = 'pg_toast.pg_toast_' || 'options'::regclass::oid AND action = 'vacuum';
ALTER TABLE options SET (autovacuum_enabled = off);
SELECT action, due, not_now FROM planned WHERE object = 'options' AND action IN ('vacuum', 'analyze') ORDER BY action;

-- inserted rows: not in a small table, from 5 % of the pages on in a big one,
-- from 1 % on where indexes are used; one row fills a page here
CREATE TABLE small (id int);
INSERT INTO small SELECT generate_series(1, 1000);
CREATE TABLE pages (id int PRIMARY KEY, fill text) WITH (fillfactor = 10);
ALTER TABLE pages ALTER fill SET STORAGE PLAIN;
INSERT INTO pages SELECT g, repeat('x', 600) FROM generate_series(1, 1920) g;
SELECT flush();
VACUUM ANALYZE pages;
INSERT INTO pages SELECT g, repeat('x', 600) FROM generate_series(1921, 2000) g;
SELECT flush();
SELECT object, due, score, reason FROM planned WHERE object IN ('small', 'pages') AND action = 'vacuum' ORDER BY 1;
SET enable_seqscan = off;
SELECT count(*) FROM pages WHERE id = 7;
RESET enable_seqscan;
SELECT flush();
SELECT due, score, reason, command FROM planned WHERE object = 'pages' AND action = 'vacuum';
ALTER TABLE pages SET (autovacuum_vacuum_insert_threshold = -1);
SELECT due, score, reason FROM planned WHERE object = 'pages' AND action = 'vacuum';

-- statistics that are missing: after a load, of a new column, an expression, an
-- object; but not what is not to have any
CREATE TABLE missing (id int, kind int, note text, skipped int);
ALTER TABLE missing ALTER skipped SET STATISTICS 0;
CREATE TABLE empty (id int);
CREATE TABLE "Odd ""name" (id int);
INSERT INTO missing SELECT g, g % 10, 'n' FROM generate_series(1, 40) g;
INSERT INTO "Odd ""name" VALUES (1);
SELECT flush();
SELECT object, due, command, reason FROM planned
 WHERE object IN ('missing', 'empty', '"Odd ""name"') AND action = 'analyze' ORDER BY object COLLATE "C";
ANALYZE missing;
SELECT due, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
ALTER TABLE missing ADD note2 int DEFAULT 1, ADD gone int DEFAULT 1;
ALTER TABLE missing DROP gone;
SELECT due, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
CREATE STATISTICS missing_s ON id, kind FROM missing;
CREATE STATISTICS skipped_s ON id, note FROM missing;
ALTER STATISTICS skipped_s SET STATISTICS 0;
SELECT due, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
CREATE INDEX missing_lower ON missing (id, lower(note));
SELECT due, score, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
ANALYZE missing;
SELECT due, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
-- more than can be named
ALTER TABLE missing ADD a1 int, ADD a2 int, ADD a3 int, ADD a4 int, ADD a5 int, ADD a6 int;
SELECT due, reason FROM planned WHERE object = 'missing' AND action = 'analyze';
-- a materialized view
CREATE MATERIALIZED VIEW view_of AS SELECT generate_series(1, 100) AS id;
SELECT flush();
SELECT action, due, reason FROM planned WHERE object = 'view_of' AND action <> 'vacuum_freeze' ORDER BY action;

-- a partitioned table has no counters: its leaves', on all levels, count
CREATE TABLE parts (id int, kind int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (500);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (500) TO (100000) PARTITION BY LIST (kind);
CREATE TABLE part2a PARTITION OF part2 FOR VALUES IN (0, 1);
CREATE TABLE part2b PARTITION OF part2 DEFAULT;
SELECT object, due FROM planned WHERE object IN ('parts', 'part2') ORDER BY 1;
INSERT INTO parts SELECT g, g % 4 FROM generate_series(1, 999) g;
SELECT flush();
SELECT object, due, command, score, reason FROM planned
 WHERE object = 'parts';
-- what covers the leaves until 17 leaves them out
SELECT count(*) FILTER (WHERE object LIKE 'part_%' AND object <> 'parts' AND action = 'analyze') =
       CASE WHEN current_setting('server_version_num')::int < 180000 THEN 0 ELSE 4 END AS covered
  FROM planned;
ANALYZE parts;
SELECT flush();
SELECT object, due, reason FROM planned WHERE object IN ('parts', 'part1', 'part2a', 'part2b') AND action = 'analyze' ORDER BY 1;
-- 50 + 10 * sqrt(999) = 366; part1 alone is not over its own limit
UPDATE parts SET kind = kind WHERE id < 250;
UPDATE parts SET kind = kind WHERE id >= 883;
SELECT flush();
SELECT object, due, reason FROM planned WHERE object = 'parts' AND action = 'analyze';
UPDATE parts SET kind = kind WHERE id = 883;
SELECT flush();
SELECT object, due, reason FROM planned WHERE object = 'parts' AND action = 'analyze';

-- not temporary tables; unlogged ones are
CREATE TEMP TABLE planned_temp (id int);
INSERT INTO planned_temp SELECT generate_series(1, 10000);
CREATE UNLOGGED TABLE unlogged (id int);
INSERT INTO unlogged SELECT generate_series(1, 10000);
SELECT flush();
SELECT count(*) AS temporary FROM dbperf.maintenance_plan(0) WHERE object LIKE '%planned_temp%' OR object LIKE 'pg_temp%';
SELECT object, action, due FROM planned WHERE object = 'unlogged' AND action = 'analyze';
-- what ANALYZE refuses
SELECT object, action FROM dbperf.maintenance_plan(0)
 WHERE object = 'pg_catalog.pg_statistic' OR object LIKE 'pg_toast.%' AND action = 'analyze';

-- close to wraparound: comes first, waits for no lock and for no policy, and
-- with it a plain VACUUM is not needed
CREATE TABLE old (id int) WITH (autovacuum_freeze_max_age = 100000, autovacuum_enabled = off);
INSERT INTO old SELECT generate_series(1, 100);
DELETE FROM old WHERE id <= 70;
CREATE PROCEDURE consume(n int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        PERFORM pg_current_xact_id();
        COMMIT;
    END LOOP;
END
$$;
SELECT flush();
SELECT action, due, not_now FROM planned WHERE object = 'old' AND action <> 'analyze' ORDER BY action;
CALL consume(100100);
SELECT n, action, due, command, regexp_replace(reason, '\m1001\d\d\M', 'N') AS reason, not_now
  FROM planned WHERE object = 'old' AND action <> 'analyze' ORDER BY action;
SELECT object, action FROM dbperf.maintenance_plan() LIMIT 1;
VACUUM FREEZE old;
SELECT action, due FROM planned WHERE object = 'old' AND action <> 'analyze' ORDER BY action;

-- no code of a user runs, and members of pg_monitor need no rights on tables
CREATE FUNCTION armed(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('planned.armed', true) = 'yes' THEN
        RAISE 'must not run';
    END IF;
    RETURN $1;
END
$$;
CREATE TABLE trap (id int);
CREATE INDEX ON trap (armed(1 + 1), armed(id)) WHERE armed(2 + 2) > 0;
INSERT INTO trap SELECT generate_series(1, 100);
SELECT flush();
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_plain;
SET planned.armed = 'yes';
SET ROLE regress_dbperf_monitor;
SELECT database = current_database() AS here, object, action
  FROM dbperf.maintenance_plan(0) WHERE object LIKE '%.trap' ORDER BY action;
SET ROLE regress_dbperf_plain;
SELECT count(*) FROM dbperf.maintenance_plan();
RESET ROLE;
RESET planned.armed;
DROP ROLE regress_dbperf_monitor, regress_dbperf_plain;

-- arguments
SELECT * FROM dbperf.maintenance_plan('NaN');
SELECT * FROM dbperf.maintenance_plan(-0.5);
SELECT * FROM dbperf.maintenance_plan(NULL);
SELECT count(*) FROM dbperf.maintenance_plan('Infinity');
SELECT bool_and(score >= 2) AS scores FROM dbperf.maintenance_plan(2);

SET client_min_messages = warning;
DROP SCHEMA planned CASCADE;
