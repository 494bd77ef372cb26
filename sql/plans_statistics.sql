-- dbperf.suggest_statistics(): planted misestimates, and estimates that are right.
SET dbperf.slow_query_max_rate = 0;
SET dbperf.plan_capture = 'rows';
CREATE SCHEMA stats;
SET search_path = stats;

-- errors are rounded: they depend on what ANALYZE has drawn
CREATE VIEW advice AS
    SELECT table_name, columns, kind, cardinality(queries) AS queries,
           CASE WHEN q_error >= 10 THEN '>= 10' ELSE '< 10' END AS before,
           CASE WHEN q_error_after < 2 THEN '< 2' WHEN q_error_after >= 2 THEN '>= 2' END AS after,
           verified_on, fixable, ddl
      FROM dbperf.suggest_statistics()
     WHERE schema_name LIKE 'stats%'
     ORDER BY table_name, columns;

CREATE TABLE address AS
    SELECT i AS id, 'city ' || i % 200 AS city, 10000 + (i % 200) * 7 AS zip, i % 4 AS floor
      FROM generate_series(1, 20000) AS i;
CREATE TABLE payment AS
    SELECT i AS id, i % 10 = 9 AS refused, CASE WHEN i % 10 < 9 THEN 'none' ELSE 'r' || i % 7 END::varchar AS reason
      FROM generate_series(1, 20000) AS i;
CREATE TABLE sale AS
    SELECT i AS id, i % 200 AS shop, (i % 200) / 4 AS region FROM generate_series(1, 20000) AS i;
CREATE TABLE parcel AS
    SELECT i AS id, i AS ordered, i + i % 50 AS shipped FROM generate_series(1, 20000) AS i;
CREATE TABLE dice AS
    SELECT i AS id, (i * 7919) % 20 AS one, (i * 7919) / 20 % 20 AS other
      FROM generate_series(1, 20000) AS i;
-- 160 values that are as frequent as each other, and others that come once
CREATE TABLE code AS
    SELECT i AS id, CASE WHEN i % 10 < 8 THEN i % 200 ELSE i + 1000 END AS code
      FROM generate_series(1, 30000) AS i;
CREATE TABLE fresh AS SELECT i AS id, i % 1000 AS kind FROM generate_series(1, 5000) AS i;
CREATE TABLE event (id int, a int, b int) PARTITION BY RANGE (id);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10000);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10000) TO (20001);
INSERT INTO event SELECT i, i % 100, i % 100 * 2 FROM generate_series(1, 20000) AS i;
CREATE TABLE "o'dd ""table" AS
    SELECT i % 100 AS "a""; DROP TABLE dice; --", i % 100 * 2 AS "Group" FROM generate_series(1, 20000) AS i;
CREATE TABLE unbuilt AS SELECT i % 100 AS a, i % 100 AS b FROM generate_series(1, 20000) AS i;
CREATE TYPE mood AS ENUM ('awful', 'sad', 'so so', 'happy', 'elated');
CREATE TABLE feeling AS
    SELECT i AS id, (enum_range(NULL::mood))[i % 50 / 10 + 1] AS mood, i % 50 AS day
      FROM generate_series(1, 20000) AS i;
CREATE TABLE tree AS SELECT i % 50 AS a, i % 50 AS b, -(i % 50) AS c FROM generate_series(1, 20000) AS i;
SELECT pg_stat_force_next_flush();
ANALYZE;
CREATE STATISTICS unbuilt_there (dependencies) ON a, b FROM unbuilt;
INSERT INTO fresh SELECT i, 5000 FROM generate_series(1, 5000) AS i;
SELECT pg_stat_force_next_flush();

-- nothing is recorded
SELECT dbperf.slow_queries_reset();
SELECT * FROM advice;

SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM address WHERE city = 'city 17' AND zip = 10119;
SELECT count(*) FROM address WHERE city IN ('city 17', 'city 18') AND zip IN (10119, 10126) AND floor >= 0;
SELECT count(*) FROM payment WHERE NOT refused AND reason = 'r2';
SELECT count(*) FROM (SELECT shop, region FROM sale GROUP BY shop, region) AS g;
SELECT count(*) FROM parcel WHERE ordered > 10000 AND shipped < 10500;
SELECT count(*) FROM dice WHERE one = 3 AND other = 4;
SELECT count(*) FROM (SELECT DISTINCT one, other FROM dice) AS g;
-- of 160 such values 100 are known
SELECT count(*) FROM code WHERE code = 3;
SELECT count(*) FROM code WHERE code = 64;
SELECT count(*) FROM code WHERE code = 105;
SELECT count(*) FROM code WHERE code = 27;
SELECT count(*) FROM code WHERE code = 150;
SELECT count(*) FROM code WHERE code = 93;
SELECT count(*) FROM code WHERE code = 181;
SELECT count(*) FROM code WHERE code = 46;
SELECT count(*) FROM code WHERE code = 72;
SELECT count(*) FROM code WHERE code = 11;
SELECT count(*) FROM fresh WHERE kind = 5000;
SELECT count(*) FROM event WHERE a = 5 AND b = 10;
SELECT count(*) FROM (SELECT a, b FROM event GROUP BY a, b) AS g;
SELECT count(*) FROM "o'dd ""table" WHERE "a""; DROP TABLE dice; --" = 5 AND "Group" = 10;
SELECT count(*) FROM unbuilt WHERE a = 5 AND b = 5;
SELECT count(*) FROM feeling WHERE mood = 'sad' AND day = 15;
-- statistics on three columns serve two of them as well
SELECT count(*) FROM tree WHERE a = 5 AND b = 5;
SELECT count(*) FROM tree WHERE a = 5 AND b = 5 AND c = '-5';
-- the other condition is not of a known form
SELECT count(*) FROM tree WHERE a = 6 AND b = 6 AND c::text LIKE '%6';
-- not run to the end: says nothing
SELECT 1 FROM dice WHERE one = 3 LIMIT 1;
RESET dbperf.slow_query_min_duration;

