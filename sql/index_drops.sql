-- Indexes that nobody needs, and those that look so but are needed.
SET client_min_messages = warning;
CREATE SCHEMA planted_drops;
SET search_path = planted_drops, public;
CREATE VIEW drops AS
    SELECT regexp_replace(index_name, '^planted_drops\.', '') AS index_name,
           regexp_replace(table_name, '^planted_drops\.', '') AS table_name,
           regexp_replace(reason, '\. .*', '.') AS reason,
           regexp_replace(replaced_by, '^planted_drops\.', '') AS replaced_by
      FROM dbperf.suggest_index_drops()
     WHERE table_name LIKE 'planted\_drops.%';
-- the same, when an index may be unused from its first second on
CREATE VIEW unused AS
    SELECT regexp_replace(index_name, '^planted_drops\.', '') AS index_name,
           regexp_replace(table_name, '^planted_drops\.', '') AS table_name,
           scans, replaced_by, stats_age < interval '1 hour' AS young, ddl
      FROM dbperf.suggest_index_drops('0')
     WHERE table_name LIKE 'planted\_drops.%' AND reason LIKE 'Not used%';

-- duplicates: the constraint's, the unique one, the older one stays
CREATE TABLE dup (id int PRIMARY KEY, a int, b text, c int, d int);
CREATE INDEX dup_id ON dup (id);
CREATE INDEX dup_a1 ON dup (a);
CREATE INDEX dup_a2 ON dup (a);
CREATE INDEX dup_a3 ON dup USING btree (a ASC NULLS LAST) WITH (fillfactor = 70);
CREATE INDEX dup_b1 ON dup (b);
CREATE UNIQUE INDEX dup_b2 ON dup (b);
CREATE INDEX dup_lower1 ON dup (lower(b)) WHERE a = 1 AND c IS NOT NULL;
CREATE INDEX dup_lower2 ON dup (lower(b)) WHERE NOT c IS NULL AND 1 = a;
CREATE INDEX dup_lower3 ON dup (lower(b)) WHERE a = 2 AND c IS NOT NULL;
CREATE INDEX dup_include1 ON dup (d) INCLUDE (a, b);
CREATE INDEX dup_include2 ON dup (d) INCLUDE (b, a);
SELECT * FROM drops ORDER BY index_name COLLATE "C";

-- none of these is the same as another one
CREATE TABLE differs (a text, b int, c point, j jsonb, arr int[], ts timestamp);
CREATE INDEX differs_1 ON differs (a);
CREATE INDEX differs_2 ON differs (a text_pattern_ops);
CREATE INDEX differs_3 ON differs (a COLLATE "C");
CREATE INDEX differs_4 ON differs USING hash (a);
CREATE INDEX differs_5 ON differs (b DESC);
CREATE INDEX differs_6 ON differs (b NULLS FIRST);
CREATE INDEX differs_7 ON differs (b) WHERE b > 0;
CREATE INDEX differs_8 ON differs (b) WHERE b > 1;
CREATE INDEX differs_9 ON differs (upper(a));
CREATE INDEX differs_10 ON differs USING gin (j);
CREATE INDEX differs_11 ON differs USING gin (j jsonb_path_ops);
CREATE INDEX differs_12 ON differs USING brin (ts) WITH (pages_per_range = 64);
CREATE INDEX differs_13 ON differs (b DESC, ts);
SELECT * FROM drops WHERE table_name = 'differs' ORDER BY index_name COLLATE "C";
DROP INDEX differs_5;

-- prefixes
CREATE TABLE prefix (a int, b int, c int, arr int[], j jsonb, ts timestamp);
CREATE INDEX prefix_a ON prefix (a);
CREATE INDEX prefix_a_desc ON prefix (a DESC);
CREATE INDEX prefix_a_nulls_first ON prefix (a NULLS FIRST);
CREATE INDEX prefix_a_b ON prefix (a, b);
CREATE INDEX prefix_a_b_c ON prefix (a, b, c);
CREATE INDEX prefix_b ON prefix (b);
CREATE UNIQUE INDEX prefix_unique ON prefix (a, b);
CREATE INDEX prefix_a_partial ON prefix (a) WHERE b > 0;
CREATE INDEX prefix_gin ON prefix USING gin (j);
CREATE INDEX prefix_gin_wide ON prefix USING gin (arr, j);
CREATE INDEX prefix_brin ON prefix USING brin (ts);
CREATE INDEX prefix_brin_fine ON prefix USING brin (ts) WITH (pages_per_range = 32);
SELECT * FROM drops WHERE table_name = 'prefix' ORDER BY index_name COLLATE "C";

