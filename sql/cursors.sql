-- Cursors that are fetched in pieces: the statement is recorded once, with the
-- time that it was executed, not that of the client between two fetches.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
SELECT dbperf.slow_queries_reset();

BEGIN;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 100) i /* pieces */;
FETCH 1 FROM c;
SELECT pg_sleep(1.5) AS client_thinks;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
SELECT count(*), max(level) AS level, max(rows) AS rows, max(duration_ms) < 1400 AS only_execution,
       max(sqlstate) AS sqlstate, count(DISTINCT queryid) AS queries
  FROM mine WHERE query ~ 'pieces';

-- not closed: recorded at the end of the transaction
SELECT dbperf.slow_queries_reset();
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 100) i /* left open */;
FETCH 3 FROM c;
COMMIT;
SELECT count(*), max(rows) AS rows, max(sqlstate) AS sqlstate FROM mine WHERE query ~ 'left open';

-- and at the end of one that fails
SELECT dbperf.slow_queries_reset();
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 100) i /* aborted */;
FETCH 4 FROM c;
SELECT 1 / 0;
ROLLBACK;
SELECT count(*), max(rows) AS rows FROM mine WHERE query ~ 'aborted';

-- it fails itself in the middle
SELECT dbperf.slow_queries_reset();
BEGIN;
DECLARE c CURSOR FOR SELECT 1 / (3 - i) AS quotient FROM generate_series(1, 100) i /* fails */;
FETCH 1 FROM c;
FETCH 5 FROM c;
ROLLBACK;
SELECT count(*), max(sqlstate) AS sqlstate FROM mine WHERE query ~ 'fails';

-- a savepoint takes it away
SELECT dbperf.slow_queries_reset();
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 100) i /* savepoint */;
FETCH 1 FROM c;
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM mine WHERE query ~ 'savepoint \*/';

-- WITH HOLD is executed to the end at COMMIT
SELECT dbperf.slow_queries_reset();
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 100) i /* held */;
COMMIT;
FETCH 2 FROM held;
CLOSE held;
SELECT count(*), max(rows) AS rows FROM mine WHERE query ~ '/\* held';
