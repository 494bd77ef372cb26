-- Today's rows of a table with 400 partitions: all are planned, one is read.
-- expect: planning_share
-- setup
CREATE TABLE metrics (day int NOT NULL, series int NOT NULL, value int NOT NULL) PARTITION BY RANGE (day);
SELECT format('CREATE TABLE metrics_%s PARTITION OF metrics FOR VALUES FROM (%s) TO (%s)', g, g, g + 1)
  FROM generate_series(1, 400) g \gexec
INSERT INTO metrics SELECT g % 400 + 1, g % 1000, g FROM generate_series(1, 40000) g;
ANALYZE metrics;
-- query
SELECT m.series, sum(m.value), max(n.value)
  FROM metrics m JOIN metrics n USING (day, series)
 WHERE m.day = date_part('doy', now())::int AND n.day = date_part('doy', now())::int
 GROUP BY m.series;
