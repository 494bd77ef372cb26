-- A plan for parallel workers on a server that has none to give.
-- expect: workers_not_launched
-- setup
CREATE TABLE clicks (id int PRIMARY KEY, campaign int NOT NULL, cost int NOT NULL, agent text NOT NULL);
INSERT INTO clicks SELECT g, g % 300, g % 90, repeat('a', 60) FROM generate_series(1, 500000) g;
VACUUM ANALYZE clicks;
-- session
SET max_parallel_workers_per_gather = 2;
SET max_parallel_workers = 0;
-- query
SELECT campaign, sum(cost) FROM clicks GROUP BY campaign;
