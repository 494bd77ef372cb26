-- Problems that need another operator class or another kind of index.
SET search_path = planted, public;
-- VACUUM sees as visible to all only what has reached the disk
SET synchronous_commit = on;

CREATE TABLE docs (
    id int PRIMARY KEY, title text COLLATE words NOT NULL, body jsonb NOT NULL, tags text[] NOT NULL,
    during tsrange NOT NULL, at point NOT NULL, words tsvector NOT NULL, host inet NOT NULL);
INSERT INTO docs
SELECT i, 'Some words about ' || md5(k::text) || ' and so on',
       jsonb_build_object('kind', 'k' || k % 3000, 'size', m, 'in', jsonb_build_object('x', i % 7)),
       ARRAY['t' || k % 2000, 'u' || m % 3000],
       tsrange(timestamp '2024-01-01' + k * interval '1 h',
               timestamp '2024-01-01' + k * interval '1 h' + interval '90 min'),
       point(k, m), to_tsvector('simple', 'w' || k % 3000 || ' v' || m % 100),
       inet '10.0.0.0' + k * 256 + 1
FROM (SELECT i, i * 7919 % 30000 AS k, i * 104729::bigint % 30000 AS m
      FROM generate_series(1, 30000) i) s;
VACUUM ANALYZE docs;

-- the beginning of a text: only with another operator class, or the C collation
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE name LIKE ''1234%''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE name ~ ''^12345''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE name ^@ ''1234''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE code LIKE ''1234%'' AND a7 = 2']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE lower(name) LIKE ''1234%''']);
-- equality as well: one index is enough for both
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE name LIKE ''1234%''',
                           'SELECT * FROM orders WHERE name = ''123456789012''']);

-- somewhere in a text, without pg_trgm: it says what is missing
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE title LIKE ''%abcde%''']);
SELECT verdict, reason FROM dbperf.index_candidates(ARRAY['SELECT * FROM docs WHERE title LIKE ''%abcde%'''])
 WHERE reason ~ 'pg_trgm';
CREATE EXTENSION pg_trgm SCHEMA public;
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE title LIKE ''%abcde%''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE title ILIKE ''%ABCDE%''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE title ~* ''abc[de]f1''']);
-- nothing to look up in it
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE title LIKE ''%a%''']);
DROP EXTENSION pg_trgm;

-- jsonb
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE body @> ''{"kind": "k77"}''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE body @> ''{"in": {"x": 3}, "kind": "k77"}'' AND id > 5']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE body ->> ''kind'' = ''k77''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE (body ->> ''size'')::int BETWEEN 70 AND 80']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE body ? ''rarely''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE body #> ''{in}'' @> ''{"x": 9}''']);

-- arrays
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE tags @> ARRAY[''t77'']']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE tags && ARRAY[''t77'', ''u88'']']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE ''t77'' = ANY (tags)']);

-- ranges, words, places, networks
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE during && tsrange(''2024-02-03'', ''2024-02-04'')']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE during @> timestamp ''2024-02-03 04:05''']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE words @@ ''w77 & v5''::tsquery']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE to_tsvector(''simple'', title) @@ ''abc & def''::tsquery']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE at <@ box ''(100,100),(300,300)''']);
SELECT follow_advice(ARRAY['SELECT id FROM docs ORDER BY at <-> point ''(100,100)'' LIMIT 5']);
SELECT follow_advice(ARRAY['SELECT * FROM docs WHERE host << ''10.0.7.0/24''']);

-- a huge table in the order of its time, and little room
CREATE TABLE log (at timestamp NOT NULL, level int NOT NULL, message text NOT NULL);
INSERT INTO log
SELECT timestamp '2024-01-01' + i * interval '1 s', i % 5, repeat('m', 80)
FROM generate_series(1, 300000) i;
VACUUM ANALYZE log;
SELECT follow_advice(ARRAY['SELECT count(*) FROM log WHERE at >= ''2024-01-02 10:00'' AND at < ''2024-01-02 10:10'''], 200000);
SELECT follow_advice(ARRAY['DELETE FROM log WHERE at < ''2024-01-01 01:00'''], 200000);
-- with room enough
SELECT follow_advice(ARRAY['SELECT count(*) FROM log WHERE at >= ''2024-01-02 10:00'' AND at < ''2024-01-02 10:10''']);
-- in no order it would not help
SELECT follow_advice(ARRAY['SELECT count(*) FROM orders WHERE created BETWEEN ''2024-01-02'' AND ''2024-01-03'''], 30000);
DROP TABLE log;
