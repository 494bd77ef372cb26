-- Statements inside functions, triggers and DO blocks.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
SET dbperf.track = 'all';
CREATE TABLE outer_table (a int);
CREATE TABLE audit (a int);
CREATE FUNCTION innermost() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT count(*) FROM outer_table /* innermost */); END $$;
CREATE FUNCTION middle() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT innermost() FROM (SELECT 1 OFFSET 0) s /* middle */); END $$;
CREATE FUNCTION in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO audit VALUES (new.a) /* trigger */; RETURN new; END $$;
CREATE TRIGGER audited AFTER INSERT ON outer_table FOR EACH ROW EXECUTE FUNCTION in_trigger();

-- who called whom
SELECT dbperf.slow_queries_reset();
SELECT middle() /* top */;
SELECT s.level, substring(s.query FROM '/\* (\w+) \*/') AS who,
       substring(p.query FROM '/\* (\w+) \*/') AS parent
  FROM mine s LEFT JOIN mine p ON p.queryid = s.parent_queryid
 WHERE s.query ~ '/\* \w+ \*/' ORDER BY s.level;

-- only the client's statement has a time before it was executed
SELECT level, pre_execution_ms IS NULL AS no_pre_execution
  FROM mine WHERE query ~ '/\* \w+ \*/' ORDER BY level;

-- triggers
SELECT dbperf.slow_queries_reset();
INSERT INTO outer_table VALUES (1), (2) /* insert */;
SELECT level, command, substring(query FROM '/\* (\w+) \*/') AS who, rows
  FROM mine WHERE query ~ '/\* \w+ \*/' ORDER BY level, n;

-- the caller's time has its callees' in it
SELECT dbperf.slow_queries_reset();
DO $$ BEGIN PERFORM pg_sleep(0.2); END $$;
SELECT level, command, duration_ms BETWEEN 200 AND 5000 AS duration
  FROM mine WHERE duration_ms > 100 ORDER BY level;

-- by default, only what clients send
RESET dbperf.track;
SHOW dbperf.track;
SELECT dbperf.slow_queries_reset();
SELECT middle() /* top */;
SELECT level, query FROM mine ORDER BY n;

-- SQL functions, inlined or not
SET dbperf.track = 'all';
CREATE FUNCTION not_inlined() RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT count(*) FROM audit /* sql_function */; SELECT 2::bigint /* second */';
SELECT dbperf.slow_queries_reset();
SELECT not_inlined() /* caller */;
SELECT level, count(*) FROM mine WHERE query ~ '/\* \w+ \*/' GROUP BY level ORDER BY level;

RESET dbperf.track;
DROP TABLE outer_table, audit;
DROP FUNCTION innermost(), middle(), in_trigger(), not_inlined();
