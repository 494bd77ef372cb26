-- A running total made by a CTE that is joined to itself, and read once for each of its rows.
-- expect: cte_rescanned
-- setup
CREATE TABLE sales (id int PRIMARY KEY, day date NOT NULL, amount int NOT NULL);
INSERT INTO sales SELECT g, date '2020-01-01' + g % 1200, g % 100 FROM generate_series(1, 150000) g;
VACUUM ANALYZE sales;
-- query
WITH daily AS MATERIALIZED (SELECT day, sum(amount) AS amount FROM sales GROUP BY day)
SELECT d.day, sum(e.amount) AS total
  FROM daily d JOIN daily e ON e.day <= d.day
 GROUP BY d.day
 ORDER BY d.day;
