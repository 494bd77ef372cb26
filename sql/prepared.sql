-- Prepared statements: the text is that of PREPARE, with the values of EXECUTE.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE TABLE prepared_table (a int, b text);
INSERT INTO prepared_table VALUES (1, 'one');
PREPARE find(int, text, timestamptz) AS
    SELECT count(*) FROM prepared_table WHERE a = $1 AND b = $2 AND $3 IS NULL;
SELECT dbperf.slow_queries_reset();
EXECUTE find(1, 'one', NULL);
EXECUTE find(2, 'it''s', '2020-01-01 00:00:00+00');
SELECT command, level, query, parameters, rows FROM mine ORDER BY n;

-- both have the statement's own query id
SELECT count(DISTINCT queryid) FROM mine;

-- also when a value makes it fail, in the executor or already in the planner
PREPARE divide(int, text) AS SELECT a / $1 AS quotient, $2 AS word FROM prepared_table;
SELECT dbperf.slow_queries_reset();
EXECUTE divide(1, 'fine');
EXECUTE divide(0, 'broken');
SELECT command, parameters, sqlstate FROM mine ORDER BY n;
SELECT count(DISTINCT queryid) FROM mine;
PREPARE folded(int, text) AS SELECT 1 / $1 AS quotient, $2 AS word;
SELECT dbperf.slow_queries_reset();
EXECUTE folded(1, 'fine');
EXECUTE folded(0, 'broken');
SELECT sqlstate FROM mine ORDER BY n;
SELECT count(DISTINCT queryid) FROM mine;
DROP TABLE prepared_table;


-- values are cut to dbperf.max_parameter_length bytes
PREPARE long_value(text, bytea) AS SELECT length($1) AS l, length($2) AS b;
SET dbperf.max_parameter_length = '64B';
SELECT dbperf.slow_queries_reset();
EXECUTE long_value(repeat('a', 1000), repeat('b', 1000)::bytea);
SELECT parameters[1] = repeat('a', 64) || '...' AS cut, parameters[2] FROM mine;
SET dbperf.max_parameter_length = '65B';
SELECT dbperf.slow_queries_reset();
EXECUTE long_value(repeat(U&'\00e4', 1000), 'short');
SELECT octet_length(parameters[1]) AS bytes, parameters[2] FROM mine;
RESET dbperf.max_parameter_length;
DEALLOCATE ALL;
