-- A running balance of one account, with a sort that fits into memory.
-- healthy
-- setup
CREATE TABLE bank_lines (id int PRIMARY KEY, account int NOT NULL, at timestamp NOT NULL, amount int NOT NULL);
INSERT INTO bank_lines
SELECT g, (g * 7919::bigint) % 12, timestamp '2024-01-01' + ((g * 31::bigint) % 700000) * interval '1 second', g % 500 - 250
  FROM generate_series(1, 500000) g;
CREATE INDEX bank_lines_account ON bank_lines (account);
VACUUM ANALYZE bank_lines;
-- session
SET work_mem = '32MB';
-- query
SELECT at, amount, sum(amount) OVER (ORDER BY at, id) AS balance FROM bank_lines WHERE account = 5;
