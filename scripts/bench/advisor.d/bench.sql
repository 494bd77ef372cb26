-- What scripts/bench/advisor keeps in each database, and how it judges.
--
-- An index is built once, whoever chose it.  Which ones a plan may use is set
-- in pg_index.indisvalid: the planner passes over an index that is not valid, so
-- that every choice is judged by the same planner with the same statistics, and
-- run times can be taken in turn.
SET client_min_messages = warning;
SET search_path = public;
CREATE EXTENSION dbperf CASCADE;
CREATE EXTENSION pg_qualstats;
CREATE SCHEMA bench;
SET search_path = bench, public;

CREATE TABLE query (number int PRIMARY KEY, name text, weight int, writes bool, text text);

-- Indexes that were built; key is the definition: what follows ON.
CREATE TABLE built (key text PRIMARY KEY, index oid, bytes bigint, problem text);

-- What a method chose for a budget, in its order, and what choosing took.
CREATE TABLE choice (
  method text, percent int, place int, key text, estimate bigint, PRIMARY KEY (method, percent, place));
CREATE TABLE effort (method text, percent int, seconds float8, planner_calls bigint, cpu float8);

-- A setting is a set of indexes that are valid; several choices may share one.
CREATE TABLE setting (id int PRIMARY KEY, keys text[] UNIQUE);
CREATE TABLE setting_of (method text, percent int, id int);
-- plan: hash of it; settings that give a query the same plan are run once.
CREATE TABLE cost (setting int, query int, cost float8, plan text);
CREATE TABLE run_time (query int, plan text, round int, ms float8);

CREATE VIEW tables AS
SELECT c.oid, c.oid::regclass::text AS name, c.relname, pg_table_size(c.oid) AS bytes
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_setting('bench.schema')::regnamespace;

CREATE FUNCTION budget(percent int) RETURNS bigint LANGUAGE sql
  RETURN (SELECT sum(bytes) * percent / 100 FROM tables)::bigint;

-- The texts, each as often as its weight says.
CREATE FUNCTION texts() RETURNS text[] LANGUAGE sql
  RETURN (SELECT array_agg(text ORDER BY number, n) FROM query, generate_series(1, weight) n);

CREATE FUNCTION key(ddl text) RETURNS text LANGUAGE sql
  RETURN regexp_replace(rtrim(ddl, '; '), '^CREATE INDEX .*?\mON ', '');

CREATE PROCEDURE build(wanted text) LANGUAGE plpgsql AS $$
DECLARE
  name text := 'bench_' || (SELECT count(*) FROM bench.built);
BEGIN
  IF EXISTS (SELECT FROM bench.built b WHERE b.key = wanted) THEN
    RETURN;
  END IF;
  BEGIN
    EXECUTE format('CREATE INDEX %I ON %s', name, wanted);
    INSERT INTO bench.built
    SELECT wanted, oid, pg_relation_size(oid) FROM pg_class WHERE relname = name;
  EXCEPTION WHEN OTHERS THEN
    INSERT INTO bench.built VALUES (wanted, 0, 0, SQLERRM);
  END;
END $$;

-- From now on plans may use these of the indexes that were built, and no other.
CREATE PROCEDURE make_valid(wanted text[]) LANGUAGE sql
BEGIN ATOMIC
  UPDATE pg_index i SET indisvalid = b.key = ANY (wanted)
  FROM bench.built b
  WHERE b.index = i.indexrelid AND i.indisvalid <> (b.key = ANY (wanted));
END;

CREATE PROCEDURE use_setting(number int) LANGUAGE plpgsql AS $$
DECLARE
  wanted text[];
BEGIN
  SELECT keys INTO wanted FROM bench.setting WHERE id = number;
  CALL bench.make_valid(wanted);
END $$;

