-- Settings of single queries.
SET search_path = public, dbperf;
SET dbperf.track = 'all';
CREATE TABLE steered (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO steered SELECT i, i % 10 FROM generate_series(1, 2000) i;
VACUUM (FREEZE, ANALYZE) steered;

-- the id of a query, and its plan, as this session would make it now
CREATE FUNCTION id_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (VERBOSE, FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 ->> 'Query Identifier')::bigint;
END $$;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;

-- planning: this query and no other
SELECT v FROM steered WHERE id = 5;
SELECT id_of('SELECT v FROM steered WHERE id = 5') AS by_id \gset
SELECT plan_of('SELECT v FROM steered WHERE id = 5');
SELECT set_query_settings(:by_id, '{"enable_indexscan": false, "enable_bitmapscan": "off"}', 'a test');
SELECT plan_of('SELECT v FROM steered WHERE id = 77');
SELECT plan_of('SELECT v + 1 FROM steered WHERE id = 77');
SHOW enable_indexscan;
SELECT settings, enabled, note, created = now() AS now FROM query_settings;

-- execution
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
SELECT id_of($$SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1$$) AS shows \gset
SELECT set_query_settings(:shows, '{"work_mem": 1024}');
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
SHOW work_mem;
SET work_mem = '5MB';
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 2;
SHOW work_mem;
SELECT source FROM pg_settings WHERE name = 'work_mem';
RESET work_mem;

-- a transaction's own change is seen by it, and undone with it
BEGIN;
SELECT clear_query_settings(:by_id);
SELECT plan_of('SELECT v FROM steered WHERE id = 77');
SAVEPOINT s;
SELECT set_query_settings(:shows, '{"work_mem": "2MB"}');
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
ROLLBACK TO s;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
ROLLBACK;
SELECT plan_of('SELECT v FROM steered WHERE id = 77');

-- plans that are kept
SELECT clear_query_settings(:by_id);
SET plan_cache_mode = force_generic_plan;
PREPARE kept(int) AS SELECT v FROM steered WHERE id = $1;
EXECUTE kept(1);
EXPLAIN (COSTS OFF) EXECUTE kept(1);
SELECT id_of('EXECUTE kept(1)') AS by_id \gset
SELECT set_query_settings(:by_id, '{"enable_indexscan": false, "enable_bitmapscan": false}');
EXPLAIN (COSTS OFF) EXECUTE kept(1);
BEGIN;
SELECT clear_query_settings(:by_id);
EXPLAIN (COSTS OFF) EXECUTE kept(1);
ROLLBACK;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
UPDATE query_settings SET enabled = false WHERE queryid = :by_id;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
UPDATE query_settings SET enabled = true WHERE queryid = :by_id;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
SET dbperf.enabled = off;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
RESET dbperf.enabled;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
TRUNCATE query_settings;
EXPLAIN (COSTS OFF) EXECUTE kept(1);
DEALLOCATE kept;
RESET plan_cache_mode;

-- tables in a subquery
SELECT (SELECT v FROM steered WHERE id = 5) AS sub;
SELECT id_of('SELECT (SELECT v FROM steered WHERE id = 5) AS sub') AS sub \gset
SELECT set_query_settings(:sub, '{"enable_indexscan": false, "enable_bitmapscan": false}');
SELECT trim(p) AS scan FROM plan_of('SELECT (SELECT v FROM steered WHERE id = 5) AS sub') p WHERE p LIKE '%Scan%';

-- errors end it
CREATE FUNCTION fails(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (1 / $1)::text || ' with ' || current_setting('work_mem');
END $$;
SELECT fails(id - 9) FROM steered WHERE id = 8;
SELECT id_of('SELECT fails(id - 9) FROM steered WHERE id = 8') AS failing \gset
SELECT set_query_settings(:failing, '{"work_mem": "3MB"}');
SELECT fails(id - 9) FROM steered WHERE id = 8;
SELECT fails(id - 9) FROM steered WHERE id = 9;
SHOW work_mem;
BEGIN;
SET LOCAL work_mem = '6MB';
SAVEPOINT s;
SELECT fails(id - 9) FROM steered WHERE id = 9;
ROLLBACK TO s;
SHOW work_mem;
COMMIT;
SHOW work_mem;
DO $$
DECLARE
    result text;
BEGIN
    FOR i IN 8 .. 9 LOOP
        BEGIN
            SELECT fails(id - 9) INTO result FROM steered WHERE id = i;
            RAISE NOTICE '%, then %', result, current_setting('work_mem');
        EXCEPTION WHEN division_by_zero THEN
            RAISE NOTICE 'failed, then %', current_setting('work_mem');
        END;
    END LOOP;
END $$;
SHOW work_mem;
SET statement_timeout = '50ms';
SELECT fails(id - 9), pg_sleep(5) FROM steered WHERE id = 8;
RESET statement_timeout;
SHOW work_mem;

-- what a statement sets itself stays, save SET LOCAL of one of its settings
CREATE FUNCTION sets(setting text, value text, is_local bool) RETURNS text
LANGUAGE sql VOLATILE AS 'SELECT set_config($1, $2, $3)';
SELECT sets('random_page_cost', '4', true), id FROM steered WHERE id = 1;
SELECT id_of($$SELECT sets('random_page_cost', '4', true), id FROM steered WHERE id = 1$$) AS setting \gset
SELECT set_query_settings(:setting, '{"work_mem": "3MB", "enable_sort": false}');
BEGIN;
SELECT sets('random_page_cost', '7', true), id FROM steered WHERE id = 1;
SELECT sets('geqo_threshold', '7', false), id FROM steered WHERE id = 1;
SELECT sets('work_mem', '8MB', true), id FROM steered WHERE id = 1;
SELECT sets('enable_sort', 'on', false), id FROM steered WHERE id = 1;
SELECT name, setting FROM pg_settings
 WHERE name IN ('random_page_cost', 'geqo_threshold', 'work_mem', 'enable_sort') ORDER BY 1;
SELECT sets('work_mem', '9MB', false), id FROM steered WHERE id = 1;
SHOW work_mem;
COMMIT;
SHOW work_mem;
SHOW geqo_threshold;
SHOW random_page_cost;
BEGIN;
SELECT sets('work_mem', '10MB', false), id FROM steered WHERE id = 1;
SHOW work_mem;
ROLLBACK;
SHOW work_mem;
RESET work_mem;
RESET geqo_threshold;

-- statements in functions, and portals that take turns
CREATE FUNCTION turns() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    a CURSOR FOR SELECT id || ' a ' || current_setting('work_mem') FROM steered WHERE v = 1;
    b CURSOR FOR SELECT concat(id, ' b ', current_setting('work_mem')) FROM steered WHERE v = 2;
    line text;
BEGIN
    OPEN a;
    OPEN b;
    FOR i IN 1 .. 2 LOOP
        FETCH a INTO line;
        RETURN NEXT line;
        FETCH b INTO line;
        RETURN NEXT line;
        RETURN NEXT 'between ' || current_setting('work_mem');
    END LOOP;
    CLOSE a;
    FETCH b INTO line;
    RETURN NEXT line;
END $$;
SELECT count(*) FROM turns();
SELECT set_query_settings(id_of($$SELECT id || ' a ' || current_setting('work_mem') FROM steered WHERE v = 1$$),
                          '{"work_mem": "1MB"}'),
       set_query_settings(id_of($$SELECT concat(id, ' b ', current_setting('work_mem')) FROM steered WHERE v = 2$$),
                          '{"work_mem": "2MB"}');
SELECT * FROM turns();

-- a portal that outlives its transaction
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN SELECT id || ' of 4 ' || current_setting('work_mem') FROM steered WHERE id BETWEEN 1 AND 4 LOOP
        RAISE NOTICE '%, then %', line, current_setting('work_mem');
        COMMIT;
    END LOOP;
END $$;
CALL commits();
SELECT set_query_settings(id_of($$SELECT id || ' of 4 ' || current_setting('work_mem') FROM steered WHERE id BETWEEN 1 AND 4$$),
                          '{"work_mem": "1MB"}');
CALL commits();
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id, current_setting('work_mem') IS NOT NULL FROM steered WHERE id < 4;
FETCH 1 FROM held;
COMMIT;
FETCH ALL FROM held;
CLOSE held;
SHOW work_mem;

-- triggers at the end of a statement, and deferred ones
CREATE TABLE audited (id int, seen text);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% with %', TG_NAME, current_setting('work_mem');
    RETURN NULL;
END $$;
CREATE TRIGGER at_once AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION audit();
CREATE CONSTRAINT TRIGGER at_end AFTER INSERT ON audited DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit();
INSERT INTO audited VALUES (1, 'x');
SELECT set_query_settings(id_of($$INSERT INTO audited VALUES (1, 'x')$$), '{"work_mem": "1MB"}');
INSERT INTO audited VALUES (2, 'y');

-- parallel workers have the settings of their leader, who plans for functions as ever
SELECT current_setting('work_mem') AS work_mem, count(*) FROM steered GROUP BY 1;
SELECT id_of($$SELECT current_setting('work_mem') AS work_mem, count(*) FROM steered GROUP BY 1$$) AS parallel \gset
SELECT set_query_settings(:parallel, '{"work_mem": "7MB", "max_parallel_workers_per_gather": 2,
    "parallel_setup_cost": 0, "parallel_tuple_cost": 0, "min_parallel_table_scan_size": 0,
    "parallel_leader_participation": false}');
SELECT trim(p) AS line FROM plan_of($$SELECT current_setting('work_mem') AS work_mem, count(*) FROM steered GROUP BY 1$$) p
 WHERE p ~ 'Scan|Workers';
SELECT current_setting('work_mem') AS work_mem, count(*) FROM steered GROUP BY 1;
CREATE FUNCTION nested(int) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT current_setting('work_mem') || v / 100 FROM steered WHERE id = $1);
END $$;
SELECT nested(1);
SELECT nested(id) AS nested, count(*) FROM steered WHERE id < 100 GROUP BY 1;
SELECT set_query_settings(queryid, '{"work_mem": "1MB"}') FROM query_samples
 WHERE NOT toplevel AND query LIKE '%current_setting(%) || v / 100 FROM%';
SELECT set_query_settings(id_of('SELECT nested(id) AS nested, count(*) FROM steered WHERE id < 100 GROUP BY 1'),
    '{"max_parallel_workers_per_gather": 2, "parallel_setup_cost": 0, "parallel_tuple_cost": 0,
      "min_parallel_table_scan_size": 0, "min_parallel_index_scan_size": 0}');
SELECT nested(1);
SELECT sum(count) FROM (SELECT nested(id) AS nested, count(*) FROM steered WHERE id < 100 GROUP BY 1) g;
SHOW work_mem;

-- what came of it
SELECT v AS mine FROM steered WHERE id = 3;
SELECT v AS mine FROM steered WHERE id = 4;
SELECT id_of('SELECT v AS mine FROM steered WHERE id = 3') AS mine \gset
SELECT set_query_settings(:mine, '{"enable_seqscan": false}', 'no scans');
SELECT note, enabled, calls_before, mean_before_ms > 0 AS mean, p95_before_ms > 0 AS p95,
       calls_after, mean_after_ms, p95_after_ms
  FROM query_settings_effect WHERE queryid = :mine;
SELECT v AS mine FROM steered WHERE id = 3;
SELECT calls_before, calls_after, mean_after_ms > 0 AS mean, p95_after_ms > 0 AS p95
  FROM query_settings_effect WHERE queryid = :mine;
SELECT set_query_settings(:mine, '{"enable_seqscan": true}');
SELECT calls_before, calls_after FROM query_settings_effect WHERE queryid = :mine;
SELECT clear_query_settings(:mine);
SELECT v AS mine FROM steered WHERE id = 3;
SELECT set_query_settings(:mine, '{"enable_seqscan": true}');
SELECT calls_before, calls_after FROM query_settings_effect WHERE queryid = :mine;
SELECT clear_query_settings(:mine);
SELECT set_query_settings(:mine, '{"enable_seqscan": true}');
SELECT calls_before, calls_after FROM query_settings_effect WHERE queryid = :mine;
DELETE FROM query_settings;

-- refused
SELECT array_length(accepted_settings(), 1) > 50 AS some, accepted_settings() @> '{work_mem,jit}' AS two;
SELECT set_query_settings(0, '{"work_mem": "1MB"}');
SELECT set_query_settings(NULL, '{"work_mem": "1MB"}');
SELECT set_query_settings(:mine, NULL);
SELECT set_query_settings(123456789, '{"work_mem": "1MB"}');
/* a command */ -- that is
SHOW work_mem;
\set VERBOSITY sqlstate
SELECT set_query_settings(max(queryid), '{"work_mem": "1MB"}') FROM query_samples
 WHERE query LIKE '%SHOW work_mem%' AND query NOT LIKE '%query_samples%';
SELECT clear_query_settings(:mine);
\set VERBOSITY default
SELECT set_query_settings(:mine, '{}');
SELECT set_query_settings(:mine, '["work_mem"]');
SELECT set_query_settings(:mine, '"work_mem"');
SELECT set_query_settings(:mine, '{"work_mem": null}');
SELECT set_query_settings(:mine, '{"work_mem": ["1MB"]}');
SELECT set_query_settings(:mine, '{"work_mem": {"is": "1MB"}}');
SELECT set_query_settings(:mine, '{"work_mem": "1XB"}');
SELECT set_query_settings(:mine, '{"work_mem": "1MB", "hash_mem_multiplier": 0.1}');
SELECT set_query_settings(:mine, '{"enable_sort": "maybe"}');
SELECT set_query_settings(:mine, '{"constraint_exclusion": "sometimes"}');
SELECT set_query_settings(:mine, '{"geqo_threshold": 1e30}');
SELECT set_query_settings(:mine, '{"Work_Mem": "1MB"}');
SELECT set_query_settings(:mine, '{"plan_cache_mode": "force_custom_plan"}');
SELECT set_query_settings(:mine, '{"default_statistics_target": 100}');
SELECT set_query_settings(:mine, '{"log_statement": "all"}');
SELECT set_query_settings(:mine, '{"dbperf.enabled": false}');
SELECT set_query_settings(:mine, '{"session_authorization": "postgres"}');
SELECT set_query_settings(:mine, '{"no such setting": 1}');
SELECT clear_query_settings(123456789);
SELECT clear_query_settings(0);
SELECT clear_query_settings(NULL);
SELECT count(*) FROM query_settings;
SELECT query_settings_changed();

-- rows that nobody has checked are not used if they are not right
INSERT INTO query_settings (queryid, settings) VALUES
    (:shows, '{"work_mem": "1MB", "role": "postgres"}'), (0, '{"work_mem": "1MB"}');
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings SET settings = '{"work_mem": "1MB", "jit": "perhaps"}' WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings SET settings = '[1, {"a": [2]}]' WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings SET settings = 'null' WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings SET settings = jsonb_build_object('work_mem', repeat('1', 3000)) WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings
   SET settings = (SELECT jsonb_object_agg('x' || i, md5(i::text)) FROM generate_series(1, 3000) i)
 WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
UPDATE query_settings SET settings = '{"work_mem": "1MB"}' WHERE queryid = :shows;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;

-- plain roles have the settings of others' queries, and give none
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_stats IN ROLE pg_read_all_stats;
GRANT SELECT ON steered TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
SELECT set_query_settings(:shows, '{"work_mem": "2MB"}');
SELECT clear_query_settings(:shows);
SELECT * FROM query_settings;
SELECT * FROM query_settings_baseline;
SELECT * FROM query_settings_effect;
SELECT query_settings_latency(:shows, NULL);
SELECT accepted_settings() IS NOT NULL AS readable;
SET ROLE regress_dbperf_stats;
SELECT settings, calls_before IS NULL AS unknown, calls_after > 0 AS executed FROM query_settings_effect WHERE queryid = :shows;
INSERT INTO query_settings (queryid, settings) VALUES (1, '{}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION set_query_settings(bigint, jsonb, text), clear_query_settings(bigint) TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT set_query_settings(:shows, '{"work_mem": "2MB"}');
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
SELECT current_user;
SELECT clear_query_settings(:shows);
SELECT id, current_setting('work_mem') AS work_mem FROM steered WHERE id = 1;
RESET ROLE;
REVOKE ALL ON FUNCTION set_query_settings(bigint, jsonb, text), clear_query_settings(bigint) FROM regress_dbperf_plain;
DROP OWNED BY regress_dbperf_plain;
DROP ROLE regress_dbperf_plain, regress_dbperf_stats;

TRUNCATE query_settings, query_settings_baseline;
DROP TABLE steered, audited;
DROP FUNCTION id_of, plan_of, fails, sets, turns, audit, nested;
DROP PROCEDURE commits;
