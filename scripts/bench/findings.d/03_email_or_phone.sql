-- Login by e-mail or phone: only one side of the OR has an index.
-- expect: missing_index
-- setup
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, phone text NOT NULL, bio text NOT NULL);
INSERT INTO users
SELECT g, 'user' || g || '@example.org', '+49' || (g * 7919::bigint) % 100000000, repeat('b', 100)
  FROM generate_series(1, 350000) g;
CREATE INDEX users_email ON users (email);
VACUUM ANALYZE users;
-- query
SELECT id, email, phone FROM users WHERE email = 'user77@example.org' OR phone = '+4912345678';
