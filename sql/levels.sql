-- What a function does is never taken for something that a client has sent, not
-- even where what called it is not followed; and afterwards nobody is blind.
SET client_min_messages = warning;
SET dbperf.slow_query_max_rate = 0;
CREATE FUNCTION noise(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR i IN 1..n LOOP
        BEGIN
            FOR r IN SELECT 1 / (a - 3) FROM generate_series(1, 5) a LOOP
                NULL;
            END LOOP;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
        BEGIN
            EXECUTE 'SELECT 1/0';
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
        PERFORM count(*) FROM pg_class;
    END LOOP;
    RETURN 1;
END $$;
CREATE FUNCTION prunes() RETURNS int STABLE LANGUAGE plpgsql AS $$
DECLARE
    r int;
BEGIN
    SELECT 1 / (relnatts - relnatts) INTO r FROM pg_class;
    RETURN 1;
EXCEPTION WHEN division_by_zero THEN RETURN 1;
END $$;
CREATE TABLE ruled (a int);
CREATE TABLE added (a int);
CREATE RULE adds AS ON INSERT TO ruled DO ALSO INSERT INTO added SELECT noise(2);
CREATE TABLE parts (k int) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM noise(2);
    RETURN NULL;
END $$;
CREATE TABLE deferring (a int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON deferring
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later();

SELECT dbperf.slow_queries_reset();
SET dbperf.slow_query_min_duration = 0;
INSERT INTO ruled VALUES (1);
SELECT 'after a rule' AS t;
INSERT INTO deferring VALUES (1);
SELECT 'after a commit' AS t;
BEGIN;
INSERT INTO deferring VALUES (2);
COMMIT;
SELECT 'after a COMMIT' AS t;
SELECT * FROM parts WHERE k = prunes();
SELECT 'after pruning' AS t;
SET dbperf.enabled = off;
SELECT set_config('dbperf.enabled', 'on', false), noise(2);
SELECT 'after being off' AS t;
PREPARE q (int) AS SELECT $1;
EXECUTE q (noise(2));
PREPARE bad (int) AS SELECT 1 / $1;
EXECUTE bad (noise(1) - 1);
SELECT 'after EXECUTE' AS t;
SET log_min_messages = fatal;
BEGIN;
SAVEPOINT s;
SELECT 1 / (relnatts - relnatts) FROM pg_class;
ROLLBACK TO s;
SELECT 'after an unseen error' AS t;
COMMIT;
RESET log_min_messages;
BEGIN;
DECLARE c CURSOR FOR SELECT noise(1) FROM generate_series(1, 2);
FETCH c;
FETCH c;
CLOSE c;
COMMIT;
SET dbperf.slow_query_min_duration = -1;
SELECT level, command, sqlstate, query
  FROM dbperf.slow_queries
 WHERE pid = pg_backend_pid()
 ORDER BY id;
DROP TABLE ruled, added, parts, deferring;
DROP FUNCTION noise, prunes, later;