CREATE FUNCTION plan(text text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || text INTO plan;
  RETURN plan -> 0 -> 'Plan';
END $$;

CREATE FUNCTION plan_cost(text text) RETURNS float8 LANGUAGE sql
  RETURN (plan(text) ->> 'Total Cost')::float8;

-- ---- pg_qualstats' advisor ----

-- Its proposals, in its order, as many as fit: it knows no budget.  An element
-- of its list is the DDL, since 2.1 an object that has it.
CREATE PROCEDURE choose_qualstats(percents int[]) LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  proposals text[];
  took float8;
  percent int;
BEGIN
  SELECT array_agg(bench.key(coalesce(i ->> 'ddl', i #>> '{}')) ORDER BY n) INTO proposals
  FROM json_array_elements(pg_qualstats_index_advisor() -> 'indexes') WITH ORDINALITY x(i, n);
  took := extract(epoch FROM clock_timestamp() - started);
  FOR i IN 1 .. coalesce(cardinality(proposals), 0) LOOP
    CALL bench.build(proposals[i]);
  END LOOP;
  FOREACH percent IN ARRAY percents LOOP
    CALL bench.choose_in_order('pg_qualstats', percent, proposals);
    INSERT INTO bench.effort VALUES ('pg_qualstats', percent, took);
  END LOOP;
END $$;

-- Takes every index that still fits.
CREATE PROCEDURE choose_in_order(method text, percent int, keys text[]) LANGUAGE plpgsql AS $$
DECLARE
  room bigint := bench.budget(percent);
  size bigint;
BEGIN
  FOR i IN 1 .. coalesce(cardinality(keys), 0) LOOP
    SELECT bytes INTO size FROM bench.built WHERE key = keys[i] AND problem IS NULL;
    CONTINUE WHEN NOT FOUND OR size > room;
    room := room - size;
    INSERT INTO bench.choice VALUES (method, percent, i, keys[i]);
  END LOOP;
END $$;

-- ---- simple baselines: indexes of one column ----

-- Columns that an index of one column is for.  used: named in a query that
-- names the table.  predicate: pg_qualstats saw it in a WHERE or join clause.
CREATE VIEW one_column AS
SELECT t.oid AS relid, format('%s USING btree (%I)', t.name, a.attname) AS key,
       EXISTS (SELECT FROM query q
               WHERE q.text ~ ('\m' || t.relname || '\M') AND q.text ~ ('\m' || a.attname || '\M')) AS used,
       EXISTS (SELECT FROM pg_qualstats() q
               WHERE (q.lrelid, q.lattnum) = (t.oid, a.attnum) OR (q.rrelid, q.rattnum) = (t.oid, a.attnum)) AS predicate
FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE NOT EXISTS (SELECT FROM pg_index i
                  WHERE i.indrelid = t.oid AND i.indisprimary AND i.indkey[0] = a.attnum);

CREATE PROCEDURE build_one_column() LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT key FROM bench.one_column WHERE used OR predicate LOOP
    CALL bench.build(c.key);
  END LOOP;
END $$;

CREATE PROCEDURE choose_every_predicate(percents int[]) LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  keys text[];
  percent int;
BEGIN
  SELECT array_agg(o.key ORDER BY b.bytes, o.key) INTO keys
  FROM bench.one_column o JOIN bench.built b USING (key)
  WHERE o.predicate;
  FOREACH percent IN ARRAY percents LOOP
    CALL bench.choose_in_order('every predicate', percent, keys);
    INSERT INTO bench.effort
    VALUES ('every predicate', percent, extract(epoch FROM clock_timestamp() - started));
  END LOOP;
END $$;

-- Greedy by saved cost per byte; it knows true sizes and costs, since the
-- indexes are there.
CREATE PROCEDURE choose_greedy(percent int) LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  room bigint := bench.budget(percent);
  chosen text[] := '{}';
  costs float8[];
  new_costs float8[];
  best_costs float8[];
  best_key text;
  best_bytes bigint;
  best float8;
  gain float8;
  calls bigint;
  c record;
  q record;
BEGIN
  CALL bench.make_valid('{}');
  SELECT array_agg(bench.plan_cost(text) ORDER BY number), count(*) INTO costs, calls FROM bench.query;
  LOOP
    best := 0;
    FOR c IN SELECT b.key, b.bytes, t.relname
             FROM bench.one_column o JOIN bench.built b USING (key) JOIN bench.tables t ON t.oid = o.relid
             WHERE o.used AND b.problem IS NULL AND b.key <> ALL (chosen) AND b.bytes <= room
             ORDER BY b.key
    LOOP
      CALL bench.make_valid(chosen || c.key);
      new_costs := costs;
      gain := 0;
      FOR q IN SELECT * FROM bench.query WHERE text ~ ('\m' || c.relname || '\M') LOOP
        new_costs[q.number] := bench.plan_cost(q.text);
        gain := gain + q.weight * (costs[q.number] - new_costs[q.number]);
        calls := calls + 1;
      END LOOP;
      IF gain / c.bytes > best THEN
        best := gain / c.bytes;
        best_key := c.key;
        best_bytes := c.bytes;
        best_costs := new_costs;
      END IF;
    END LOOP;
    EXIT WHEN best = 0;
    chosen := chosen || best_key;
    costs := best_costs;
    room := room - best_bytes;
    INSERT INTO bench.choice VALUES ('greedy one-column', percent, cardinality(chosen), best_key);
  END LOOP;
  CALL bench.make_valid('{}');
  INSERT INTO bench.effort VALUES
    ('greedy one-column', percent, extract(epoch FROM clock_timestamp() - started), calls);
END $$;

-- ---- dbperf ----

-- Processor time of this process, in seconds (clock ticks are 10 ms).
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql
  RETURN (SELECT (f[12]::int + f[13]::int) / 100.0
          FROM string_to_array(substring(pg_read_file('/proc/self/stat') FROM '\) (.*)'), ' ') f);

-- The budget is the only limit, as for the others.
CREATE PROCEDURE choose_dbperf(percent int) LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  cpu float8 := bench.cpu();
BEGIN
  INSERT INTO bench.choice
  SELECT 'dbperf', percent, rank, bench.key(ddl), index_size
  FROM dbperf.suggest_indexes(bench.texts(), bench.budget(percent), max_indexes => 1000,
                              min_improvement => 0);
  INSERT INTO bench.effort
  VALUES ('dbperf', percent, extract(epoch FROM clock_timestamp() - started), NULL, bench.cpu() - cpu);
END $$;

-- ---- the judge ----

CREATE PROCEDURE build_chosen() LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT DISTINCT key FROM bench.choice LOOP
    CALL bench.build(c.key);
  END LOOP;
END $$;

CREATE PROCEDURE judge() LANGUAGE plpgsql AS $$
DECLARE
  one record;
BEGIN
  INSERT INTO bench.setting VALUES (0, '{}');
  INSERT INTO bench.setting
  SELECT row_number() OVER (ORDER BY keys), keys
  FROM (SELECT DISTINCT array_agg(key ORDER BY key) AS keys FROM bench.choice GROUP BY method, percent) x;
  INSERT INTO bench.setting_of
  SELECT e.method, e.percent, coalesce(s.id, 0)
  FROM bench.effort e
    LEFT JOIN (SELECT method, percent, array_agg(key ORDER BY key) AS keys
               FROM bench.choice GROUP BY method, percent) c USING (method, percent)
    LEFT JOIN bench.setting s USING (keys);
  FOR one IN SELECT * FROM bench.setting ORDER BY id LOOP
    CALL bench.use_setting(one.id);
    INSERT INTO bench.cost
    SELECT one.id, number, (plan ->> 'Total Cost')::float8, md5(plan::text)
    FROM (SELECT number, bench.plan(text) FROM bench.query OFFSET 0) x;
  END LOOP;
END $$;

-- What to run in a round, query by query: one setting for each plan of it.
CREATE VIEW run AS
SELECT c.query, c.plan, min(c.setting) AS setting, q.text
FROM cost c JOIN query q ON q.number = c.query
WHERE NOT q.writes
GROUP BY c.query, c.plan, q.text;
