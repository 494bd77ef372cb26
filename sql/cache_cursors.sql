-- The result cache under cursors: both directions, pauses, and what happens in
-- between.
SET dbperf.cache_mode = hint;
SET dbperf.cache_admission = always;
CREATE TABLE cursored (id int PRIMARY KEY, note text);
INSERT INTO cursored SELECT i, 'note ' || i FROM generate_series(1, 8) AS i;
ANALYZE cursored;
SELECT dbperf.cache_flush() >= 0 AS flushed;
-- what the last statements did
CREATE FUNCTION counted(OUT hits bigint, OUT misses bigint, OUT stores bigint) LANGUAGE plpgsql AS $$
BEGIN
	SELECT s.hits, s.misses, s.stores INTO hits, misses, stores FROM dbperf.cache_stats AS s;
	PERFORM dbperf.cache_stats_reset();
END $$;
SELECT counted() IS NOT NULL AS counted;

-- the plan runs: stored when it is read to its end without turning back
BEGIN;
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
CLOSE c;
SELECT * FROM counted();
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 3 FROM c;
FETCH 3 FROM c;
CLOSE c;
SELECT * FROM counted();
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 3 FROM c;
FETCH ALL FROM c;
CLOSE c;
SELECT * FROM counted();

-- it is replayed: every way of moving
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH BACKWARD 1 FROM c;
FETCH 3 FROM c;
FETCH RELATIVE 0 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH PRIOR FROM c;
FETCH PRIOR FROM c;
FETCH NEXT FROM c;
FETCH LAST FROM c;
FETCH NEXT FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 3 FROM c;
FETCH ABSOLUTE -3 FROM c;
FETCH FIRST FROM c;
MOVE FORWARD ALL FROM c;
FETCH BACKWARD ALL FROM c;
FETCH 2 FROM c;
MOVE ABSOLUTE 0 FROM c;
FETCH ALL FROM c;
FETCH ABSOLUTE 100 FROM c;
FETCH RELATIVE -2 FROM c;
CLOSE c;
SELECT * FROM counted();
COMMIT;

-- only forward
BEGIN;
/* dbperf: cache */ DECLARE c NO SCROLL CURSOR FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 2 FROM c;
SAVEPOINT s;
FETCH BACKWARD 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
COMMIT;
SELECT * FROM counted();

-- kept after the end of its transaction
BEGIN;
/* dbperf: cache */ DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 2 FROM c;
COMMIT;
DELETE FROM cursored WHERE id = 8;
FETCH 2 FROM c;
FETCH BACKWARD 2 FROM c;
CLOSE c;
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR WITH HOLD FOR SELECT * FROM cursored ORDER BY note DESC;
FETCH 2 FROM c;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
SELECT * FROM counted();

-- its own transaction writes after it was opened: nothing of it is seen, and
-- nothing is stored
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT * FROM cursored WHERE id < 4 ORDER BY note;
FETCH 1 FROM c;
INSERT INTO cursored VALUES (0, 'note');
FETCH ALL FROM c;
COMMIT;
SELECT * FROM counted();
/* dbperf: cache */ SELECT * FROM cursored WHERE id < 4 ORDER BY note;
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT * FROM cursored WHERE id < 4 ORDER BY note;
FETCH 1 FROM c;
DELETE FROM cursored WHERE id = 1;
FETCH 1 FROM c;
-- a table that is read cannot be altered, even if it is not read any more
SAVEPOINT s;
ALTER TABLE cursored ADD COLUMN more int;
ROLLBACK TO s;
TRUNCATE cursored;
ROLLBACK;
SELECT * FROM counted();

