-- How an index is judged: planted measurements, times that are given.
CREATE SCHEMA judged;
TRUNCATE dbperf.index_advice RESTART IDENTITY;
TRUNCATE dbperf.index_advice_measurements;
-- built on 10 March at 12:00, in five minutes
INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl,
    status, build_started_at, applied_at, index_name)
VALUES ('judged', 'Orders', 'btree', '{a}', 'ON judged."Orders" USING btree (a)', '', 'applied',
        '2026-03-10 12:00:00+00', '2026-03-10 12:05:00+00', 'orders_a_idx');

-- Measurements of one query: every hour of "days" before and after the build,
-- and around it; so many calls an hour, of so many milliseconds.
CREATE PROCEDURE judged.plant(query bigint, tables text[], calls int, ms_before float8,
                              ms_after float8, days int DEFAULT 2)
LANGUAGE sql
AS $$
    INSERT INTO dbperf.index_advice_measurements (queryid, taken_at, calls, total_ms, tables)
    SELECT query, t, sum(n) OVER w, sum(ms) OVER w, tables
      FROM (SELECT t, calls AS n, calls * ms_before AS ms
              FROM generate_series('2026-03-10 12:00+00'::timestamptz - days * interval '1 day',
                                   '2026-03-10 12:00+00', '1 hour') AS t
            UNION ALL
            SELECT '2026-03-10 12:05+00', 100000, 1e9
            UNION ALL
            SELECT t, calls, calls * ms_after
              FROM generate_series('2026-03-10 13:05+00'::timestamptz,
                                   '2026-03-10 12:05+00'::timestamptz + days * interval '1 day',
                                   '1 hour') AS t) AS s
    WINDOW w AS (ORDER BY t)
$$;
CREATE FUNCTION judged.verdict(at_time timestamptz DEFAULT '2026-03-12 12:05+00',
    OUT verdict text, OUT calls_before bigint, OUT calls_after bigint, OUT ratio numeric,
    OUT control_ratio numeric)
LANGUAGE sql
AS $$
    SELECT j.verdict, j.calls_before, j.calls_after, round(j.ratio::numeric, 3),
           round(j.control_ratio::numeric, 3)
      FROM dbperf.judge_index_advice(1, at_time) AS j
$$;

-- nothing is measured: too early to say, and after a week inconclusive
SELECT * FROM judged.verdict();
SELECT * FROM judged.verdict('2026-03-17 12:05+00');

-- the build itself does not count
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 5, 2);
SELECT * FROM judged.verdict();
-- other queries have become faster as well
CALL judged.plant(2, '{judged.other}', 100, 10, 4);
SELECT * FROM judged.verdict();
SELECT detail FROM dbperf.judge_index_advice(1, '2026-03-12 12:05+00');
-- so writes to the table count
CALL judged.plant(3, '{judged.another,"judged.\"Orders\""}', 10, 1, 9);
SELECT * FROM judged.verdict();
ROLLBACK;

-- as before
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 5, 5.5);
CALL judged.plant(2, '{judged.other}', 10, 7, 7);
SELECT * FROM judged.verdict();
ROLLBACK;

-- the limits
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 100, 79);
SELECT * FROM judged.verdict();
TRUNCATE dbperf.index_advice_measurements;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 100, 81);
SELECT * FROM judged.verdict();
TRUNCATE dbperf.index_advice_measurements;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 100, 124);
SELECT * FROM judged.verdict();
TRUNCATE dbperf.index_advice_measurements;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 100, 126);
SELECT * FROM judged.verdict();
ROLLBACK;

-- not slower but more often: another mix of queries is no verdict
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 1, 1);
INSERT INTO dbperf.index_advice_measurements
SELECT 4, t, 1000 * row_number() OVER (ORDER BY t), 1e6 * row_number() OVER (ORDER BY t),
       '{"judged.\"Orders\""}'
  FROM generate_series('2026-03-10 12:05+00'::timestamptz, '2026-03-12 12:05+00', '1 hour') AS t;
SELECT * FROM judged.verdict();
ROLLBACK;

-- only equal hours are compared: slow nights are on both sides or on none
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 100, 10, 10);
UPDATE dbperf.index_advice_measurements AS m SET total_ms = s.ms
  FROM (SELECT taken_at,
               sum(CASE WHEN extract(hour FROM taken_at AT TIME ZONE 'UTC') BETWEEN 1 AND 6
                        THEN 100000 ELSE 1000 END) OVER (ORDER BY taken_at) AS ms
          FROM dbperf.index_advice_measurements) AS s
 WHERE s.taken_at = m.taken_at;
-- after the build there are only nights
DELETE FROM dbperf.index_advice_measurements
 WHERE taken_at > '2026-03-10 12:05+00' AND extract(hour FROM taken_at AT TIME ZONE 'UTC') NOT BETWEEN 0 AND 6;
SELECT * FROM judged.verdict();
ROLLBACK;

-- fewer than 200 calls
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 4, 1, 100);
SELECT * FROM judged.verdict();
SELECT * FROM judged.verdict('2026-03-17 12:05+00');
SELECT detail FROM dbperf.judge_index_advice(1, '2026-03-17 12:05+00');
ROLLBACK;

-- counters that began anew
BEGIN;
CALL judged.plant(1, '{"judged.\"Orders\""}', 10, 100, 50);
UPDATE dbperf.index_advice_measurements SET calls = calls - 100300, total_ms = total_ms - 1e9 - 20000
 WHERE taken_at > '2026-03-10 12:05+00';
SELECT verdict, calls_before, calls_after FROM judged.verdict();
ROLLBACK;

-- advice that is not applied, or does not exist
SELECT count(*) FROM dbperf.judge_index_advice(4711);
UPDATE dbperf.index_advice SET status = 'open';
SELECT * FROM judged.verdict();

SET client_min_messages = warning;
DROP SCHEMA judged CASCADE;
TRUNCATE dbperf.index_advice RESTART IDENTITY;
TRUNCATE dbperf.index_advice_measurements;
