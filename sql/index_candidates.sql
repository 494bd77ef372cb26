-- Which indexes are considered for what a statement asks for.  Whether they
-- are worth it is another matter: here every candidate counts, except that the
-- variants with INCLUDE columns are left out unless they are the point.
SET synchronous_commit = on;	-- so that VACUUM knows which rows all can see
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE SCHEMA candidates;
SET search_path = candidates, public;

CREATE FUNCTION keys(query text, covering bool DEFAULT false)
RETURNS TABLE (candidate text)
LANGUAGE sql AS $$
    SELECT text COLLATE "C"
      FROM dbperf.index_candidates(ARRAY[query], min_improvement => 1) AS c,
           regexp_replace(c.ddl, '^CREATE INDEX .*? ON (ONLY )?candidates\.(.*?) USING ', '\2 ') AS text
     WHERE c.ddl IS NOT NULL AND (c.ddl ~ ' INCLUDE ') = covering
     ORDER BY 1
$$;

-- LIKE needs other operator classes where strings are not in the order of bytes
CREATE COLLATION linguistic (provider = libc, locale = 'C.UTF-8');
CREATE TABLE client (
    id int PRIMARY KEY,
    email text COLLATE linguistic,
    name varchar(40) COLLATE linguistic,
    code char(8) COLLATE linguistic,
    byte_order text COLLATE "C",
    country text,
    deleted_at timestamptz,
    place point,
    parent int
);
INSERT INTO client
SELECT g, 'u' || g || '@example.org', 'n' || g, 'c' || g, 'b' || g, 'c' || g % 50,
       CASE WHEN g % 20 = 0 THEN timestamptz '2024-01-01' END, point(g, g), g / 2
  FROM generate_series(1, 4000) g;
CREATE TABLE ticket (
    id bigint PRIMARY KEY,
    client_id int,
    status text,
    kind int,
    opened timestamp,
    amount numeric,
    note text,
    tags text[],
    data jsonb,
    busy tsrange,
    urgent bool,
    coupon int,
    address inet,
    body tsvector
);
INSERT INTO ticket
SELECT g, g % 1000, CASE WHEN g % 500 = 0 THEN 'failed' WHEN g % 3 = 0 THEN 'open' ELSE 'done' END,
       g % 7, timestamp '2024-01-01' + g * interval '1 min', g % 977, 'note ' || g,
       ARRAY['t' || g % 100], jsonb_build_object('k', g % 100),
       tsrange(timestamp '2024-01-01' + g * interval '1 min', timestamp '2024-01-02' + g * interval '1 min'),
       g % 100 = 0, CASE WHEN g % 50 = 0 THEN g END, ('10.0.' || g % 256 || '.1')::inet,
       to_tsvector('simple', 'a' || g % 77)
  FROM generate_series(1, 8000) g;
CREATE TABLE "Mixed Case" ("Id" int, "a""b" text);
INSERT INTO "Mixed Case" SELECT g, 'x' || g FROM generate_series(1, 10000) g;
CREATE TABLE tiny (a int, b int);
INSERT INTO tiny SELECT g, g FROM generate_series(1, 100) g;
VACUUM (ANALYZE) client, ticket, tiny, "Mixed Case";

-- equality: the column with the most values first
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id = 5');
SELECT * FROM keys('SELECT * FROM ticket WHERE kind = $1 AND client_id = $2');
SELECT * FROM keys('SELECT * FROM ticket WHERE 5::bigint = client_id');
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id IN (1, 2, 3)');
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id = ANY ($1)');

-- a range comes last, of several each alone
SELECT * FROM keys('SELECT * FROM ticket WHERE opened > $1 AND client_id = $2');
SELECT * FROM keys('SELECT * FROM ticket WHERE opened BETWEEN $1 AND $2 AND amount < 5');
SELECT * FROM keys('SELECT * FROM ticket WHERE (opened, id) > ($1, $2) ORDER BY opened, id LIMIT 10');

