-- A history as 30 days leave it: every 10 seconds for a day, every minute for a
-- week, every 10 minutes for 30 days.

-- Wait until the sampler has stored what series there are, and stop it.
DO $$
BEGIN
    FOR i IN 1 .. 300 LOOP
        EXIT WHEN (SELECT count(*) FROM dbperf.metrics_samples) > 3;
        PERFORM pg_sleep(0.1);
        COMMIT;
    END LOOP;
END
$$;
ALTER SYSTEM SET dbperf.metrics_interval = 0;
SELECT pg_reload_conf() \g /dev/null
SELECT pg_sleep(2) \g /dev/null

CREATE TEMP TABLE latest AS
    SELECT * FROM dbperf.metrics_samples ORDER BY sampled_at DESC LIMIT 1;
CREATE TEMP TABLE series AS
    SELECT s.position, s.counter,
           CASE WHEN l.numbers[s.position] = 'NaN' THEN 0.01 ELSE l.numbers[s.position] END AS last
      FROM latest AS l
      JOIN dbperf.metrics_series AS s USING (set_id);
CREATE TEMP TABLE times AS
    SELECT t.tier, t.step, t.reach,
           now() - g * make_interval(secs => t.step) AS at, t.reach / t.step AS n, g
      FROM (VALUES (1, 10, 86400), (2, 60, 604800), (3, 600, 2592000)) AS t (tier, step, reach)
     CROSS JOIN LATERAL generate_series(1, t.reach / t.step - 1) AS g;

TRUNCATE dbperf.metrics_samples, dbperf.metrics_query_samples;
INSERT INTO dbperf.metrics_samples
SELECT t.at, l.started_at, l.set_id, t.step, t.tier * 10 + 1 + t.g * 5 / (t.n + 1),
       (SELECT array_agg(CASE WHEN s.counter
                              THEN (s.last + 10) * (2592000 - extract(epoch FROM now() - t.at)) / 1e5
                              ELSE s.last * (0.5 + random()) END ORDER BY s.position)
          FROM series AS s)
  FROM times AS t
 CROSS JOIN latest AS l;

-- 50 queries of those that there are in each minute
CREATE TEMP TABLE known AS
    SELECT row_number() OVER (ORDER BY queryid) - 1 AS n, queryid
      FROM dbperf.query_latency WHERE queryid IS NOT NULL;
INSERT INTO dbperf.metrics_query_samples
SELECT t.at, l.started_at, t.step, t.tier * 10 + 1 + t.g * 5 / (t.n + 1),
       q.queryids, array_fill(d.oid, ARRAY[50]), array_fill('10'::oid, ARRAY[50]),
       array_fill(true, ARRAY[50]), array_fill(1000::float8 * (t.n - t.g + 1), ARRAY[50]),
       array_fill(1000::float8 * (t.n - t.g + 1), ARRAY[50]), array_fill(10::float4, ARRAY[50]),
       array_fill(10::float4, ARRAY[50]),
       (SELECT array_agg(least(b, 10)::float4) FROM generate_series(1, 800) AS b)
  FROM times AS t
 CROSS JOIN latest AS l
 CROSS JOIN LATERAL (
       SELECT array_agg(k.queryid) AS queryids
         FROM (SELECT * FROM known WHERE n >= t.g * 7 % 4900 ORDER BY n LIMIT 50) AS k) AS q
  JOIN pg_database AS d ON d.datname = current_database()
 WHERE t.tier > 1 AND cardinality(q.queryids) = 50;
INSERT INTO dbperf.metrics_members
SELECT tier, member, member, now() - make_interval(secs => reach * (6 - member) / 5)
  FROM (SELECT DISTINCT tier, reach FROM times) AS t CROSS JOIN generate_series(1, 5) AS member
    ON CONFLICT DO NOTHING;
ANALYZE dbperf.metrics_samples;
ANALYZE dbperf.metrics_query_samples;
