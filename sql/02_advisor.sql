-- What the tests of the advisor share: tables with planted problems, and a
-- function that asks for advice, follows it for real and looks what happens.
CREATE SCHEMA planted;
SET search_path = planted, public;
-- VACUUM sees as visible to all only what has reached the disk
SET synchronous_commit = on;
-- not the C collation, though it sorts like it: the same output everywhere
CREATE COLLATION words (provider = libc, locale = 'C.UTF-8');

-- 30000 rows are all read by ANALYZE, so statistics never vary.  7919 and
-- 104729 are coprime to that: k and m are two different permutations.
CREATE TABLE orders (
    id int PRIMARY KEY, customer int NOT NULL, account int NOT NULL, region int NOT NULL,
    a7 int NOT NULL, b11 int NOT NULL, c13 int NOT NULL, status text NOT NULL,
    created timestamp NOT NULL, seen timestamptz NOT NULL, total int NOT NULL,
    delivered timestamp, urgent boolean NOT NULL, email text NOT NULL,
    name text COLLATE words NOT NULL, code text COLLATE "C" NOT NULL, note text NOT NULL);
INSERT INTO orders
SELECT i, k % 3000, m % 2000, k / 3000, i % 7, k % 11, m % 13,
       CASE WHEN i % 100 = 0 THEN 'open' WHEN i % 10 = 1 THEN 'sent' ELSE 'done' END,
       timestamp '2024-01-01' + k * interval '10 min',
       timestamptz '2024-01-01 00:00+00' + m * interval '10 min', m,
       CASE WHEN i % 50 = 3 THEN timestamp '2024-01-01' + m * interval '10 min' END,
       i % 200 = 7, 'User' || k || '@Example.com', substr(md5(k::text), 1, 12),
       substr(md5(m::text), 1, 12), repeat('x', 60)
FROM (SELECT i, i * 7919 % 30000 AS k, i * 104729::bigint % 30000 AS m
      FROM generate_series(1, 30000) i) s;
CREATE TABLE customers (
    id int PRIMARY KEY, email text NOT NULL, country text NOT NULL, parent int, note text NOT NULL);
INSERT INTO customers
SELECT i, 'c' || i * 7919 % 30000, 'land' || i % 50, CASE WHEN i > 10 THEN i / 10 END,
       repeat('y', 60)
FROM generate_series(0, 29999) i;
VACUUM ANALYZE orders, customers;