-- orders: directions, plain if the other way round is the same
SELECT * FROM keys('SELECT * FROM ticket ORDER BY opened DESC LIMIT 10');
SELECT * FROM keys('SELECT * FROM ticket ORDER BY opened DESC NULLS LAST LIMIT 10');
SELECT * FROM keys('SELECT * FROM ticket ORDER BY amount DESC, opened LIMIT 10');
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id = $1 ORDER BY opened DESC LIMIT 10');
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id IN (1, 2) ORDER BY opened LIMIT 10');
SELECT * FROM keys('SELECT * FROM ticket WHERE amount > 5 ORDER BY opened LIMIT 10');
SELECT * FROM keys('SELECT max(opened) FROM ticket');
SELECT * FROM keys('SELECT min(opened) FROM ticket WHERE client_id = $1');
SELECT * FROM keys('SELECT client_id, count(*) FROM ticket GROUP BY client_id');
SELECT * FROM keys('SELECT DISTINCT client_id, kind FROM ticket');
SELECT * FROM keys('SELECT rank() OVER (PARTITION BY client_id ORDER BY opened) FROM ticket');

-- OR: an index for each arm; what is ANDed belongs to each
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id = 1 OR amount = 2');
SELECT * FROM keys('SELECT * FROM ticket WHERE kind = 3 AND (client_id = 1 OR amount > 2)');
-- NOT goes down to the operators
SELECT * FROM keys('SELECT * FROM ticket WHERE NOT (amount > 100 OR client_id <> 5)');
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id <> 5');

-- joins: both sides, with the rest of the conditions before and behind
SELECT * FROM keys('SELECT * FROM ticket t JOIN client c ON c.parent = t.client_id');
SELECT * FROM keys('SELECT * FROM ticket t JOIN client c ON c.parent = t.client_id WHERE t.amount = 5');
-- a value goes along with equality
SELECT * FROM keys('SELECT * FROM ticket t JOIN client c ON c.parent = t.client_id WHERE c.parent = 5');
SELECT * FROM keys('SELECT * FROM client c WHERE EXISTS (SELECT FROM ticket t WHERE t.client_id = c.parent)');
SELECT * FROM keys('SELECT * FROM client WHERE parent IN (SELECT client_id FROM ticket WHERE amount = 5)');
SELECT * FROM keys('SELECT * FROM client c, LATERAL (SELECT * FROM ticket t WHERE t.client_id = c.parent ORDER BY opened DESC LIMIT 1) l');

-- patterns: by their beginning, the type and the collation
SELECT * FROM keys('SELECT * FROM client WHERE email LIKE ''u1%''');
SELECT * FROM keys('SELECT * FROM client WHERE name LIKE ''n1%''');
SELECT * FROM keys('SELECT * FROM client WHERE code LIKE ''c1%''');
SELECT * FROM keys('SELECT * FROM client WHERE byte_order LIKE ''b1%''');
SELECT * FROM keys('SELECT * FROM client WHERE email ~ ''^u1''');
SELECT * FROM keys('SELECT * FROM client WHERE email LIKE ''%u1%''');
SELECT * FROM keys('SELECT * FROM client WHERE email ILIKE ''u1%''');
SELECT * FROM keys('SELECT * FROM client WHERE email % ''u1''');
SELECT * FROM keys('SELECT * FROM client WHERE email = $1 COLLATE "C"');

-- other operator classes
SELECT * FROM keys('SELECT * FROM ticket WHERE data @> ''{"k": 1}''');
SELECT * FROM keys('SELECT * FROM ticket WHERE data ? ''k''');
SELECT * FROM keys('SELECT * FROM ticket WHERE tags @> ARRAY[''t1'']');
SELECT * FROM keys('SELECT * FROM ticket WHERE ''t1'' = ANY (tags)');
SELECT * FROM keys('SELECT * FROM ticket WHERE tags && $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE body @@ ''a1''::tsquery');
SELECT * FROM keys('SELECT * FROM ticket WHERE busy && $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE timestamp ''2024-01-01'' <@ busy');
SELECT * FROM keys('SELECT * FROM ticket WHERE address << ''10.0.0.0/8''');
SELECT * FROM keys('SELECT * FROM client WHERE place <@ box ''(1,1),(2,2)''');
SELECT * FROM keys('SELECT * FROM client ORDER BY place <-> point ''(1,1)'' LIMIT 5');

