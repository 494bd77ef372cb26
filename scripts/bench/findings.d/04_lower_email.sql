-- Case-insensitive login: lower() hides the column from its index.
-- expect: function_on_column
-- setup
CREATE TABLE accounts (id int PRIMARY KEY, email text NOT NULL, profile text NOT NULL);
INSERT INTO accounts
SELECT g, 'User' || g || '@Example.org', repeat('p', 80) FROM generate_series(1, 500000) g;
CREATE INDEX accounts_email ON accounts (email);
VACUUM ANALYZE accounts;
-- query
SELECT id, email FROM accounts WHERE lower(email) = 'user4711@example.org';
