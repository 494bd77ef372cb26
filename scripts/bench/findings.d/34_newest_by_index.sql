-- The newest rows of a tenant, in the order of an index that fits.
-- healthy
-- setup
CREATE TABLE messages (id int PRIMARY KEY, room int NOT NULL, at timestamp NOT NULL, body text NOT NULL);
INSERT INTO messages
SELECT g, (g * 7919::bigint) % 20, timestamp '2024-01-01' + g * interval '1 second', repeat('m', 40)
  FROM generate_series(1, 400000) g;
CREATE INDEX messages_room_at ON messages (room, at);
VACUUM ANALYZE messages;
-- session
SET random_page_cost = 1.1;
-- query
SELECT id, at, md5(md5(body || id)) FROM messages WHERE room = 5 ORDER BY at DESC LIMIT 15000;