-- expressions, if they are immutable
SELECT * FROM keys('SELECT * FROM client WHERE lower(email) = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE date_trunc(''day'', opened) = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE data->>''k'' = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE data->>$1 = $2');
SELECT * FROM keys('SELECT * FROM client WHERE deleted_at::date = $1');
SELECT * FROM keys('SELECT * FROM client WHERE random() < 0.5 AND id = random()');
SELECT * FROM keys('SELECT * FROM client ORDER BY lower(email) LIMIT 5');

-- partial: rare constants that stand out, nulls; never a parameter
SELECT * FROM keys('SELECT * FROM ticket WHERE status = ''failed''');
SELECT * FROM keys('SELECT * FROM ticket WHERE status = ''done''');
SELECT * FROM keys('SELECT * FROM ticket WHERE status = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE kind = 3');
SELECT * FROM keys('SELECT * FROM ticket WHERE status = ''failed'' AND client_id = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE status = ''failed'' ORDER BY opened LIMIT 5');
SELECT * FROM keys('SELECT * FROM ticket WHERE urgent');
SELECT * FROM keys('SELECT * FROM ticket WHERE NOT urgent AND client_id = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE urgent IS TRUE AND client_id = $1');
SELECT * FROM keys('SELECT * FROM ticket WHERE coupon = $1');
SELECT * FROM keys('SELECT * FROM client WHERE deleted_at IS NOT NULL');
SELECT * FROM keys('SELECT * FROM client WHERE deleted_at IS NULL AND country = $1');

-- INCLUDE: what an index-only scan needs, within bounds
SELECT * FROM keys('SELECT id, amount FROM ticket WHERE client_id = 5', true);
SELECT * FROM keys('SELECT * FROM ticket WHERE client_id = 5', true);
SELECT * FROM keys('SELECT id FROM ticket WHERE client_id = 5 FOR UPDATE', true);
SELECT * FROM keys('SELECT client_id, sum(kind) FROM ticket GROUP BY client_id', true);
SELECT * FROM keys('SELECT ticket FROM ticket WHERE client_id = 5', true);
SELECT * FROM keys('SELECT id FROM ticket WHERE client_id = $1 AND status = ''failed''', true);

-- statements that write
SELECT * FROM keys('UPDATE ticket SET amount = 1 WHERE client_id = $1');
SELECT * FROM keys('DELETE FROM ticket WHERE opened < $1');
SELECT * FROM keys('INSERT INTO tiny SELECT id, id FROM ticket WHERE client_id = $1');
SELECT * FROM keys('MERGE INTO ticket t USING client c ON t.client_id = c.parent WHEN MATCHED THEN DELETE');
SELECT * FROM keys('WITH gone AS (DELETE FROM ticket WHERE client_id = 5 RETURNING id) SELECT * FROM gone');

-- views, subqueries, CTEs and set operations are looked through
CREATE VIEW open_ticket AS SELECT id, client_id AS client, lower(note) AS lnote FROM ticket;
CREATE VIEW number AS SELECT client_id AS n FROM ticket UNION ALL SELECT parent FROM client;
SELECT * FROM keys('SELECT client FROM open_ticket WHERE lnote = $1');
SELECT * FROM keys('SELECT * FROM number WHERE n = $1');
SELECT * FROM keys('WITH x AS (SELECT * FROM ticket) SELECT id FROM x WHERE amount = 6');
SELECT * FROM keys('WITH x AS MATERIALIZED (SELECT * FROM ticket) SELECT id FROM x WHERE amount = 6');
SELECT * FROM keys('SELECT * FROM (SELECT client_id, count(*) FROM ticket GROUP BY 1) s WHERE client_id = 3');
SELECT * FROM keys('SELECT id FROM open_ticket WHERE client = $1', true);

