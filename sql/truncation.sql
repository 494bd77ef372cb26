-- Texts are cut at their limits, between characters.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
SET client_encoding = 'UTF8';

SET dbperf.max_query_length = '100B';
SELECT dbperf.slow_queries_reset();
SELECT 1 AS one /* xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx */;
SELECT 1 AS one /* äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü */;
SELECT 1 AS one /* xäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü */;
SELECT 1 AS one /* short */;
SELECT octet_length(query) AS bytes, query_length, query FROM mine ORDER BY n;
RESET dbperf.max_query_length;

-- plans
SET dbperf.plan_capture = 'plan';
SET dbperf.max_plan_length = '256B';
SELECT dbperf.slow_queries_reset();
SELECT count(*) FROM (VALUES (1), (2)) a, (VALUES (1), (2)) b, (VALUES (1), (2)) c;
SELECT octet_length(plan) FROM mine;
RESET dbperf.max_plan_length;

-- a plan of very many nodes is outlined, not explained, and harms nothing
SELECT dbperf.slow_queries_reset();
SELECT string_agg('SELECT ' || i, ' UNION ALL ') AS many FROM generate_series(1, 1000) i \gset
SELECT count(*) FROM (:many) s;
SELECT octet_length(plan) BETWEEN 1000 AND 65536 AS plan, octet_length(query) AS query,
       query_length > 16384 AS query_is_cut, plan_id IS NOT NULL AS plan_id
  FROM mine WHERE query LIKE 'SELECT count(*) FROM (SELECT 1 UNION%';

-- so is one with a huge constant
SELECT dbperf.slow_queries_reset();
SELECT 'SELECT length(''' || repeat('x', 1000000) || ''') FROM pg_class LIMIT 1' AS huge \gset
:huge;
SELECT octet_length(plan) < 65536 AS plan, octet_length(query) AS query, query_length
  FROM mine WHERE query LIKE 'SELECT length(''xxx%';
RESET dbperf.plan_capture;

-- a thousand parameters
SELECT 'PREPARE thousand(' || string_agg('int', ',') || ') AS SELECT ' ||
       string_agg('$' || i, '+') AS make
  FROM generate_series(1, 1000) i \gset
:make;
SELECT 'EXECUTE thousand(' || string_agg(i::text, ',') || ')' AS call
  FROM generate_series(1, 1000) i \gset
SELECT dbperf.slow_queries_reset();
:call;
SELECT cardinality(parameters), parameters[1000] FROM mine WHERE query LIKE 'PREPARE%';

DEALLOCATE ALL;
