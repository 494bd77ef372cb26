-- JIT compiles a statement with many expressions for longer than it runs.
-- expect: jit_share
-- setup
CREATE TABLE survey (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int NOT NULL, d int NOT NULL);
INSERT INTO survey SELECT g, g % 10, g % 11, g % 12, g % 13 FROM generate_series(1, 60000) g;
VACUUM ANALYZE survey;
-- session
SET jit = on;
SET jit_above_cost = 1000;
SET jit_inline_above_cost = 1000;
SET jit_optimize_above_cost = 1000;
-- query
SELECT count(*) FILTER (WHERE a = 1), count(*) FILTER (WHERE a = 2), count(*) FILTER (WHERE a = 3),
       count(*) FILTER (WHERE b = 1), count(*) FILTER (WHERE b = 2), count(*) FILTER (WHERE b = 3),
       count(*) FILTER (WHERE c = 1), count(*) FILTER (WHERE c = 2), count(*) FILTER (WHERE c = 3),
       count(*) FILTER (WHERE d = 1), count(*) FILTER (WHERE d = 2), count(*) FILTER (WHERE d = 3),
       avg(a + b), avg(b + c), avg(c + d), max(a * b * c), min(b * c * d), sum(a - d)
  FROM survey;
