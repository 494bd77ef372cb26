-- What happened to orders, one partition a month.
CREATE TABLE event
(
  id       bigint NOT NULL,
  created  date NOT NULL,
  order_no integer NOT NULL,
  status   integer NOT NULL,
  PRIMARY KEY (id, created)
) PARTITION BY RANGE (created);

SELECT format('CREATE TABLE event_%s PARTITION OF event FOR VALUES FROM (%L) TO (%L)', m,
              date '2025-01-01' + (m - 1) * interval '1 month',
              date '2025-01-01' + m * interval '1 month')
FROM generate_series(1, 12) AS m \gexec
