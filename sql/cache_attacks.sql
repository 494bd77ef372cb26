-- Attempts to have the result cache answer what executing would not return.
-- Each statement is served before something changes that the tables do not show.
SET client_min_messages = warning;
ALTER SYSTEM SET dbperf.cache_admission = 'always';
SELECT pg_reload_conf();
CREATE SCHEMA attacks;
CREATE TABLE attacks.items (a int, b text);
INSERT INTO attacks.items SELECT g, 'w' || g FROM generate_series(1, 3) AS g;
ANALYZE attacks.items;
CREATE TYPE attacks.mood AS ENUM ('ok', 'bad');
CREATE TABLE attacks.moods (n int, m attacks.mood);
INSERT INTO attacks.moods VALUES (1, 'ok'), (2, 'bad');
ANALYZE attacks.moods;

SELECT dbperf.cache_stats_reset();

-- a session that has the cache on; the settings stay after \c
ALTER DATABASE :DBNAME SET dbperf.cache_mode = hint;
ALTER DATABASE :DBNAME SET plan_cache_mode = force_generic_plan;
\c -

-- what immutable functions of constants returned stays in a plan, whatever is set later
SET extra_float_digits = 0;
SET bytea_output = escape;
SET quote_all_identifiers = on;
SET timezone = 'Europe/Berlin';
SET timezone_abbreviations = 'Australia';
PREPARE folded(int) AS SELECT /* dbperf: cache */ a, (1.0::float8 / 3)::text AS f, '\x4142'::bytea::text AS b,
       quote_ident('x') AS q, age('2024-03-31 12:00+00'::timestamptz, '2024-03-30 12:00+00') AS age,
       timezone('EST', '2024-01-01'::timestamp) = '2024-01-01 05:00+00' AS est
  FROM attacks.items WHERE a < $1;
EXECUTE folded(2);
EXECUTE folded(2);
RESET extra_float_digits;
RESET bytea_output;
RESET quote_all_identifiers;
SET timezone = 'UTC';
RESET timezone_abbreviations;
EXECUTE folded(2);
\c -
SET timezone = 'UTC';
PREPARE folded(int) AS SELECT /* dbperf: cache */ a, (1.0::float8 / 3)::text AS f, '\x4142'::bytea::text AS b,
       quote_ident('x') AS q, age('2024-03-31 12:00+00'::timestamptz, '2024-03-30 12:00+00') AS age,
       timezone('EST', '2024-01-01'::timestamp) = '2024-01-01 05:00+00' AS est
  FROM attacks.items WHERE a < $1;
EXECUTE folded(2);

-- so does what a text search configuration made of a constant
CREATE TEXT SEARCH CONFIGURATION attacks.words (COPY = english);
PREPARE searched(int) AS SELECT /* dbperf: cache */ a, to_tsvector('attacks.words', 'running dogs')
  FROM attacks.items WHERE a < $1;
EXECUTE searched(2);
EXECUTE searched(2);
ALTER TEXT SEARCH CONFIGURATION attacks.words ALTER MAPPING FOR asciiword WITH simple;
EXECUTE searched(2);
\c -
PREPARE searched(int) AS SELECT /* dbperf: cache */ a, to_tsvector('attacks.words', 'running dogs')
  FROM attacks.items WHERE a < $1;
EXECUTE searched(2);

-- a cast to json that reads a table, made after the plan
CREATE TABLE attacks.words AS SELECT 'one' AS word;
PREPARE written AS SELECT /* dbperf: cache */ n, to_json(m) FROM attacks.moods;
EXECUTE written;
EXECUTE written;
CREATE FUNCTION attacks.mood_json(attacks.mood) RETURNS json LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN (SELECT to_json(word) FROM attacks.words); END $$;
CREATE CAST (attacks.mood AS json) WITH FUNCTION attacks.mood_json(attacks.mood);
EXECUTE written;
EXECUTE written;
UPDATE attacks.words SET word = 'two';
EXECUTE written;
DROP CAST (attacks.mood AS json);

-- an operator class that makes arrays compare by a table
CREATE FUNCTION attacks.by_word(attacks.mood, attacks.mood) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN (SELECT length(word) - 3 FROM attacks.words); END $$;
CREATE FUNCTION attacks.same_word(attacks.mood, attacks.mood) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN attacks.by_word($1, $2) = 0; END $$;
CREATE OPERATOR attacks.=== (FUNCTION = attacks.same_word, LEFTARG = attacks.mood, RIGHTARG = attacks.mood);
PREPARE compared AS SELECT /* dbperf: cache */ n FROM attacks.moods WHERE ARRAY[m] = '{bad}'::attacks.mood[];
EXECUTE compared;
EXECUTE compared;
CREATE OPERATOR CLASS attacks.mood_ops DEFAULT FOR TYPE attacks.mood USING btree AS
    OPERATOR 3 attacks.===, FUNCTION 1 attacks.by_word(attacks.mood, attacks.mood);
