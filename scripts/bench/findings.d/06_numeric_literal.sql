-- An ORM binds a number as numeric: the bigint key is cast row by row.
-- expect: cast_on_column
-- setup
CREATE TABLE ledger (entry_no bigint PRIMARY KEY, account int NOT NULL, amount numeric(12,2) NOT NULL,
	text text NOT NULL);
INSERT INTO ledger
SELECT g, g % 5000, g % 1000, repeat('t', 50) FROM generate_series(1, 400000) g;
VACUUM ANALYZE ledger;
-- query
SELECT account, amount, text FROM ledger WHERE entry_no = 345678::numeric;
