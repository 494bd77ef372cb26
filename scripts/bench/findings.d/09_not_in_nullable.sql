-- Customers without orders, with NOT IN over a column that may be null.
-- expect: not_in_subquery
-- setup
CREATE TABLE members (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE purchases (id int PRIMARY KEY, member_id int, total int NOT NULL);
INSERT INTO members SELECT g, 'member ' || g FROM generate_series(1, 1500) g;
INSERT INTO purchases SELECT g, g % 1400 + 1, g % 100 FROM generate_series(1, 25000) g;
CREATE INDEX purchases_member ON purchases (member_id);
VACUUM ANALYZE members, purchases;
-- session
SET work_mem = '256kB';
-- query
SELECT count(*) FROM members WHERE id NOT IN (SELECT member_id FROM purchases);