-- row level security adds its conditions
CREATE TABLE secured (id int, tenant int, a int);
INSERT INTO secured SELECT g, g % 100, g FROM generate_series(1, 5000) g;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON secured USING (tenant = current_setting('my.tenant')::int);
VACUUM (ANALYZE) secured;
CREATE ROLE regress_dbperf_tenant;
GRANT USAGE ON SCHEMA candidates TO regress_dbperf_tenant;
GRANT SELECT ON secured TO regress_dbperf_tenant;
SET ROLE regress_dbperf_tenant;
SET my.tenant = '5';
SELECT * FROM keys('SELECT * FROM secured WHERE a = 3');
RESET ROLE;

-- partitions: the index is for the table they belong to
CREATE TABLE event (at timestamp, kind int, client_id int) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO event SELECT timestamp '2024-01-01' + g * interval '5 min', g % 5, g % 500
  FROM generate_series(1, 10000) g;
VACUUM (ANALYZE) event_1, event_2;
SELECT * FROM keys('SELECT * FROM event WHERE client_id = $1 AND kind = $2');

-- names
SELECT * FROM keys('SELECT * FROM "Mixed Case" WHERE "a""b" = $1 AND "Id" > 5');

-- BRIN for big tables that lie in order: as the statistics see it
SELECT * FROM keys('SELECT * FROM ticket WHERE opened > $1') WHERE candidate ~ 'brin';
UPDATE pg_class SET relpages = 10000, reltuples = 1000000 WHERE oid = 'ticket'::regclass;
SELECT * FROM keys('SELECT * FROM ticket WHERE opened > $1') WHERE candidate ~ 'brin';
SELECT * FROM keys('SELECT * FROM ticket WHERE amount > $1') WHERE candidate ~ 'brin';
VACUUM (ANALYZE) ticket;

-- what is none: tiny tables, temporary ones, the catalog
CREATE TEMP TABLE passing AS SELECT g AS a FROM generate_series(1, 10000) g;
SELECT * FROM keys('SELECT * FROM passing WHERE a = 1');
SELECT * FROM keys('SELECT * FROM tiny WHERE a = 1');
SELECT * FROM keys('SELECT * FROM pg_class WHERE relname = ''x''');
-- what exists
SELECT c.ddl, c.verdict, c.reason FROM dbperf.index_candidates(ARRAY['SELECT * FROM ticket WHERE id = 1']) c;
CREATE INDEX ON ticket (client_id, opened);
SELECT regexp_replace(c.ddl, '.* USING ', '') AS candidate, c.verdict, c.reason
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM ticket WHERE client_id = 1 ORDER BY opened LIMIT 1']) c
 WHERE c.reason ~ 'exists' ORDER BY 1;

-- candidates that serve several statements
SELECT DISTINCT regexp_replace(c.ddl, '.* USING ', '') AS candidate
  FROM dbperf.index_candidates(ARRAY['SELECT id FROM ticket WHERE amount = $1 AND kind = $2',
                                     'SELECT opened FROM ticket WHERE amount = $1 AND kind = $2',
                                     'SELECT count(*) FROM ticket WHERE kind = 3']) c
 ORDER BY 1;

-- patterns without pg_trgm: says so
DROP EXTENSION pg_trgm;
SELECT c.table_name, c.ddl, c.reason
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM client WHERE email LIKE ''%u1%''']) c;

-- a definition does not depend on how the session writes dates
SET DateStyle = 'SQL, DMY';
SELECT * FROM keys('SELECT * FROM ticket
                     WHERE coalesce(opened, timestamp ''31/01/2030'') = timestamp ''15/01/2024''');
RESET DateStyle;

DROP OWNED BY regress_dbperf_tenant;
DROP ROLE regress_dbperf_tenant;
SET client_min_messages = warning;
DROP SCHEMA candidates CASCADE;
