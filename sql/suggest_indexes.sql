-- dbperf.suggest_indexes(): what goes in, what comes out, and what the choice
-- among the candidates keeps to.
SET synchronous_commit = on;	-- so that VACUUM knows which rows all can see
CREATE SCHEMA choice;
SET search_path = choice;

CREATE TABLE account (id int PRIMARY KEY, branch int, owner text, opened date);
CREATE TABLE booking (id int PRIMARY KEY, account int, booked date, amount int, note text);
INSERT INTO account SELECT i, i % 500, md5(i::text), date '2020-01-01' + i % 1000
  FROM generate_series(1, 20000) i;
INSERT INTO booking SELECT i, (i * 7919) % 20000 + 1, date '2020-01-01' + i % 1500, i % 10007, repeat('n', 40)
  FROM generate_series(1, 100000) i;
VACUUM ANALYZE account, booking;

-- what is proposed, without its name
CREATE FUNCTION advice(queries text[], budget bigint DEFAULT NULL, most int DEFAULT 20,
                       improvement float8 DEFAULT 0.01)
RETURNS TABLE (rank int, index text)
LANGUAGE sql AS $$
    SELECT rank, regexp_replace(ddl, '^CREATE INDEX CONCURRENTLY \w+ ON ', '')
      FROM dbperf.suggest_indexes(queries, budget, most, improvement)
     ORDER BY rank
$$;

--
-- arguments
--
SELECT * FROM dbperf.suggest_indexes('{}');
SELECT * FROM dbperf.suggest_indexes('{{SELECT 1},{SELECT 2}}');
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], storage_budget => -1);
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], storage_budget => 0);
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], max_indexes => 0);
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], max_indexes => NULL);
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], min_improvement => 1.5);
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], min_improvement => 'NaN');
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], time_limit => '0');
SELECT * FROM dbperf.suggest_indexes(ARRAY['SELECT 1'], time_limit => '1 month');
SELECT * FROM dbperf.index_candidates(ARRAY['SELECT 1'], time_limit => '-1 s');

--
-- the columns
--
SELECT rank, table_name, ddl, index_size BETWEEN 500000 AND 2000000 AS size,
       benefit_pct BETWEEN 90 AND 100 AS benefit, cost_before > 1000 AS before,
       cost_after < 200 AS after, write_overhead_pct BETWEEN 10 AND 200 AS overhead, queries,
       regexp_replace(reason, '[0-9.]+( kB| MB|%)|\d\d+(\.\d+)?', '#\1', 'g') AS reason
  FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM booking WHERE account = 5']);

-- statements that cannot be analysed do not disturb the others
SELECT verdict, regexp_replace(ddl, ' CONCURRENTLY \w+', '') AS ddl, queries
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM booking WHERE account = 5', 'SELEC 1', NULL,
                                     'SELECT * FROM nowhere', 'VACUUM', 'SELECT 1; SELECT 2'])
 WHERE verdict <> 'rejected' ORDER BY queries;
SELECT ddl IS NOT NULL AS has_ddl, reason, count(*) > 0 AS there
  FROM dbperf.index_candidates(ARRAY['SELECT id FROM booking WHERE account = 5'], storage_budget => 8192)
 GROUP BY 1, 2 ORDER BY 2;

--
-- the choice
--
CREATE TABLE work AS SELECT ARRAY[
    'SELECT * FROM booking WHERE account = 5',
    'SELECT * FROM booking WHERE booked = ''2021-05-05''',
    'SELECT sum(amount) FROM booking WHERE amount < 100',
    'SELECT b.* FROM account a JOIN booking b ON b.account = a.id WHERE a.branch = 7',
    'SELECT * FROM account WHERE owner = $1',
    'SELECT * FROM account ORDER BY opened LIMIT 5'] AS queries;
SELECT advice.* FROM work, advice(queries);

-- each query gains, none gets worse, each rank goes on where the one before ended
SELECT array_agg(DISTINCT q) FROM work, dbperf.suggest_indexes(queries) s, unnest(s.queries) q;
SELECT bool_and(cost_after <= cost_before),
       bool_and(abs(cost_before - last) < 0.001) AS chained, bool_and(benefit_pct <= last_benefit) AS ranked
  FROM (SELECT s.*, lag(s.cost_after, 1, s.cost_before) OVER o AS last,
               lag(s.benefit_pct, 1, s.benefit_pct) OVER o AS last_benefit
          FROM work, dbperf.suggest_indexes(work.queries) s WINDOW o AS (ORDER BY rank)) s;

-- limits are kept, and more space is never worse
SELECT budget, sum(index_size) <= budget AS within, count(*) > 0 AS some,
       min(cost_after) <= lag(min(cost_after), 1, 'Infinity') OVER (ORDER BY budget) AS no_worse
  FROM work, unnest('{200000,1000000,2000000,4000000,8000000}'::bigint[]) budget,
       dbperf.suggest_indexes(queries, budget) GROUP BY budget ORDER BY budget;
SELECT most, count(*) FROM work, generate_series(1, 3) most, dbperf.suggest_indexes(queries, NULL, most)
 GROUP BY most ORDER BY most;
