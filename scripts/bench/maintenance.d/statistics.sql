-- Tables with statistics, but none of the expression and of the two columns together.
CREATE TABLE customer (id integer PRIMARY KEY, attributes jsonb NOT NULL);
INSERT INTO customer
SELECT i, jsonb_build_object('kind', CASE WHEN i % 10 < 9 THEN 'private' ELSE 'company' END)
FROM generate_series(1, :rows) AS i;

CREATE TABLE address (id integer PRIMARY KEY, city integer NOT NULL, zip integer NOT NULL);
INSERT INTO address SELECT i, i % 2000 / 200, i % 2000 / 200 FROM generate_series(1, :rows) AS i;
CREATE INDEX ON address (city, zip);

CREATE TABLE visit (id integer PRIMARY KEY, customer integer NOT NULL);
INSERT INTO visit SELECT i, i FROM generate_series(1, :rows) AS i;
CREATE INDEX ON visit (customer);

CREATE TABLE fresh (id integer PRIMARY KEY, reference integer NOT NULL, note text NOT NULL);
CREATE INDEX ON fresh (reference);