-- The statements of an advice, as they can run inside of a transaction.
CREATE FUNCTION script(ddl text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(ddl, '\mCONCURRENTLY ', '', 'g') $$;

-- What matters of an advice: no name, no schema of ours, no default.
CREATE FUNCTION brief(ddl text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(regexp_replace(regexp_replace(split_part(ddl, E';\n', 1),
          '^CREATE INDEX CONCURRENTLY ("([^"]|"")+"|\w+) ON (ONLY )?', ''),
          '\mplanted\.|"planted"\.| USING btree', '', 'g'), ';$', '') $$;

-- How the server executes a statement now: cost, and names of the indexes.
CREATE FUNCTION real_plan(query text, OUT cost float8, OUT indexes text[])
LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
    n int := coalesce((SELECT max(m[1]::int) FROM regexp_matches(query, '\$(\d+)', 'g') m), 0);
BEGIN
    IF n = 0 THEN
        EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
        cost := plan #>> '{0,Plan,Total Cost}';
    ELSE
        SET LOCAL plan_cache_mode = force_generic_plan;
        EXECUTE 'PREPARE planted_plan AS ' || query;
        EXECUTE format('EXPLAIN (FORMAT JSON) EXECUTE planted_plan(%s)',
                       array_to_string(array_fill('NULL'::text, ARRAY[n]), ',')) INTO plan;
        DEALLOCATE planted_plan;
    END IF;
    SELECT array_agg(DISTINCT x #>> '{}') INTO indexes
      FROM jsonb_path_query(plan, '$.**."Index Name"') x;
END $$;

-- Asks for advice, creates the indexes, and checks that they are used and
-- that there is nothing more to say; the end is a rollback.  One line for each
-- index, in order of rank, and one for everything that is not as promised.
CREATE FUNCTION follow_advice(queries text[], budget bigint DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    wrong text[] := '{}';
    all_advice jsonb[] := '{}';
    advice record;
    step jsonb;
    query text;
    plan record;
    before float8 := 0;
    after float8 := 0;
    first float8;
    last float8;
    bytes bigint := 0;
    n int := 0;
    old oid[];
    names text[];
    used text[] := '{}';
    created jsonb := '{}';
    real_size bigint;
    exact boolean := true;
BEGIN
    FOREACH query IN ARRAY queries LOOP
        plan := real_plan(query);
        before := before + coalesce(plan.cost, 0);
        exact := exact AND plan.cost IS NOT NULL;
    END LOOP;
    FOR advice IN SELECT *, brief(ddl) AS brief
                    FROM dbperf.suggest_indexes(queries, storage_budget => budget) LOOP
        n := n + 1;
        first := coalesce(first, advice.cost_before);
        IF advice.rank <> n OR abs(advice.cost_before - coalesce(last, first)) > 0.01
           OR advice.cost_after > advice.cost_before
           OR advice.benefit_pct NOT BETWEEN 0 AND 100
           OR abs(advice.benefit_pct - (advice.cost_before - advice.cost_after) / first * 100) > 0.1
           OR advice.write_overhead_pct < 0 OR coalesce(advice.queries, '{}') = '{}'
           OR NOT advice.queries <@ ARRAY(SELECT generate_series(1, cardinality(queries))::bigint)
           OR advice.reason !~ '^[A-Z].*[.]$' OR advice.reason ~ E'\n'
           OR advice.ddl !~ '^CREATE INDEX ' THEN
            wrong := wrong || format('WRONG ROW: %s', to_jsonb(advice));
        END IF;
        last := advice.cost_after;
        bytes := bytes + advice.index_size;
        all_advice := all_advice || to_jsonb(advice);
    END LOOP;
    IF n = 0 THEN
        RETURN NEXT 'nothing';
        RETURN;
    END IF;
    IF bytes > budget THEN
        wrong := wrong || format('OVER BUDGET: %s', bytes);
    END IF;
    IF exact AND before / first NOT BETWEEN 0.99 AND 1.01 THEN
        wrong := wrong || format('COST BEFORE: %s, really %s', first, before);
    END IF;
    BEGIN
        FOREACH step IN ARRAY all_advice LOOP
            old := ARRAY(SELECT indexrelid FROM pg_index);
            EXECUTE script(step ->> 'ddl');
            EXECUTE 'ANALYZE ' || (step ->> 'table_name');
            SELECT array_agg(relname), sum(pg_relation_size(oid)) INTO names, real_size
              FROM pg_class
             WHERE oid IN (SELECT indexrelid FROM pg_index) AND NOT oid = ANY (old);
            created := created || jsonb_build_object(step ->> 'rank', to_jsonb(names));
            IF abs(real_size - (step ->> 'index_size')::bigint)
               > greatest(0.35 * real_size, 4 * 8192) THEN
                wrong := wrong || format('SIZE of %s: %s, really %s', step ->> 'brief',
                                         step ->> 'index_size', real_size);
            END IF;
        END LOOP;
        FOREACH query IN ARRAY queries LOOP
            plan := real_plan(query);
            after := after + coalesce(plan.cost, 0);
            used := used || plan.indexes;
        END LOOP;
        IF exact AND abs(after - last) > greatest(0.3 * last, 20) THEN
            wrong := wrong || format('COST AFTER: %s, really %s', last, after);
        END IF;
        FOR advice IN SELECT * FROM dbperf.suggest_indexes(queries) WHERE budget IS NULL LOOP
            wrong := wrong || format('ONE MORE: %s', brief(advice.ddl));
        END LOOP;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DP000';
    EXCEPTION WHEN SQLSTATE 'DP000' THEN
    END;
    FOREACH step IN ARRAY all_advice LOOP
        RETURN NEXT (step ->> 'brief') ||
                    CASE WHEN created -> (step ->> 'rank') ?| used THEN '' ELSE '  NOT USED' END;
    END LOOP;
    RETURN QUERY SELECT unnest(wrong);
END $$;

-- Only what is proposed, without doing it.
CREATE FUNCTION advice(VARIADIC queries text[]) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT planted.brief(ddl) FROM dbperf.suggest_indexes(queries) ORDER BY rank $$;

SELECT real_plan('SELECT * FROM orders WHERE id = 5');
SELECT real_plan('SELECT * FROM orders WHERE id = $1 AND region = $2');
SELECT brief('CREATE INDEX CONCURRENTLY "Big ""One" ON planted.orders USING btree (a7) WHERE (a7 > 5);');
