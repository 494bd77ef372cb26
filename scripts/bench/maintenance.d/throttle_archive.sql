-- A table in which every page needs vacuum.  A copy of the database has no
-- counters: nothing but a request vacuums it.
CREATE TABLE archive (id integer NOT NULL, note text NOT NULL);
ALTER TABLE archive ALTER note SET STORAGE PLAIN;
INSERT INTO archive SELECT i, repeat('x', 360) FROM generate_series(1, :pages * 20) AS i;
ALTER TABLE archive ADD PRIMARY KEY (id);
VACUUM (FREEZE, ANALYZE) archive;
DELETE FROM archive WHERE id % 20 = 0;
