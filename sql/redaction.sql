-- What must not be seen by anybody.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;

-- passwords never appear, whatever dbperf.redact says
SHOW dbperf.redact;
SELECT dbperf.slow_queries_reset();
CREATE ROLE regress_dbperf_secret PASSWORD 'hunter2';
ALTER ROLE regress_dbperf_secret ENCRYPTED PASSWORD 'hunter2' VALID UNTIL '2030-01-01';
ALTER USER regress_dbperf_secret WITH PASSWORD E'hunter\x32' CREATEDB;
ALTER USER regress_dbperf_secret WITH PASSWORD $pw$hunter2$pw$;
ALTER ROLE regress_dbperf_secret PASSWORD NULL;
DO $$ BEGIN EXECUTE 'ALTER ROLE regress_dbperf_secret PASSWORD ''hunter2'''; END $$;
ALTER ROLE regress_dbperf_missing PASSWORD 'hunter2';
ALTER ROLE regress_dbperf_secret PASSWORD 'hunter2' NONSENSE;
SELECT query, sqlstate FROM mine ORDER BY n;
SELECT count(*) FROM dbperf.slow_queries WHERE query LIKE '%hunt' || 'er%';
SELECT count(*) FROM dbperf.query_samples WHERE query LIKE '%hunt' || 'er%';
DROP ROLE regress_dbperf_secret;

-- literals
PREPARE with_parameter(text) AS SELECT 'constant' AS c, $1 AS p, 42 AS n;
CREATE TABLE redacted_table (a int, b text);
SET dbperf.plan_capture = 'plan';
SET dbperf.redact = 'literals';
SELECT dbperf.slow_queries_reset();
SELECT a FROM redacted_table WHERE b = 'secret word' AND a > 1234567;
EXECUTE with_parameter('value');
SELECT query, parameters, plan ~ 'secret word|1234567' AS in_plan, plan ~ 'Filter' AS has_filter
  FROM mine ORDER BY n;

-- parameters
SET dbperf.redact = 'parameters';
SELECT dbperf.slow_queries_reset();
EXECUTE with_parameter('value');
SELECT query, parameters FROM mine ORDER BY n;

-- all
SET dbperf.redact = 'all';
SELECT dbperf.slow_queries_reset();
EXECUTE with_parameter('value');
SELECT a FROM redacted_table WHERE b = 'secret word';
SELECT query, parameters, plan ~ 'secret word|constant|value' AS in_plan FROM mine ORDER BY n;

-- running statements as well
SELECT query FROM dbperf.running_queries WHERE pid = pg_backend_pid() AND 'mask me' <> '';
SET dbperf.redact = 'off';
SELECT dbperf.mask_query('ALTER ROLE joe PASSWORD ''hunter2''');
SELECT dbperf.mask_query('SELECT ''kept'', 1');
SET dbperf.redact = 'literals';
SELECT dbperf.mask_query('SELECT ''not kept'', 1, E''a\''b'', $x$c$x$ -- ''comment''');
RESET dbperf.redact;

RESET dbperf.plan_capture;
DEALLOCATE ALL;
DROP TABLE redacted_table;
