-- How much of what statements ask for existing indexes serve.
SET synchronous_commit = on;	-- so that VACUUM knows which rows all can see
CREATE SCHEMA coverage;
SET search_path = coverage, public;
CREATE TABLE item (id int PRIMARY KEY, owner int, state text, made timestamp, price int, label text);
INSERT INTO item
SELECT g, g % 2000, CASE WHEN g % 3 = 0 THEN 'new' ELSE 'old' END,
       timestamp '2024-01-01' + g * interval '1 min', (g * 7919) % 10007, 'item ' || g
  FROM generate_series(1, 20000) g;
CREATE TABLE owner (id int PRIMARY KEY, mail text, parent int);
INSERT INTO owner SELECT g, 'o' || g || '@example.org', g / 2 FROM generate_series(1, 4000) g;
CREATE INDEX ON item (price);
VACUUM (ANALYZE) item, owner;

-- served by the primary key; by another index; by none but could be; not by
-- any index, which counts neither way
SELECT queryid, table_name, predicate, kind, covered, suggestion IS NOT NULL AS suggestion
  FROM dbperf.predicate_coverage(ARRAY[
    'SELECT * FROM item WHERE id = $1',
    'SELECT * FROM item WHERE price BETWEEN 10 AND 12',
    'SELECT * FROM item WHERE owner = $1 ORDER BY made DESC LIMIT 10',
    'SELECT * FROM item JOIN owner ON owner.id = item.owner WHERE item.id = $1',
    'SELECT * FROM owner WHERE mail = $1',
    'SELECT count(*), min(label) FROM item WHERE state = $1 GROUP BY label'])
 ORDER BY 1, 2, 3, 4;

-- weights are shares of the statements' cost
SELECT bool_and(weight BETWEEN 0 AND 1) AS shares,
       max(weight) FILTER (WHERE predicate = 'id = ?') < max(weight) FILTER (WHERE predicate = 'owner = ?') AS by_cost
  FROM dbperf.predicate_coverage(ARRAY[
    'SELECT * FROM item WHERE id = $1',
    'SELECT * FROM item WHERE owner = $1']);

-- what is missing, with the statements that miss it
SELECT table_name, predicate, kind, queries, suggestion ~ '^CREATE INDEX CONCURRENTLY' AS suggestion
  FROM dbperf.uncovered_predicates(ARRAY[
    'SELECT * FROM item WHERE owner = $1',
    'SELECT id FROM item WHERE owner = 7',
    'SELECT * FROM item WHERE id = $1']);

-- following all of the advice gives 100 %
CREATE FUNCTION uncovered(queries text[]) RETURNS bigint LANGUAGE sql AS
    'SELECT count(*) FROM dbperf.uncovered_predicates($1)';
CREATE PROCEDURE follow(queries text[]) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN SELECT ddl FROM dbperf.suggest_indexes(follow.queries) LOOP
        EXECUTE replace(statement, ' CONCURRENTLY', '');
    END LOOP;
END
$$;
SELECT ARRAY['SELECT * FROM item WHERE owner = $1 ORDER BY made DESC LIMIT 10',
             'SELECT * FROM item WHERE owner = $1 AND made > $2',
             'SELECT * FROM owner WHERE lower(mail) = $1',
             'SELECT * FROM item i JOIN owner o ON o.id = i.owner WHERE o.mail = $1',
             'SELECT max(made) FROM item',
             'UPDATE item SET label = $1 WHERE made < timestamp ''2024-01-01 00:10''',
             'SELECT * FROM item WHERE label = $1 OR made = $2'] AS workload \gset
SELECT uncovered(:'workload') > 5 AS much_is_missing;
CALL follow(:'workload');
VACUUM (ANALYZE) item, owner;
SELECT uncovered(:'workload') AS nothing_is_missing;
SELECT count(*) > 5 AS predicates, bool_and(covered) AS all_covered
  FROM dbperf.predicate_coverage(:'workload');

-- a partial index tests its predicate by existing
CREATE TABLE part (a int, b int, c text);
INSERT INTO part SELECT g, g % 100, CASE WHEN g % 200 = 0 THEN 'rare' ELSE 'usual' END
  FROM generate_series(1, 20000) g;
CREATE INDEX ON part (a) WHERE c = 'rare';
VACUUM (ANALYZE) part;
SELECT predicate, kind, covered
  FROM dbperf.predicate_coverage(ARRAY['SELECT * FROM part WHERE a = $1 AND c = ''rare'''])
 ORDER BY 1;