\x on
SELECT * FROM advice;

-- in words
SELECT table_name, regexp_replace(reason, '\d+', 'N', 'g') AS reason
  FROM dbperf.suggest_statistics() WHERE table_name IN ('address', 'fresh', 'parcel', 'sale', 'unbuilt')
 ORDER BY table_name;
\x off

-- as it stands it can be run, and there is nothing left to do
SELECT ddl FROM dbperf.suggest_statistics() WHERE ddl IS NOT NULL AND schema_name = 'stats'
 ORDER BY table_name, ddl
\gexec
SELECT stxname, stxkind FROM pg_statistic_ext WHERE stxnamespace = 'stats'::regnamespace ORDER BY 1;
SELECT table_name, columns, kind, fixable FROM advice;

-- nor after the same queries have been run again
SELECT dbperf.slow_queries_reset();
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM address WHERE city = 'city 17' AND zip = 10119;
SELECT count(*) FROM (SELECT shop, region FROM sale GROUP BY shop, region) AS g;
SELECT count(*) FROM (SELECT a, b FROM event GROUP BY a, b) AS g;
SELECT count(*) FROM unbuilt WHERE a = 5 AND b = 5;
SELECT count(*) FROM code WHERE code = 150;
RESET dbperf.slow_query_min_duration;
SELECT table_name, columns, kind, fixable FROM advice;

-- a name that is taken is not used
DROP STATISTICS address_city_zip_stat;
CREATE STATISTICS address_city_zip_stat ON id, zip FROM address;
SELECT dbperf.slow_queries_reset();
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM address WHERE city = 'city 17' AND zip = 10119;
RESET dbperf.slow_query_min_duration;
SELECT ddl FROM advice;

--
-- rights: the sample is the caller's
--
CREATE ROLE regress_stats_app;
CREATE ROLE regress_stats_reader;
CREATE ROLE regress_stats_monitor IN ROLE pg_read_all_stats;
GRANT USAGE ON SCHEMA stats TO regress_stats_app, regress_stats_monitor, regress_stats_reader;
GRANT SELECT ON address TO regress_stats_app;
GRANT SELECT (city) ON address TO regress_stats_monitor;
SELECT dbperf.slow_queries_reset();
SET dbperf.slow_query_min_duration = 0;
SET ROLE regress_stats_app;
SELECT count(*) FROM stats.address WHERE city = 'city 19' AND zip = 10133;
RESET ROLE;
RESET dbperf.slow_query_min_duration;
SET ROLE regress_stats_app;
SELECT table_name, columns, verified_on, fixable FROM dbperf.suggest_statistics();
-- others see nothing of it
SET ROLE regress_stats_reader;
SELECT table_name, columns, verified_on, fixable FROM dbperf.suggest_statistics();
-- may see the statement, but not the column
SET ROLE regress_stats_monitor;
SELECT columns, kind, verified_on, fixable, ddl, q_error_after, reason FROM dbperf.suggest_statistics();
RESET ROLE;
-- policies are not run
CREATE FUNCTION policy(int) RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'the policy was run by %', current_user; END $$;
GRANT SELECT ON address TO regress_stats_monitor;
CREATE POLICY own ON address USING (policy(id));
ALTER TABLE address ENABLE ROW LEVEL SECURITY;
SET ROLE regress_stats_monitor;
SELECT columns, kind, verified_on, fixable, ddl, reason FROM dbperf.suggest_statistics();
RESET ROLE;
ALTER TABLE address DISABLE ROW LEVEL SECURITY;
-- nor operators of anybody's
CREATE TYPE pair AS (x int, y int);
CREATE TABLE typed AS SELECT i % 100 AS a, i % 100 AS b, ROW(i, i)::pair AS p FROM generate_series(1, 20000) AS i;
ANALYZE typed;
SELECT dbperf.slow_queries_reset();
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM typed WHERE a = 5 AND b = 5 AND p < ROW(100000, 1)::pair;
RESET dbperf.slow_query_min_duration;
SELECT columns, kind, fixable FROM advice;

-- one that cannot be read keeps nothing from the others
CREATE MATERIALIZED VIEW daily AS SELECT i % 100 AS a, i % 100 AS b FROM generate_series(1, 20000) AS i;
ANALYZE daily;
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM daily WHERE a = 5 AND b = 5;
RESET dbperf.slow_query_min_duration;
REFRESH MATERIALIZED VIEW daily WITH NO DATA;
SELECT table_name, columns, kind, fixable, reason ~ 'could not be read' AS unread
  FROM dbperf.suggest_statistics() ORDER BY 1;
DROP MATERIALIZED VIEW daily;

-- a table that is gone, and one with another name
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM feeling WHERE mood = 'sad' AND day = 16;
RESET dbperf.slow_query_min_duration;
DROP TABLE feeling;
ALTER TABLE typed RENAME TO typed_before;
SELECT table_name, columns FROM advice;

REVOKE ALL ON address FROM regress_stats_app, regress_stats_monitor;
REVOKE ALL ON SCHEMA stats FROM regress_stats_app, regress_stats_monitor, regress_stats_reader;
DROP ROLE regress_stats_app, regress_stats_monitor, regress_stats_reader;
SET client_min_messages = warning;
DROP SCHEMA stats CASCADE;
SELECT dbperf.slow_queries_reset();