EXECUTE compared;
EXECUTE compared;
UPDATE attacks.words SET word = 'three';
EXECUTE compared;
DROP OPERATOR CLASS attacks.mood_ops USING btree;

-- an index whose function was replaced, and which is then built again
CREATE FUNCTION attacks.same(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4up';
CREATE INDEX items_same ON attacks.items (attacks.same(a));
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT /* dbperf: cache */ a FROM attacks.items WHERE attacks.same(a) = 3;
CREATE OR REPLACE FUNCTION attacks.same(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4um';
SELECT /* dbperf: cache */ a FROM attacks.items WHERE attacks.same(a) = 3;
SELECT /* dbperf: cache */ a FROM attacks.items WHERE attacks.same(a) = 3;
REINDEX INDEX attacks.items_same;
SELECT /* dbperf: cache */ a FROM attacks.items WHERE attacks.same(a) = 3;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- a trusted function whose body somebody resolves by his own search_path
CREATE FUNCTION attacks.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'evil' $$;
CREATE FUNCTION attacks.small(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower($1); END $$;
SELECT dbperf.cache_function('attacks.small(text)', true);
SET search_path = attacks, pg_catalog;
SELECT /* dbperf: cache */ attacks.small(b) FROM attacks.items WHERE a = 1;
SELECT /* dbperf: cache */ attacks.small(b) FROM attacks.items WHERE a = 1;
\c -
SELECT /* dbperf: cache */ attacks.small(b) FROM attacks.items WHERE a = 1;
-- nor by a schema that is called like himself: "$user" is another one for each role
CREATE ROLE regress_attacker;
CREATE ROLE regress_victim;
CREATE SCHEMA regress_attacker AUTHORIZATION regress_attacker;
CREATE SCHEMA regress_victim AUTHORIZATION regress_victim;
CREATE FUNCTION regress_attacker.own(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'evil' $$;
CREATE FUNCTION regress_victim.own(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'good' $$;
CREATE FUNCTION attacks.owned(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN own($1); END $$;
SELECT dbperf.cache_function('attacks.owned(text)', true);
GRANT USAGE ON SCHEMA attacks TO regress_attacker, regress_victim;
GRANT SELECT ON attacks.items TO regress_attacker, regress_victim;
SELECT hits AS hits_before FROM dbperf.cache_stats \gset
SET ROLE regress_attacker;
SELECT /* dbperf: cache */ attacks.owned(b) FROM attacks.items WHERE a = 1;
SELECT /* dbperf: cache */ attacks.owned(b) FROM attacks.items WHERE a = 1;
SELECT hits - :hits_before AS served FROM dbperf.cache_stats;
\c -
SET ROLE regress_victim;
SELECT /* dbperf: cache */ attacks.owned(b) FROM attacks.items WHERE a = 1;
RESET ROLE;
SELECT dbperf.cache_function('attacks.owned(text)', false);
SELECT dbperf.cache_function('attacks.small(text)', false);

-- a large constant that planning makes is no reason to fail, or to be kept with each key
SELECT /* dbperf: cache */ length(substr(repeat('x', 200000), a)) FROM attacks.items;
SELECT cacheable, reason, object
  FROM dbperf.cache_explain($$SELECT substr(repeat('x', 200000), a) FROM attacks.items$$);
SELECT bypassed_by_reason->'too large a statement' AS too_large FROM dbperf.cache_stats;

-- a cursor that goes on after a change: all rows have been computed if they were sorted
SELECT /* dbperf: cache */ a, current_setting('timezone') FROM attacks.items ORDER BY a;
SELECT /* dbperf: cache */ n, m::text FROM attacks.moods, generate_series(1, 1) WHERE n > 0;
BEGIN;
DECLARE sorted CURSOR FOR SELECT /* dbperf: cache */ a, current_setting('timezone') FROM attacks.items ORDER BY a;
FETCH 1 FROM sorted;
SET LOCAL timezone = 'Asia/Tokyo';
FETCH 1 FROM sorted;
COMMIT;
BEGIN;
DECLARE labels CURSOR FOR SELECT /* dbperf: cache */ n, m::text FROM attacks.moods, generate_series(1, 1) WHERE n > 0;
FETCH 1 FROM labels;
ALTER TYPE attacks.mood RENAME VALUE 'bad' TO 'worse';
FETCH 1 FROM labels;
ROLLBACK;

-- a time without a date has the offset of today
SELECT cacheable, reason, object FROM dbperf.cache_explain(
    'SELECT jsonb_path_exists_tz(to_jsonb(b), ''$.datetime() < "12:00+01".datetime()'') FROM attacks.items');

-- all of these had been served before
SELECT hits >= 6 AS served FROM dbperf.cache_stats;
ALTER DATABASE :DBNAME RESET dbperf.cache_mode;
ALTER DATABASE :DBNAME RESET plan_cache_mode;
ALTER SYSTEM RESET dbperf.cache_admission;
SELECT pg_reload_conf();
SET client_min_messages = warning;
DROP SCHEMA attacks, regress_attacker, regress_victim CASCADE;
DROP ROLE regress_attacker, regress_victim;
