-- A table of many columns, so that many queries are different ones.
SELECT 'CREATE TABLE facts AS SELECT ' || string_agg(format('g %% %s AS c%s', c + 2, c), ', ') ||
       ' FROM generate_series(1, 500) AS g'
  FROM generate_series(0, 99) AS c
\gexec
ANALYZE facts;