-- settings change between two rows, or before the first one
CREATE TABLE cursored_time (id int, at timestamptz);
INSERT INTO cursored_time SELECT i, '2024-05-01 12:00:00+00' FROM generate_series(1, 4) AS i;
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT id, at::text FROM cursored_time ORDER BY id;
FETCH 1 FROM c;
SET LOCAL timezone = 'Asia/Tokyo';
FETCH 1 FROM c;
SET LOCAL timezone = 'UTC';
FETCH ALL FROM c;
COMMIT;
SELECT * FROM counted();
/* dbperf: cache */ SELECT id, at::text FROM cursored_time ORDER BY id;
/* dbperf: cache */ SELECT id, at::text FROM cursored_time ORDER BY id;
SELECT * FROM counted();
BEGIN;
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT id, at::text FROM cursored_time ORDER BY id;
FETCH 2 FROM c;
SET LOCAL timezone = 'Asia/Tokyo';
FETCH 1 FROM c;
FETCH PRIOR FROM c;
/* dbperf: cache */ DECLARE d CURSOR FOR SELECT id, at::text FROM cursored_time ORDER BY id;
SET LOCAL timezone = 'UTC';
FETCH 1 FROM d;
COMMIT;
BEGIN;
/* dbperf: cache */ DECLARE c SCROLL CURSOR FOR SELECT id, at::text FROM cursored_time ORDER BY id;
FETCH 2 FROM c;
MOVE FORWARD ALL FROM c;
SET LOCAL timezone = 'Asia/Tokyo';
FETCH PRIOR FROM c;
COMMIT;
-- rows that are made one after the other are not answered for a cursor
SET enable_hashjoin = off;
SET enable_mergejoin = off;
/* dbperf: cache */ SELECT a.id, b.at::text FROM cursored_time a JOIN cursored_time b USING (id);
SELECT * FROM counted();
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT a.id, b.at::text FROM cursored_time a JOIN cursored_time b USING (id);
FETCH 2 FROM c;
SET LOCAL timezone = 'Asia/Tokyo';
FETCH 1 FROM c;
COMMIT;
/* dbperf: cache */ SELECT a.id, b.at::text FROM cursored_time a JOIN cursored_time b USING (id);
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT bypassed_by_reason -> 'cursor' AS cursors FROM dbperf.cache_stats;
SELECT * FROM counted();

-- rows of a cursor can be changed where they could be without the cache
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT * FROM cursored WHERE note > 'note 5';
FETCH 2 FROM c;
UPDATE cursored SET note = 'changed' WHERE CURRENT OF c RETURNING *;
FETCH ALL FROM c;
ROLLBACK;
DO $$
DECLARE
	c CURSOR FOR SELECT /* dbperf: cache */ * FROM cursored WHERE note > 'note 5';
	n int := 0;
BEGIN
	FOR r IN c LOOP
		UPDATE cursored SET note = note || '!' WHERE CURRENT OF c;
		n := n + 1;
	END LOOP;
	RAISE NOTICE '% rows', n;
END $$;
SELECT * FROM cursored WHERE note ~ '!' ORDER BY id;

-- cursors of functions
CREATE FUNCTION walked(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c SCROLL CURSOR (k int) FOR SELECT /* dbperf: cache */ * FROM cursored WHERE id > k ORDER BY note, id;
	r record;
	result text := '';
BEGIN
	OPEN c(n);
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		result := result || r.id;
	END LOOP;
	FETCH PRIOR FROM c INTO r;
	result := result || '<' || r.id;
	MOVE ABSOLUTE 1 FROM c;
	FETCH RELATIVE 1 FROM c INTO r;
	CLOSE c;
	RETURN result || '@' || r.id;
END $$;
SELECT counted() IS NOT NULL AS counted;
SELECT walked(3), walked(3), walked(4);
SELECT walked(3), walked(4), walked(5);
SELECT * FROM counted();

-- a cursor that is left open, or fails, holds nothing
BEGIN;
/* dbperf: cache */ DECLARE c CURSOR FOR SELECT * FROM cursored_time ORDER BY id DESC;
FETCH ALL FROM c;
/* dbperf: cache */ DECLARE d CURSOR FOR SELECT * FROM cursored_time ORDER BY id DESC;
FETCH 1 FROM d;
SAVEPOINT s;
/* dbperf: cache */ DECLARE e CURSOR FOR SELECT * FROM cursored_time ORDER BY id DESC;
FETCH 1 FROM e;
SELECT 1 / 0;
ROLLBACK TO s;
FETCH 1 FROM d;
SELECT 1 / 0;
ROLLBACK;
SELECT dbperf.cache_flush('cursored_time');
SELECT count(*) FROM dbperf.cache_entries WHERE 'cursored_time'::regclass = ANY (relations);

DROP TABLE cursored, cursored_time;
DROP FUNCTION counted, walked;
