-- A report over all orders: it needs every row once.
-- healthy
-- setup
CREATE TABLE bookings (id int PRIMARY KEY, channel text NOT NULL, amount numeric(10,2) NOT NULL);
INSERT INTO bookings SELECT g, 'channel ' || g % 12, g % 500 FROM generate_series(1, 400000) g;
VACUUM ANALYZE bookings;
-- query
SELECT channel, sum(amount), avg(amount), count(*) FROM bookings GROUP BY channel ORDER BY channel;
