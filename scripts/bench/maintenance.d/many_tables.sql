-- Tables with an index and some rows each; batches, for the sake of the locks.
SELECT format('DO $do$ BEGIN
  FOR i IN %s..%s LOOP
    EXECUTE format(''CREATE TABLE t%%s (id integer PRIMARY KEY, note text)'', i);
    EXECUTE format(''INSERT INTO t%%s SELECT n, n::text FROM generate_series(1, 100) AS n'', i);
  END LOOP;
END $do$', first, least(first + 999, :tables))
FROM generate_series(1, :tables, 1000) AS first \gexec