-- partitions
CREATE TABLE log (at timestamp, kind int) PARTITION BY RANGE (at);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2024-02-01') TO ('2024-04-01');
INSERT INTO log SELECT timestamp '2024-01-01' + g * interval '5 min', g % 1000
  FROM generate_series(1, 20000) g;
VACUUM (ANALYZE) log;
SELECT table_name, predicate, kind, covered
  FROM dbperf.predicate_coverage(ARRAY['SELECT * FROM log WHERE kind = $1']);
CREATE INDEX ON log (kind);
SELECT table_name, predicate, kind, covered
  FROM dbperf.predicate_coverage(ARRAY['SELECT * FROM log WHERE kind = $1']);

-- the recorded workload; a plain role sees what it sent itself
SELECT dbperf.query_latency_reset(database_name => current_database()) >= 0 AS removed;
SELECT pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT count(*) FROM item WHERE price = 5;
SELECT count(*) > 0 AS any FROM dbperf.index_coverage WHERE table_name = 'coverage.item';
SELECT count(*) = 1 AS one_row, bool_and(coverage_pct BETWEEN 0 AND 100) AS percent,
       bool_and(covered_weight <= weight) AS sums
  FROM dbperf.index_coverage_total;
SELECT bool_and(coverage_pct BETWEEN 0 AND 100 AND covered_predicates <= predicates) AS percent
  FROM dbperf.index_coverage_queries;
CREATE ROLE regress_dbperf_cover;
GRANT USAGE ON SCHEMA coverage TO regress_dbperf_cover;
GRANT SELECT ON owner TO regress_dbperf_cover;
SET ROLE regress_dbperf_cover;
SELECT predicates, weight, covered_weight, coverage_pct FROM dbperf.index_coverage_total;
SELECT count(*) FROM owner WHERE id = 5;
SELECT table_name, predicates, coverage_pct FROM dbperf.index_coverage;
RESET ROLE;

-- what the time does not suffice for is said
CREATE FUNCTION sleepy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN PERFORM pg_catalog.pg_sleep(0.5); RETURN $1; END';
ALTER FUNCTION sleepy(int) OWNER TO regress_dbperf_cover;
GRANT SELECT ON item TO regress_dbperf_cover;
GRANT EXECUTE ON FUNCTION dbperf.report(timestamptz, timestamptz) TO regress_dbperf_cover;
SET ROLE regress_dbperf_cover;
SELECT queryid, predicate, covered, complete
  FROM dbperf.predicate_coverage(ARRAY['SELECT * FROM owner WHERE id = 5',
                                       'SELECT * FROM item WHERE made = $1 AND id = sleepy(7)'], '1.5 s');
SELECT predicate, covered, complete
  FROM dbperf.predicate_coverage(ARRAY['SELECT * FROM owner WHERE id = 5'], '1 min');
SELECT queries FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM item WHERE label = $1 AND id < sleepy(7)'],
                                           time_limit => '1.5 s');
SELECT count(*) FROM item WHERE made = timestamp '2024-01-01' AND id < sleepy(7);
SELECT page ~ 'Left out for want of time: [1-9][0-9]* of [0-9]+ queries. So there is no percentage' AS said,
       page ~ 'Left out for want of time: [1-9][0-9]* of [0-9]+ queries. SELECT \* FROM dbperf.suggest_indexes' AS of_advice,
       page ~ '100 ?%' AS percentage
  FROM regexp_replace(substring(dbperf.report() FROM '<section id="indexes".*<section id="advice"'), '<[^>]*>', '', 'g') AS page;
RESET ROLE;

-- bad arguments, and statements that cannot be analysed
SELECT * FROM dbperf.predicate_coverage('{}');
SELECT * FROM dbperf.predicate_coverage(ARRAY['SELECT 1'], '-1 s');
SELECT * FROM dbperf.predicate_coverage(ARRAY['SELECT 1'], NULL);
SELECT * FROM dbperf.predicate_coverage(ARRAY['SELECT 1'], '1 month');
SELECT * FROM dbperf.predicate_coverage(ARRAY['SELEC', NULL, 'SELECT * FROM missing', 'SELECT 1']);

DROP OWNED BY regress_dbperf_cover;
DROP ROLE regress_dbperf_cover;
SET client_min_messages = warning;
DROP SCHEMA coverage CASCADE;
