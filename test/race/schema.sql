-- What the race test (test/t/050_cache_race.pl) reads and writes.

-- Every change that commits raises sum(ver) of these.
CREATE TABLE t0 (id int PRIMARY KEY, ver bigint NOT NULL, val int NOT NULL);
CREATE TABLE t1 (LIKE t0 INCLUDING ALL);
CREATE TABLE t2 (LIKE t0 INCLUDING ALL);
CREATE TABLE t3 (LIKE t0 INCLUDING ALL);
INSERT INTO t0 SELECT g, 0, g FROM generate_series(1, 40) AS g;
INSERT INTO t1 TABLE t0;
INSERT INTO t2 TABLE t0;
INSERT INTO t3 TABLE t0;

-- written by a trigger only
CREATE TABLE audit (id int PRIMARY KEY, ver bigint NOT NULL);
INSERT INTO audit SELECT g, 0 FROM generate_series(0, 4) AS g;
CREATE TABLE triggered (id int PRIMARY KEY, ver bigint NOT NULL);
INSERT INTO triggered SELECT g, 0 FROM generate_series(1, 20) AS g;
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE audit SET ver = ver + 1 WHERE id = NEW.id % 5;
	RETURN NULL;
END $$;
CREATE TRIGGER note_change AFTER UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TABLE deferred (LIKE triggered INCLUDING ALL);
INSERT INTO deferred TABLE triggered;
CREATE CONSTRAINT TRIGGER note_change AFTER UPDATE ON deferred
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_change();

-- written by cascades only
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY,
	parent int NOT NULL REFERENCES parent ON UPDATE CASCADE ON DELETE CASCADE);
INSERT INTO parent SELECT g FROM generate_series(1, 10) AS g;
INSERT INTO child SELECT g, 1 + g % 10 FROM generate_series(1, 30) AS g;

-- part_2 comes and goes
CREATE TABLE parts (id int NOT NULL, part int NOT NULL, ver bigint NOT NULL) PARTITION BY LIST (part);
CREATE TABLE part_0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT g, g % 3, 0 FROM generate_series(1, 30) AS g;

CREATE VIEW through AS SELECT id, ver, val FROM t1 WHERE val % 2 = 0;
CREATE MATERIALIZED VIEW kept AS SELECT id, ver FROM t2;
CREATE UNIQUE INDEX ON kept (id);

-- what COPY reads
COPY (SELECT g + 1000, 1, g FROM generate_series(1, 5) AS g) TO :'copy_file';

-- Rows of t3 are written anew.
CREATE FUNCTION truncate_t3() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	kept t3[];
BEGIN
	LOCK TABLE t3;
	kept := ARRAY(SELECT t3 FROM t3);
	TRUNCATE t3;
	INSERT INTO t3 SELECT id, ver + 1, val FROM unnest(kept);
END $$;

-- Changes t0 and t1, but not t2, which an error takes back.
CREATE FUNCTION change_some(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE t0 SET ver = ver + 1 WHERE id = n;
	BEGIN
		UPDATE t2 SET ver = ver + 100 WHERE id = n;
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		UPDATE t1 SET ver = ver + 1 WHERE id = n;
	END;
END $$;

CREATE FUNCTION switch_part_2() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE parts;
	IF (SELECT relispartition FROM pg_class WHERE oid = 'part_2'::regclass) THEN
		ALTER TABLE parts DETACH PARTITION part_2;
	ELSE
		ALTER TABLE parts ATTACH PARTITION part_2 FOR VALUES IN (2);
	END IF;
END $$;

-- What is read, always with and without the hint: one row of two numbers.
CREATE TABLE statements (number int PRIMARY KEY, query text NOT NULL);
INSERT INTO statements VALUES
	(0, 'SELECT count(*) AS n, coalesce(sum(ver + val), 0)::bigint AS s FROM t0'),
	(1, 'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM t1 WHERE id <= 20'),
	(2, 'SELECT count(*) AS n, coalesce(sum(t2.ver - t0.ver), 0)::bigint AS s FROM t2 JOIN t0 USING (id)'),
	(3, 'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM t3'),
	(4, 'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM audit'),
	(5, 'SELECT count(*) AS n, coalesce(sum(parent * id), 0)::bigint AS s FROM child'),
	(6, 'SELECT count(*) AS n, coalesce(sum(ver + part), 0)::bigint AS s FROM parts'),
	(7, 'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM through'),
	(8, 'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM kept');

-- Says in the server log that a result was wrong.
CREATE FUNCTION compare(what text, n1 bigint, s1 bigint, n2 bigint, s2 bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF (n1, s1) IS DISTINCT FROM (n2, s2) THEN
		RAISE LOG 'cache race: wrong: %: (%, %) should be (%, %)', what, n1, s1, n2, s2;
	END IF;
END $$;

-- The same where other transactions may have come between.
CREATE FUNCTION compare_between(what text, low bigint, got bigint, high bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF got NOT BETWEEN low AND high THEN
		RAISE LOG 'cache race: wrong: %: % should be between % and %', what, got, low, high;
	END IF;
END $$;

-- A STABLE function executes all its statements with its caller's snapshot.
DO $$
DECLARE
	stmt statements;
BEGIN
	FOR stmt IN TABLE statements LOOP
		EXECUTE format($f$
			CREATE FUNCTION check_%1$s(delay float8) RETURNS void LANGUAGE plpgsql STABLE AS $b$
			DECLARE
				a record;
				b record;
			BEGIN
				IF delay > 0 THEN
					PERFORM pg_sleep(delay);
				END IF;
				%2$s INTO a;
				%3$s INTO b;
				PERFORM compare('function %1$s', a.n, a.s, b.n, b.s);
			END $b$
		$f$, stmt.number, overlay(stmt.query PLACING 'SELECT /* dbperf: cache */' FROM 1 FOR 6), stmt.query);
	END LOOP;
END $$;

-- Many rows, through a loop's cursor and through one that is opened.
CREATE FUNCTION check_rows() RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
	c refcursor;
	r record;
	a bigint[] := '{}';
	b bigint[] := '{}';
	i int := 0;
BEGIN
	FOR r IN SELECT /* dbperf: cache */ id, ver FROM t0 WHERE id <= 30 ORDER BY id LOOP
		a := a || r.id::bigint || r.ver;
	END LOOP;
	OPEN c FOR SELECT /* dbperf: cache */ id, ver FROM t1 WHERE id <= 30 ORDER BY id;
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		a := a || r.id::bigint || r.ver;
	END LOOP;
	CLOSE c;
	FOR r IN SELECT id, ver FROM t0 WHERE id <= 30 ORDER BY id LOOP
		b := b || r.id::bigint || r.ver;
	END LOOP;
	FOR r IN SELECT id, ver FROM t1 WHERE id <= 30 ORDER BY id LOOP
		b := b || r.id::bigint || r.ver;
	END LOOP;
	IF a <> b THEN
		RAISE LOG 'cache race: wrong: rows: % should be %', a, b;
	END IF;
END $$;
