-- The column that changes is indexed: no update is heap-only.
CREATE TABLE stock (id integer PRIMARY KEY, changed timestamptz NOT NULL, note text NOT NULL);
INSERT INTO stock SELECT i, now(), repeat('x', 80) FROM generate_series(1, :rows) AS i;
CREATE INDEX ON stock (changed);
