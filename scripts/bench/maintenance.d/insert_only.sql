CREATE TABLE measurement
(
  id    bigint PRIMARY KEY,
  value double precision NOT NULL,
  note  text NOT NULL
);
INSERT INTO measurement SELECT i, i, repeat('x', 60) FROM generate_series(1, :rows) AS i;