-- unused ones, and those that are needed although nobody scans them
CREATE TABLE parent (id int PRIMARY KEY, x int, y int, UNIQUE (x, y));
CREATE TABLE needed (id int PRIMARY KEY, parent_id int REFERENCES parent, x int, y int,
                     code text NOT NULL, email text, free int, room int4range,
                     FOREIGN KEY (x, y) REFERENCES parent (x, y),
                     EXCLUDE USING gist (room WITH &&));
CREATE INDEX needed_fk ON needed (parent_id);
CREATE INDEX needed_fk_two ON needed (y, x, free);
CREATE UNIQUE INDEX needed_unique ON needed (email);
CREATE UNIQUE INDEX needed_identity ON needed (code);
ALTER TABLE needed REPLICA IDENTITY USING INDEX needed_identity;
CREATE INDEX needed_cluster ON needed (free, code);
CLUSTER needed USING needed_cluster;
CREATE INDEX needed_statistics ON needed (upper(code));
CREATE INDEX unneeded ON needed (free);
CREATE INDEX unneeded_expression ON needed ((free + 1));
CREATE STATISTICS needed_free ON (free + 1) FROM needed;
SELECT * FROM unused WHERE table_name = 'needed' ORDER BY index_name COLLATE "C";
SELECT * FROM drops WHERE table_name = 'needed' ORDER BY index_name COLLATE "C";
-- with two of them one is enough
CREATE INDEX needed_fk_hash ON needed USING hash (parent_id);
CREATE INDEX needed_statistics_wide ON needed (upper(code), free, id);
SELECT index_name FROM unused WHERE table_name = 'needed' ORDER BY index_name COLLATE "C";
SELECT * FROM drops WHERE table_name = 'needed' ORDER BY index_name COLLATE "C";

-- partitions: only the index of the parent can be dropped
CREATE TABLE parted (a int, b int, c int) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (a);
CREATE TABLE parted_21 PARTITION OF parted_2 FOR VALUES FROM (10) TO (15);
CREATE INDEX parted_b ON parted (b);
CREATE INDEX parted_b_c ON parted (b, c);
CREATE INDEX parted_21_own ON parted_21 (b, c);
CREATE INDEX parted_21_other ON parted_21 (c);
SELECT * FROM drops WHERE table_name LIKE 'parted%' ORDER BY index_name COLLATE "C";
-- of parted_b_c one in a partition is the replacement of another one
SELECT * FROM unused WHERE table_name LIKE 'parted%' ORDER BY index_name COLLATE "C";

-- the recorded workload has the last word
CREATE TABLE judged (a int, b int, c int, d int, pad text);
INSERT INTO judged SELECT i, i, i, i, repeat('x', 200) FROM generate_series(1, 20000) i;
CREATE INDEX judged_b ON judged (b);
ANALYZE judged;
SELECT dbperf.query_latency_reset() >= 0 AS reset;
SELECT count(*) FROM judged WHERE a = 7;
SELECT count(*) FROM judged WHERE b = 7;
SELECT pad = '' AS empty FROM judged WHERE d = 7;
CREATE INDEX judged_a ON judged (a);
CREATE INDEX judged_c ON judged (c);
-- one of them can go, but not both
CREATE INDEX judged_d_a ON judged (d, a);
CREATE INDEX judged_d_b ON judged (d, b);
SELECT index_name, replaced_by, cost_change_pct, untried > 0 AS untried FROM dbperf.suggest_index_drops('0')
 WHERE table_name = 'planted_drops.judged';

-- left over from a build that failed
CREATE TABLE broken (a int, b int);
INSERT INTO broken VALUES (1, 1), (1, 2);
\set VERBOSITY terse
CREATE UNIQUE INDEX CONCURRENTLY broken_a ON broken (a);
\set VERBOSITY default
CREATE INDEX broken_a_valid ON broken (a);
SELECT index_name, reason, replaced_by, cost_change_pct, ddl FROM dbperf.suggest_index_drops()
 WHERE table_name = 'planted_drops.broken';
SELECT kind, index_name, finding ~ 'left over' AS finding, ddl FROM dbperf.index_findings
 WHERE table_name = 'planted_drops.broken';

-- odd names
\pset format unaligned
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."select" ("Größe; DROP" int, "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöü" int);
CREATE INDEX "Odd 'index" ON "Odd ""schema"""."select" ("Größe; DROP");
CREATE INDEX "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöü_x" ON "Odd ""schema"""."select"
    ("Größe; DROP", "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöü");
