-- Planning runs functions: whose rights do they run with?  A role without any
-- rights plants immutable functions wherever the planner evaluates something,
-- and each tells as whom it runs: sequences do not roll back.
CREATE ROLE regress_dbperf_mallory;
CREATE ROLE regress_dbperf_dba IN ROLE pg_read_all_stats;
CREATE SCHEMA hostile AUTHORIZATION regress_dbperf_mallory;
SET ROLE regress_dbperf_mallory;
SET search_path = hostile;
CREATE SEQUENCE as_super;
CREATE SEQUENCE as_dba;
CREATE SEQUENCE as_mallory;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA hostile TO PUBLIC;
CREATE FUNCTION tell() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        PERFORM pg_catalog.nextval('hostile.as_super');
    ELSIF current_user = 'regress_dbperf_dba' THEN
        PERFORM pg_catalog.nextval('hostile.as_dba');
    ELSE
        PERFORM pg_catalog.nextval('hostile.as_mallory');
    END IF;
END $$;
CREATE FUNCTION spy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN $1; END $$;
CREATE FUNCTION spy_text(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN $1::text; END $$;
CREATE FUNCTION spy_true(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN $1 = $2; END $$;
CREATE FUNCTION spy_inline(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT hostile.spy($1) $$;
CREATE FUNCTION spy_set(int) RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT hostile.spy($1) $$;
CREATE FUNCTION spy_stable() RETURNS int LANGUAGE plpgsql STABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN 5; END $$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = spy_true, RESTRICT = eqsel);
CREATE DOMAIN spied AS int CHECK (hostile.spy(VALUE) >= 0);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_of(int) RETURNS pair LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN ROW($1, $1); END $$;
CREATE CAST (int AS pair) WITH FUNCTION pair_of(int);

CREATE TABLE plain AS SELECT i AS id, i * 7919 % 30000 % 3000 AS a, repeat('x', 60) AS note FROM generate_series(1, 30000) i;
CREATE TABLE index_expression AS TABLE plain;
CREATE INDEX ON index_expression ((spy(a) + spy(3)));
CREATE TABLE index_predicate AS TABLE plain;
CREATE INDEX ON index_predicate (id) WHERE a = spy(3);
CREATE TABLE check_constraint AS TABLE plain;
ALTER TABLE check_constraint ADD CHECK (a >= spy(-1));
CREATE TABLE partition_key (id int, a int, note text) PARTITION BY RANGE ((spy(a) + spy(0)));
CREATE TABLE partition_key_1 PARTITION OF partition_key FOR VALUES FROM (0) TO (10000);
INSERT INTO partition_key TABLE plain;
CREATE TABLE partition_check (id int, a int, note text) PARTITION BY LIST (id);
CREATE TABLE partition_check_1 PARTITION OF partition_check (CHECK (a >= spy(-1))) DEFAULT;
INSERT INTO partition_check TABLE plain;
CREATE TABLE statistics_object AS TABLE plain;
CREATE STATISTICS spying ON (spy(a) + spy(1)), id FROM statistics_object;
CREATE TABLE policed AS TABLE plain;
ALTER TABLE policed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON policed USING (a = spy(5));
CREATE TABLE generated (id int, a int, g int GENERATED ALWAYS AS (spy(a)) STORED, d int DEFAULT spy(7), note text);
INSERT INTO generated (id, a, note) TABLE plain;
CREATE VIEW viewed AS SELECT * FROM plain WHERE a = spy(5);
CREATE TABLE ruled AS TABLE plain;
CREATE RULE r AS ON UPDATE TO ruled DO ALSO SELECT * FROM plain WHERE a = hostile.spy(6);
CREATE TABLE subtyped AS SELECT id, a::spied AS a, note FROM plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA hostile TO PUBLIC;
ANALYZE plain, index_expression, index_predicate, check_constraint, partition_key, partition_check,
        statistics_object, policed, generated, ruled, subtyped;
RESET ROLE;

-- functions of a superuser that find mallory's by the search_path
SET ROLE regress_dbperf_mallory;
CREATE FUNCTION hostile.thing(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN $1; END $$;
RESET ROLE;
CREATE FUNCTION public.careless(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT thing($1)';
CREATE FUNCTION public.careless_too(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN thing($1); END';

-- every place, as a statement
CREATE TABLE public.traps (n int GENERATED ALWAYS AS IDENTITY, query text);
GRANT SELECT ON public.traps TO PUBLIC;
INSERT INTO public.traps (query) VALUES
('SELECT * FROM plain WHERE a = spy(5)'),
('SELECT * FROM plain WHERE spy(a) = 5'),
('SELECT * FROM plain WHERE id = 3 AND a === 5'),
('SELECT * FROM plain WHERE 5 === 5 AND a = 5'),
('SELECT * FROM plain WHERE a = spy_inline(5)'),
('SELECT * FROM plain WHERE a IN (SELECT * FROM spy_set(5))'),
('SELECT * FROM plain WHERE a = spy_stable()'),
('SELECT * FROM plain WHERE note = spy_text(5)'),
('SELECT * FROM plain WHERE (5::pair).a = a'),
('SELECT * FROM plain WHERE a = 5::spied'),
('SELECT * FROM plain WHERE a = 5 ORDER BY spy(a)'),
('SELECT spy(5), spy(6) FROM plain WHERE a = 5'),
('SELECT * FROM plain WHERE a = 5 LIMIT spy(5)'),
('SELECT * FROM index_expression WHERE a = 5'),
('SELECT * FROM index_predicate WHERE a = 5'),
('SELECT * FROM check_constraint WHERE a = 5'),
('SELECT * FROM check_constraint WHERE a < 0 AND id = 5'),
('SELECT * FROM partition_key WHERE a = 5'),
('SELECT * FROM partition_check WHERE a = 5'),
('SELECT * FROM statistics_object WHERE a = 5'),
('SELECT * FROM policed WHERE id = 5'),
('SELECT * FROM generated WHERE a = 5'),
('INSERT INTO generated (id, a) SELECT id, a FROM plain WHERE a = 5'),
('UPDATE generated SET a = 6 WHERE a = 5'),
('SELECT * FROM viewed WHERE id = 5'),
('UPDATE ruled SET note = ''x'' WHERE a = 5'),
('SELECT * FROM subtyped WHERE a = 5'),
('UPDATE subtyped SET a = 6 WHERE a = 5'),
('WITH w AS (SELECT * FROM plain WHERE a = spy(5)) SELECT * FROM w'),
('SELECT count(*) FILTER (WHERE a = spy(5)) FROM plain WHERE a = 6'),
('SELECT * FROM plain WHERE a = careless(5)'),
('SELECT * FROM plain WHERE a = careless_too(5)'),
('SELECT * FROM plain WHERE array[a] = ''{5}''::spied[]'),
('EXPLAIN SELECT * FROM plain WHERE a = spy(5)');
CREATE FUNCTION public.spied_as(OUT super boolean, OUT dba boolean, OUT mallory boolean) LANGUAGE sql AS $$
    SELECT (SELECT is_called FROM hostile.as_super), (SELECT is_called FROM hostile.as_dba),
           (SELECT is_called FROM hostile.as_mallory) $$;
CREATE FUNCTION public.spied_reset() RETURNS void LANGUAGE sql AS $$
    SELECT setval('hostile.as_super', 1, false), setval('hostile.as_dba', 1, false), setval('hostile.as_mallory', 1, false); $$;
SELECT public.spied_reset();

-- a superuser asks: nothing runs, and the statements say why; in a new session,
-- to which nobody has shown these tables
\c -
SET constraint_exclusion = on;
SET client_min_messages = warning;	-- not what is in the reasons below, too
SET search_path = hostile, public;
SELECT count(*) > 0 AS advised FROM dbperf.suggest_indexes(ARRAY(SELECT query FROM traps ORDER BY n));
SELECT super FROM spied_as();
SELECT c.queries[1] AS n, t.query, c.reason
  FROM dbperf.index_candidates(ARRAY(SELECT query FROM traps ORDER BY n)) c JOIN traps t ON t.n = c.queries[1]
 WHERE c.ddl IS NULL ORDER BY 1;
SELECT super FROM spied_as();
SELECT t.n, t.query AS harmless FROM traps t
 WHERE t.n NOT IN (SELECT c.queries[1] FROM dbperf.index_candidates(ARRAY(SELECT query FROM traps ORDER BY n)) c
                    WHERE c.ddl IS NULL) ORDER BY n;
SELECT dbperf.what_if('SELECT * FROM plain WHERE a = spy(5)');
SELECT dbperf.what_if('SELECT * FROM index_expression WHERE a = 5');
SELECT used_indexes FROM dbperf.what_if('SELECT * FROM plain WHERE a = 5', ARRAY['CREATE INDEX ON plain (spy(a))']);
SELECT used_indexes FROM dbperf.what_if('SELECT * FROM plain WHERE a = 5', ARRAY['CREATE INDEX ON plain (a) WHERE a = spy(5)']);
SELECT dbperf.what_if('SELECT * FROM plain WHERE a = 5', drop_indexes => ARRAY['index_expression_expr_idx']) IS NOT NULL AS planned;
SELECT super FROM spied_as();
SELECT count(*) >= 0 AS asked FROM dbperf.suggest_index_drops();
SELECT super FROM spied_as();
SELECT count(*) >= 0 AS asked FROM dbperf.index_coverage;
SELECT count(*) >= 0 AS asked FROM dbperf.index_coverage_total;
SELECT super FROM spied_as();
-- shadowing what the statement's own search_path finds first
SET ROLE regress_dbperf_mallory;
CREATE FUNCTION lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hostile.tell(); RETURN $1; END $$;
RESET ROLE;
SET search_path = hostile, public, pg_catalog;
SELECT count(*) >= 0 AS asked FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM plain WHERE lower(note) = ''x'''
    , 'SELECT * FROM plain WHERE note = lower(''X'')']);
SELECT super FROM spied_as();
SET search_path = hostile, public;

-- mallory asks: they run, as mallory
SELECT spied_reset();
SET ROLE regress_dbperf_mallory;
SELECT count(*) > 0 AS advised FROM dbperf.suggest_indexes(ARRAY(SELECT query FROM traps ORDER BY n));
RESET ROLE;
SELECT * FROM spied_as();

-- mallory's statements are recorded; the superuser and a dba ask about them
SELECT dbperf.query_latency_reset() >= 0 AS reset;
SET ROLE regress_dbperf_mallory;
SELECT count(*) FROM plain WHERE a = spy(5);
SELECT count(*) FROM plain WHERE spy(a) + 1 = 5;
SELECT count(*) FROM index_expression WHERE a = 5;
SELECT count(*) FROM index_predicate WHERE a = 5;
SELECT count(*) FROM partition_key WHERE a = 5;
SELECT count(*) FROM viewed WHERE id = 5;
SELECT count(*) FROM policed WHERE id = 5;
RESET ROLE;
SELECT spied_reset();
SELECT count(*) > 0 AS advised FROM dbperf.suggest_indexes();
SELECT count(*) >= 0 AS asked FROM dbperf.index_coverage;
SELECT count(*) >= 0 AS asked FROM dbperf.suggest_index_drops();
SELECT super FROM spied_as();
SET ROLE regress_dbperf_dba;
SELECT count(*) > 0 AS advised FROM dbperf.suggest_indexes();
SELECT count(*) >= 0 AS asked FROM dbperf.index_coverage;
RESET ROLE;
SELECT super, dba FROM spied_as();

RESET search_path;
SET client_min_messages = warning;
DROP TABLE public.traps;
DROP FUNCTION public.spied_as, public.spied_reset, public.careless, public.careless_too;
DROP OWNED BY regress_dbperf_mallory, regress_dbperf_dba CASCADE;
DROP ROLE regress_dbperf_mallory, regress_dbperf_dba;
