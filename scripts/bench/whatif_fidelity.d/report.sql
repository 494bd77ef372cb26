-- The figures side by side, and what they come to.

CREATE VIEW fidelity.figures AS
SELECT c.n, c.kind, c.ddl, c.query, r.real_size / 8192 AS pages,
       r.size / 8192 AS est_pages, r.hypopg_size / 8192 AS hypopg_pages,
       abs(r.size - r.real_size)::float8 / r.real_size AS size_error,
       abs(r.hypopg_size - r.real_size)::float8 / r.real_size AS hypopg_size_error,
       r.real_cost, r.cost, r.hypopg_cost,
       abs(r.cost - r.real_cost) / r.real_cost AS cost_error,
       greatest(r.cost, r.real_cost) / least(r.cost, r.real_cost) AS cost_factor,
       abs(r.hypopg_cost - r.real_cost) / r.real_cost AS hypopg_cost_error,
       r.shape = r.real_shape AS same_shape, r.hypopg_shape = r.real_shape AS hypopg_same_shape
  FROM fidelity.cases c JOIN fidelity.results r USING (n);

\pset footer off
SELECT n, kind, replace(replace(ddl, 'CREATE INDEX $i ON fidelity.', ''), 'CREATE UNIQUE INDEX $i ON fidelity.', 'unique ') AS index,
       pages, est_pages AS dbperf, round(size_error::numeric * 100, 1) AS "err %",
       hypopg_pages AS hypopg, round(hypopg_size_error::numeric * 100, 1) AS "err %",
       round(real_cost::numeric, 2) AS cost, round(cost::numeric, 2) AS dbperf, round(cost_error::numeric * 100, 2) AS "err %",
       round(hypopg_cost::numeric, 2) AS hypopg, round(hypopg_cost_error::numeric * 100, 2) AS "err %",
       same_shape AS shape, hypopg_same_shape AS "hypopg's"
  FROM fidelity.figures ORDER BY n;

CREATE VIEW fidelity.verdicts AS
WITH big AS (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY size_error) AS median, max(size_error) AS worst,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY hypopg_size_error) AS hypopg_median, max(hypopg_size_error) AS hypopg_worst
      FROM fidelity.figures WHERE pages >= 100 AND kind <> 'edge'
), small AS (
    SELECT count(*) FILTER (WHERE abs(est_pages - pages) > 4 AND NOT est_pages BETWEEN pages / 2.0 AND pages * 2) AS off,
           count(*) FILTER (WHERE abs(hypopg_pages - pages) > 4 AND NOT hypopg_pages BETWEEN pages / 2.0 AND pages * 2) AS hypopg_off
      FROM fidelity.figures WHERE pages < 100 AND kind <> 'edge'
), shapes AS (
    SELECT count(*) FILTER (WHERE NOT same_shape) AS other, count(*) FILTER (WHERE hypopg_same_shape IS NOT TRUE) AS hypopg_other
      FROM fidelity.figures WHERE kind <> 'edge'
), costs AS (
    SELECT k.kind, k.most, count(*) FILTER (WHERE CASE f.kind WHEN 'expression' THEN cost_factor - 1 ELSE cost_error END > k.most) AS off,
           count(*) FILTER (WHERE hypopg_cost_error IS NULL OR hypopg_cost_error > k.most) AS hypopg_off
      FROM fidelity.figures f
      JOIN (VALUES ('exact', 0.01), ('gin', 0.1), ('brin', 0.1), ('expression', 1)) k (kind, most) USING (kind)
     GROUP BY 1, 2
)
SELECT 'size: median error, %' AS what, round(median::numeric * 100, 1)::text AS dbperf, '10' AS "limit", median <= 0.1 AS met,
       round(hypopg_median::numeric * 100, 1)::text AS hypopg FROM big
UNION ALL
SELECT 'size: largest error, %', round(worst::numeric * 100, 1)::text, '35', worst <= 0.35, round(hypopg_worst::numeric * 100, 1)::text FROM big
UNION ALL
SELECT 'size: small ones far off', off::text, '0', off = 0, hypopg_off::text FROM small
UNION ALL
SELECT 'shape: other plans', other::text, '2', other <= 2, hypopg_other::text FROM shapes
UNION ALL
SELECT 'cost: ' || kind || ', more than ' || CASE kind WHEN 'expression' THEN 'a factor of 2' ELSE most * 100 || ' %' END,
       off::text, '0', off = 0, hypopg_off::text FROM costs;

SELECT what, dbperf, "limit", CASE WHEN met THEN 'ok' ELSE 'MISSED' END AS verdict, hypopg FROM fidelity.verdicts;

\pset format unaligned
\pset tuples_only on
SELECT format(E'\nother plan for %s: %s\n-- real:\n%s\n-- twin:\n%s', n, query, real_shape, shape)
  FROM fidelity.cases JOIN fidelity.results USING (n) WHERE shape <> real_shape ORDER BY n;