SELECT index_name, table_name, replaced_by, ddl, index_name::regclass = replaced_by::regclass AS same
  FROM dbperf.suggest_index_drops() WHERE table_name LIKE '"Odd%';
\pset format aligned

-- who sees what
CREATE ROLE regress_dbperf_plain;
GRANT USAGE ON SCHEMA planted_drops TO regress_dbperf_plain;
GRANT SELECT ON drops, unused TO regress_dbperf_plain;
GRANT SELECT ON broken TO regress_dbperf_plain;
GRANT SELECT (a) ON prefix TO regress_dbperf_plain;
ALTER TABLE differs OWNER TO regress_dbperf_plain;
CREATE INDEX differs_14 ON differs (upper(a), b);
SET ROLE regress_dbperf_plain;
SELECT regexp_replace(reason, '^.*?\. ', '') AS caveat, index_name, table_name
  FROM dbperf.suggest_index_drops() WHERE table_name LIKE 'planted\_drops.%' ORDER BY index_name COLLATE "C";
SELECT table_name FROM dbperf.index_findings
 WHERE table_name LIKE 'planted\_drops.%' ORDER BY table_name COLLATE "C";
RESET ROLE;

-- what an extension made is its own business
SELECT * FROM dbperf.suggest_index_drops('0') WHERE table_name LIKE 'dbperf.%';

-- temporary tables are not worth it
CREATE TEMP TABLE temporary (a int PRIMARY KEY);
CREATE INDEX ON temporary (a);
SELECT * FROM dbperf.suggest_index_drops('0') WHERE table_name ~ 'temporary';

-- bad arguments
SELECT * FROM dbperf.suggest_index_drops('-1 day');
SELECT * FROM dbperf.suggest_index_drops(NULL);

-- what indexes are made of belongs to others: nothing of it is run
CREATE ROLE regress_dbperf_mallory;
GRANT USAGE, CREATE ON SCHEMA planted_drops TO regress_dbperf_mallory;
SET ROLE regress_dbperf_mallory;
CREATE TABLE trap_log (who name);
CREATE FUNCTION note() RETURNS int LANGUAGE sql AS
    'INSERT INTO planted_drops.trap_log VALUES (current_user) RETURNING 1';
CREATE FUNCTION trap(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM planted_drops.note();
    RETURN $1;
END $$;
CREATE FUNCTION bomb(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'regress_dbperf_mallory' THEN
        RAISE EXCEPTION 'bomb went off as %', current_user;
    END IF;
    RETURN $1;
END $$;
CREATE TABLE trapped (a int, b int, CHECK (bomb(1) > 0));
CREATE INDEX trapped_1 ON trapped ((a + trap(1)), (b + bomb(2))) WHERE b > bomb(1) AND trap(2) > 1;
CREATE INDEX trapped_2 ON trapped ((trap(1) + a)) WHERE b > bomb(1) AND trap(2) > 1;
CREATE INDEX trapped_3 ON trapped ((a + trap(1))) WHERE trap(2) > 1 AND b > bomb(1);
CREATE STATISTICS trapped_stats ON (a + trap(1)), (b + bomb(2)) FROM trapped;
CREATE TABLE trapped_parted (a int, b int) PARTITION BY RANGE ((a + trap(1)), (a + bomb(1)));
CREATE TABLE trapped_part PARTITION OF trapped_parted FOR VALUES FROM (0, 0) TO (10, 10);
CREATE INDEX ON trapped_parted (b);
CREATE INDEX ON trapped_parted (b, a);
INSERT INTO trapped VALUES (1, 5);
INSERT INTO trapped_parted VALUES (1, 5);
-- each of them has sprung by now, as its owner
SELECT count(*) > 0 AS sprung, min(who) = 'regress_dbperf_mallory' AND min(who) = max(who) AS owner
  FROM trap_log;
TRUNCATE trap_log;
RESET ROLE;
SELECT index_name FROM drops WHERE table_name LIKE 'trap%' ORDER BY index_name COLLATE "C";
SELECT index_name FROM unused WHERE table_name LIKE 'trap%' ORDER BY index_name COLLATE "C";
SELECT count(*) AS findings FROM dbperf.index_findings WHERE table_name LIKE 'planted\_drops.trap%';
SELECT * FROM dbperf.what_if('SELECT 1', ARRAY[
    'CREATE INDEX ON planted_drops.trapped ((a + planted_drops.bomb(1))) WHERE planted_drops.trap(1) = 2']);
SELECT * FROM trap_log;

DROP SCHEMA planted_drops, "Odd ""schema""" CASCADE;
DROP ROLE regress_dbperf_mallory, regress_dbperf_plain;
