-- What scripts/bench/cache reads and writes: 20 tables of sales with :rows rows
-- in all, a table of regions, two tables of accounts, and a large table.
CREATE TABLE region (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO region SELECT i, 'Region ' || i FROM generate_series(0, 15) i;

CREATE FUNCTION create_sales(number int, rows int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE sales_%s (id int PRIMARY KEY, day date NOT NULL, region int NOT NULL,
    product int NOT NULL, quantity int NOT NULL, amount int NOT NULL) WITH (fillfactor = 90)', number);
  EXECUTE format('INSERT INTO sales_%s SELECT i, date ''2026-01-01'' + i %% 365, hashint4(i) & 15,
    abs(hashint4(i + %1$s)) %% 100, 1 + i %% 7, abs(hashint4(i * 3)) %% 1000
    FROM generate_series(1, $1) i', number) USING rows;
END
$$;
SELECT create_sales(i, :rows / 20) FROM generate_series(1, 20) i \g /dev/null

CREATE TABLE account_cached (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 50);
INSERT INTO account_cached SELECT i, 0 FROM generate_series(1, 50000) i;
CREATE TABLE account_plain (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 50);
INSERT INTO account_plain SELECT i, 0 FROM generate_series(1, 50000) i;

CREATE TABLE large (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL);
INSERT INTO large SELECT i, 'Item ' || i, i % 1000 FROM generate_series(1, :large_rows) i;
