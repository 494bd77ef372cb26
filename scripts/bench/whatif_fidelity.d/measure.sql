-- Builds each index, measures it, hides it behind its twin, and drops it.

CREATE TABLE fidelity.results (n int PRIMARY KEY, real_size bigint, size bigint, hypopg_size bigint,
    real_cost float8, cost float8, hypopg_cost float8, real_shape text, shape text, hypopg_shape text, problem text);

-- A plan without what may differ: costs, and names of indexes.
CREATE FUNCTION fidelity.shape(plan text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(plan, '"<what-if>("".*?""|[^"])*"', 'INDEX', 'g'),
           '"?(<\d+>\w+|fidelity_idx|events_\d_device_happened_idx)"?', 'INDEX', 'g'), '  \(cost=[^)]*\)', '', 'g');
$$;

CREATE FUNCTION fidelity.explain(query text, OUT plan text, OUT cost float8) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    tree json;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        plan := concat_ws(E'\n', plan, line);
    END LOOP;
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO tree;
    cost := tree -> 0 -> 'Plan' ->> 'Total Cost';
END $$;

CREATE FUNCTION fidelity.index_size() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(pg_relation_size(i)) FROM (
        SELECT relid AS i FROM pg_partition_tree('fidelity.fidelity_idx') WHERE isleaf
         UNION SELECT 'fidelity.fidelity_idx'::regclass) x);
END $$;

CREATE FUNCTION fidelity.measure_hypopg(c fidelity.cases, OUT bytes bigint, OUT cost float8, OUT shape text)
LANGUAGE plpgsql AS $$
DECLARE
    index_oid oid;
BEGIN
    IF to_regproc('hypopg_create_index') IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE 'SELECT indexrelid FROM hypopg_create_index($1)' INTO index_oid USING replace(c.ddl, '$i', '');
        EXECUTE 'SELECT hypopg_relation_size($1)' INTO bytes USING index_oid;
        SELECT fidelity.shape(e.plan), e.cost INTO shape, cost FROM fidelity.explain(c.query) e;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    PERFORM hypopg_reset();
END $$;

CREATE FUNCTION fidelity.measure(c fidelity.cases) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r fidelity.results;
BEGIN
    r.n := c.n;
    EXECUTE replace(c.ddl, '$i', 'fidelity_idx');
    EXECUTE format('ANALYZE fidelity.%I', c.tab);
    r.real_size := fidelity.index_size();
    SELECT fidelity.shape(plan), cost INTO r.real_shape, r.real_cost FROM fidelity.explain(c.query);
    SELECT fidelity.shape(plan_after), cost_after INTO r.shape, r.cost
      FROM dbperf.what_if(c.query, ARRAY[replace(c.ddl, '$i', '')], ARRAY['fidelity.fidelity_idx']);
    r.size := dbperf.estimate_index_size(replace(c.ddl, '$i', ''));
    DROP INDEX fidelity.fidelity_idx;
    SELECT * INTO r.hypopg_size, r.hypopg_cost, r.hypopg_shape FROM fidelity.measure_hypopg(c);
    INSERT INTO fidelity.results SELECT r.*;
END $$;

SET search_path = public, fidelity;
SELECT format('SELECT fidelity.measure(c) FROM fidelity.cases c WHERE n = %s;', n) FROM fidelity.cases ORDER BY n \gexec /dev/null
