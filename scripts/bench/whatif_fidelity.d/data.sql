-- Tables with the kinds of columns and distributions that sizes and costs
-- depend on.  Needs the variable rows.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE SCHEMA fidelity;
SELECT setseed(0.5) \g /dev/null

CREATE TABLE fidelity.orders AS
SELECT g AS id,
       (1 + 20000 * power(random(), 3))::int AS customer_id,
       (random() * 1e12)::bigint AS reference,
       timestamptz '2024-01-01 00:00+00' + g * interval '2 min' + random() * interval '1 hour' AS created,
       (ARRAY['new', 'paid', 'shipped', 'done', 'cancelled'])[1 + (4.999 * power(random(), 2))::int] AS status,
       (random() * 1000)::numeric(10, 2) AS amount,
       CASE WHEN random() < 0.3 THEN md5(g::text) || repeat('x', (random() * 60)::int) END AS note,
       'AB-' || lpad(g::text, 8, '0') AS code,
       (random() * 20)::smallint AS region,
       'User' || (random() * :rows / 3)::int || '@Example' || (g % 7) || '.com' AS email,
       random() < 0.01 AS flagged,
       CASE WHEN random() < 0.6 THEN (random() * 5000)::int END AS coupon,
       g / 4 AS cart_id
  FROM generate_series(1, :rows) g;

CREATE TABLE fidelity.docs AS
SELECT g AS id,
       (SELECT array_agg('tag' || (3000 * power(random(), 2))::int) FROM generate_series(1, 2 + g % 6)) AS tags,
       (SELECT array_agg((1000 * random())::int) FROM generate_series(1, 1 + g % 9)) AS numbers,
       jsonb_build_object('kind', 'k' || (g % 40), 'size', (random() * 100)::int, 'owner', 'o' || (random() * 5000)::int,
                          'flags', jsonb_build_array(g % 3, g % 5)) AS attrs,
       (SELECT string_agg(substr(md5(((10000 * power(random(), 2))::int)::text), 1, 6), ' ') FROM generate_series(1, 8 + g % 5)) AS body,
       int4range(g, g + 1 + (random() * 100)::int) AS span,
       tstzrange(timestamptz '2024-01-01' + random() * interval '700 days', NULL) AS open_span,
       point(random() * 1000, random() * 1000) AS place,
       ('10.' || (g % 250) || '.' || (random() * 255)::int || '.' || (random() * 255)::int)::inet AS address
  FROM generate_series(1, :rows / 5) g;
ALTER TABLE fidelity.docs ADD COLUMN words tsvector;
UPDATE fidelity.docs SET words = to_tsvector('simple', body);
VACUUM FULL fidelity.docs;

CREATE TABLE fidelity.events (id bigint, happened timestamptz, device int, kind text, payload text)
    PARTITION BY RANGE (happened);
CREATE TABLE fidelity.events_1 PARTITION OF fidelity.events FOR VALUES FROM ('2024-01-01') TO ('2024-04-01');
CREATE TABLE fidelity.events_2 PARTITION OF fidelity.events FOR VALUES FROM ('2024-04-01') TO ('2024-07-01');
CREATE TABLE fidelity.events_3 PARTITION OF fidelity.events FOR VALUES FROM ('2024-07-01') TO ('2024-10-01');
CREATE TABLE fidelity.events_4 PARTITION OF fidelity.events FOR VALUES FROM ('2024-10-01') TO ('2025-01-01');
INSERT INTO fidelity.events
SELECT g, timestamptz '2024-01-01' + g * (interval '365 days' / :rows), (random() * 3000)::int,
       'kind' || (g % 12), repeat('p', 40 + (g % 50)::int)
  FROM generate_series(1, :rows) g;

-- Wide rows that come in order: where BRIN is at home.
CREATE TABLE fidelity.log AS
SELECT g AS id, timestamptz '2024-01-01' + g * interval '1 second' AS at, (g + random() * 2000)::int AS about,
       repeat('z', 120) AS line
  FROM generate_series(1, :rows * 2) g;

VACUUM (ANALYZE, FREEZE);
