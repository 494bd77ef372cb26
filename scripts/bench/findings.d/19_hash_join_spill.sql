-- Two large tables joined in many batches.
-- expect: hash_spilled
-- setup
CREATE TABLE visits (id int PRIMARY KEY, session_id int NOT NULL, page text NOT NULL);
CREATE TABLE sessions (id int NOT NULL, agent text NOT NULL, referrer text NOT NULL);
INSERT INTO visits SELECT g, (g * 7919::bigint) % 150000 + 1, '/p/' || g % 100 FROM generate_series(1, 200000) g;
INSERT INTO sessions SELECT g, repeat('a', 60), repeat('r', 60) FROM generate_series(1, 150000) g;
VACUUM ANALYZE visits, sessions;
-- session
SET work_mem = '1MB';
-- query
SELECT count(*), max(s.agent || s.referrer || v.page) FROM visits v JOIN sessions s ON s.id = v.session_id;