SELECT improvement, count(index) FROM work, unnest('{0.001,0.5,1}'::float8[]) improvement
       LEFT JOIN LATERAL advice(queries, NULL, 20, improvement) ON true
 GROUP BY improvement ORDER BY improvement;
SELECT count(DISTINCT answer) AS answers
  FROM (SELECT n, jsonb_agg(to_jsonb(s) ORDER BY rank) AS answer
          FROM work, generate_series(1, 4) n, dbperf.suggest_indexes(queries, 2000000) s GROUP BY n) a;

-- a monster does not hide a small query
SELECT index FROM advice(ARRAY['SELECT count(*) FROM booking a, booking b WHERE a.amount <> b.amount',
                               'SELECT * FROM account WHERE owner = ''x''']);

-- one index for two queries, not a second one that begins like it
SELECT index FROM advice(ARRAY['SELECT * FROM booking WHERE booked = ''2021-05-05'' AND amount = 7',
                               'SELECT * FROM booking WHERE booked = ''2021-05-06''']);

-- what is there is not proposed
SELECT index FROM advice(ARRAY['SELECT * FROM booking WHERE id = 5', 'SELECT * FROM booking ORDER BY id LIMIT 3',
                               'SELECT id FROM booking WHERE id BETWEEN 5 AND 7']);
CREATE INDEX ON booking (account, booked);
SELECT index FROM advice(ARRAY['SELECT * FROM booking WHERE account = 5']);
DROP INDEX booking_account_booked_idx;

-- an index that another one makes superfluous goes
CREATE INDEX old_one ON booking (booked);
SELECT index FROM advice(ARRAY['SELECT amount FROM booking WHERE booked = ''2021-05-05'' AND amount = 8',
                               'SELECT sum(amount) FROM booking WHERE booked BETWEEN ''2021-05-05'' AND ''2021-08-05''']);
DROP INDEX old_one;

--
-- writes
--
CREATE TABLE counter (id int PRIMARY KEY, hits int, name text);
INSERT INTO counter SELECT i, i, 'name ' || i FROM generate_series(1, 5000) i;
VACUUM ANALYZE counter;
SELECT index FROM advice(ARRAY['SELECT * FROM counter WHERE hits = 77']);
-- 200 updates of the column for each read: in the list
SELECT index FROM advice(ARRAY['SELECT * FROM counter WHERE hits = 77',
                               'UPDATE counter SET hits = hits + 1 WHERE id BETWEEN 100 AND 500']);
-- updates of another column may stay heap-only
SELECT index FROM advice(ARRAY['SELECT * FROM counter WHERE hits = 77',
                               'UPDATE counter SET name = ''x'' WHERE id BETWEEN 100 AND 200']);
-- or in the statistics
DO $$
BEGIN
    FOR i IN 1..1000 LOOP
        UPDATE counter SET hits = hits + 1 WHERE id = i;
    END LOOP;
END $$;
SELECT pg_stat_force_next_flush();
SELECT index FROM advice(ARRAY['SELECT * FROM counter WHERE hits = 77']);
SELECT regexp_replace(reason, '\d+', '#') AS reason
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM counter WHERE hits = 77'])
 WHERE ddl ~ '\(hits\)$';

--
-- time
--
SELECT clock_timestamp() AS started \gset
SET client_min_messages = warning;
SELECT count(*) >= 0 FROM dbperf.suggest_indexes(ARRAY(
    SELECT format('SELECT * FROM booking b1 JOIN booking b2 ON b1.amount = b2.account JOIN account a ON a.id = b2.amount
                   WHERE b1.account = %s AND b2.booked > ''2021-01-01'' ORDER BY a.opened LIMIT %s', i, i % 7 + 1)
      FROM generate_series(1, 5000) i), time_limit => '300 ms');
SELECT clock_timestamp() - :'started' < interval '3 s' AS in_time;
RESET client_min_messages;

-- a timeout in the middle leaves nothing behind
SET statement_timeout = '200 ms';
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY(
    SELECT format('SELECT * FROM booking b1 JOIN booking b2 ON b1.amount = b2.account WHERE b1.account = %s', i)
      FROM generate_series(1, 20000) i), time_limit => '60 s');
RESET statement_timeout;
EXPLAIN (COSTS OFF) SELECT * FROM booking WHERE account = 5;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'booking'::regclass;
SELECT index FROM advice(ARRAY['SELECT * FROM booking WHERE account = 5']);

-- nothing is left in a transaction either
BEGIN;
SELECT index FROM advice(ARRAY['DELETE FROM booking WHERE account = 5']);
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'booking'::regclass;
COMMIT;
SELECT count(*) FROM booking;

--
-- a plain role
--
CREATE ROLE dbperf_teller;
CREATE ROLE dbperf_owner;
ALTER TABLE booking OWNER TO dbperf_owner;
GRANT USAGE ON SCHEMA choice TO dbperf_teller;
GRANT SELECT ON booking TO dbperf_teller;
SET ROLE dbperf_teller;
SELECT regexp_replace(reason, '.*dearer\. ', '') AS owner
  FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM choice.booking WHERE account = 5']);
SELECT verdict, reason FROM dbperf.index_candidates(ARRAY['SELECT * FROM choice.account WHERE owner = ''x''']);
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA choice CASCADE;
DROP ROLE dbperf_teller, dbperf_owner;
