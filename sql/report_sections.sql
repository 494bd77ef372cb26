-- What the sections of the report say, with and without something to say, and to
-- whom.  Numbers depend on the machine, so what is shown here is around them.
SET client_min_messages = warning;

-- the lines of a section: a row of a table is one, with its cells in brackets
CREATE FUNCTION section(page text, id text) RETURNS TABLE (n bigint, line text) LANGUAGE sql AS $$
    SELECT l.n, l.line
      FROM regexp_split_to_table(
             replace(replace(replace(replace(replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
               substring($1, '<section id="' || $2 || '".*?</section>'),
               '<thead>.*?</thead>', '', 'g'),
               '\s*</(tr|p|h2|h3|summary|pre|details)>\s*', E'\n', 'g'),
               '<td[^>]*>', '[', 'g'),
               '</td>', ']', 'g'),
               '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#8211;', '-'), '&amp;', '&'),
             E'\n') WITH ORDINALITY AS r(raw, n),
           LATERAL (SELECT r.n, regexp_replace(regexp_replace(r.raw, '<(?!insuf)[/a-z][^>]*>', '', 'g'),
                                               'Copy(?=\])', '')) AS l(n, line)
     WHERE l.line ~ '[^\[\]]'
$$;
-- a page of which nothing was left out, as it may be on a machine that is busy
CREATE FUNCTION report(since timestamptz DEFAULT now() - interval '1 hour', until timestamptz DEFAULT now())
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    page text;
BEGIN
    FOR i IN 1 .. 5 LOOP
        page := dbperf.report(since, until);
        EXIT WHEN page !~ 'Left out: it took longer';
    END LOOP;
    RETURN page;
END $$;
CREATE TABLE pages (name text, page text);
SELECT dbperf.slow_queries_reset(), dbperf.query_latency_reset() > 0 AS reset, dbperf.cache_stats_reset();

-- nothing to say, and every section says so
SELECT now() AS began \gset
INSERT INTO pages VALUES ('empty', report(now() - interval '1 s', now()));
SELECT string_agg(m[1], ' ') AS sections
  FROM pages, regexp_matches(page, '<section id="([^"]+)"', 'g') AS m WHERE name = 'empty';
SELECT m[1] AS failed FROM pages, regexp_matches(page, 'class="note[^>]*>((This part|Not shown|Left out)[^<]*)', 'g') AS m;
SELECT s.id, l.line
  FROM pages, (VALUES (1, 'running'), (2, 'statements'), (3, 'findings'), (4, 'regressions'),
                      (5, 'indexes'), (6, 'coverage'), (7, 'advice'), (8, 'cached'),
                      (9, 'pools')) AS s(place, id), section(page, s.id) AS l
 WHERE name = 'empty' AND l.line NOT LIKE '[%' ORDER BY s.place, l.n;

-- something to say
CREATE ROLE regress_dbperf_alice;
CREATE ROLE regress_dbperf_bob;
CREATE TABLE parcels (id int PRIMARY KEY, receiver int NOT NULL, note text);
INSERT INTO parcels SELECT i, i % 500, 'note ' || i FROM generate_series(1, 20000) i;
ANALYZE parcels;
GRANT SELECT ON parcels TO regress_dbperf_alice, regress_dbperf_bob;
SET dbperf.slow_query_max_rate = 0;
SET ROLE regress_dbperf_alice;
PREPARE look(text, int) AS SELECT count(*) FROM parcels WHERE note > $1 AND receiver = $2 /* of alice */;
SET ROLE regress_dbperf_bob;
PREPARE own(text) AS SELECT count(*) FROM parcels WHERE note = $1 /* of bob */;
RESET ROLE;
SELECT clock_timestamp() AS planted \gset
SET dbperf.slow_query_min_duration = 0;
SET ROLE regress_dbperf_alice;
EXECUTE look('<b>secret of alice</b>', 7);
SELECT 1 / (count(*) - 20000) FROM parcels /* fails for alice */;
SET ROLE regress_dbperf_bob;
EXECUTE own('value of bob');
RESET ROLE;
SET dbperf.slow_query_min_duration = -1;
SET dbperf.track = 'none';

INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl,
                                 index_size, benefit_pct, queries, reason, status)
VALUES ('public', 'parcels', 'btree', '{receiver}', 'regress report 1',
        'CREATE INDEX CONCURRENTLY ON public.parcels (receiver)', 1048576, 42, '{}',
        'It "saves" <i>much</i>.', 'open'),
       ('public', 'parcels', 'btree', '{note}', 'regress report 2', 'CREATE INDEX of another', 8192, 1,
        '{}', 'turned down', 'dismissed');
INSERT INTO dbperf.maintenance_log (id, started, finished, database, object, action, outcome, error)
VALUES (9000000001, now(), now() + interval '2 s', current_database(), 'public.parcels', 'vacuum',
        'failed', 'the disk is <full>'),
       (9000000002, now() - interval '1 year', now() - interval '1 year', current_database(),
        'public.long_ago', 'vacuum', 'done', NULL);
INSERT INTO dbperf.query_settings (queryid, settings, note)
VALUES (4711, '{"work_mem": "64MB"}', 'from the tests');
ALTER ROLE regress_dbperf_alice SET regress.api_token = 'hunter2';
ALTER ROLE regress_dbperf_alice SET regress.source = 'host=h password=hunter3';
ALTER ROLE regress_dbperf_alice SET regress.dsn = 'postgresql://sam:hunter4@h/shop';
ALTER ROLE regress_dbperf_alice SET work_mem = '5MB';

INSERT INTO pages VALUES ('planted', report(:'planted', clock_timestamp()));
SELECT m[1] AS failed FROM pages, regexp_matches(page, 'class="note[^>]*>((This part|Not shown|Left out)[^<]*)', 'g') AS m;
-- texts are texts
SELECT page ~ '<b>secret|<i>much|<full>' AS as_html, page ~ '&lt;b&gt;secret of alice&lt;/b&gt;' AS as_text
  FROM pages WHERE name = 'planted';
-- a statement with its parameters, its plan, and what is wrong with it
SELECT DISTINCT regexp_replace(regexp_replace(l.line, '\[([-0-9: .]+ ?(ms|&#181;s|s)?|[A-Za-z]+:\w+)\]', '[]', 'g'),
                               ' *\(cost=[^)]*\)|(<- )?(info|warning|critical): ', '', 'g') COLLATE "C" AS line
  FROM pages, section(page, 'statements') AS l
 WHERE name = 'planted' AND l.line ~ 'of alice|of bob|Seq Scan on parcels|fails for' ORDER BY 1;
SELECT l.line FROM pages, section(page, 'findings') AS l
 WHERE name = 'planted' AND l.line ~ '^CREATE.*parcels' ORDER BY 1;
-- of all time, if nothing is known of the period
SELECT DISTINCT regexp_replace(l.line, '\[[-0-9: .,]+ ?(ms|&#181;s|s|%)?\]', '[]', 'g') COLLATE "C" AS line
  FROM section(report('2001-01-01', '2001-01-02'), 'queries') AS l
 WHERE l.line ~ 'of alice|of bob|Nothing is known|all time' ORDER BY 1;
SELECT s.id, regexp_replace(l.line, '\[\d{4}-\d\d-\d\d [^]]*\]', '[then]', 'g') AS line
  FROM pages, (VALUES (1, 'indexes'), (2, 'maintenance'), (3, 'settings')) AS s(place, id),
       section(page, s.id) AS l
 WHERE name = 'planted' AND l.line ~ 'receiver|saves|another|apply_index|disk is|long_ago|regress_dbperf|from the tests'
 ORDER BY s.place, l.n;
SELECT page ~ 'hunter' AS secrets FROM pages WHERE name = 'planted';
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT page ~ 'hunter' AS secrets, page ~ 'regress.dsn' AS settings FROM report() AS page;
RESET standard_conforming_strings;
RESET escape_string_warning;

-- an INVALID index is no news while somebody may be at work on it
CREATE INDEX parcels_broken ON parcels (id);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'parcels_broken'::regclass;
SELECT count(*) FROM section(report(), 'health') AS l WHERE l.line ~ 'INVALID\].*parcels_broken';
BEGIN;
LOCK TABLE parcels IN SHARE UPDATE EXCLUSIVE MODE;
SELECT count(*) FROM section(report(), 'health') AS l WHERE l.line ~ 'INVALID\].*parcels_broken';
COMMIT;
DROP INDEX parcels_broken;

-- a comparison of which nothing is known
INSERT INTO pages
SELECT 'compared', dbperf.report_compare('2001-01-01', '2001-01-02', '2001-02-01', '2001-02-02');
SELECT s.id, l.line
  FROM pages, (VALUES (1, 'worse'), (2, 'query-changes'), (3, 'plan-changes')) AS s(place, id),
       section(page, s.id) AS l
 WHERE name = 'compared' ORDER BY s.place, l.n;

-- who may only make the page sees no text, plan or parameter of others
CREATE ROLE regress_dbperf_reader;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
GRANT EXECUTE ON FUNCTION dbperf.report(timestamptz, timestamptz),
                          dbperf.report_compare(timestamptz, timestamptz, timestamptz, timestamptz)
    TO regress_dbperf_reader, regress_dbperf_bob;
GRANT INSERT ON pages TO PUBLIC;
SET ROLE regress_dbperf_reader;
INSERT INTO pages VALUES ('reader', report(:'planted', clock_timestamp()));
INSERT INTO pages
SELECT 'reader compares', dbperf.report_compare('2001-01-01', '2001-01-02', :'planted', clock_timestamp());
SET ROLE regress_dbperf_bob;
INSERT INTO pages VALUES ('bob', report(:'planted', clock_timestamp()));
SET ROLE regress_dbperf_monitor;
INSERT INTO pages VALUES ('monitor', report(:'planted', clock_timestamp()));
RESET ROLE;
SELECT name, page ~ 'of alice|fails for' AS text_of_alice, page ~ 'secret of' AS parameter_of_alice,
       page ~ 'Filter: .*receiver' AS plan_of_alice, page ~ 'of bob \*/' AS text_of_bob,
       page ~ 'value of bob' AS parameter_of_bob, page ~ 'It .*saves' AS advice,
       page ~ 'disk is' AS maintenance
  FROM pages WHERE name IN ('reader', 'reader compares', 'bob', 'monitor') ORDER BY 1;
SELECT DISTINCT l.line FROM pages, regexp_matches(page, '<section id="([^"]+)"', 'g') AS m,
       section(page, m[1]) AS l
 WHERE name = 'reader' AND l.line ~ '^Not shown' ORDER BY 1;
-- nor is it said that nobody waits, which such a role cannot know
SELECT p.name, s.id, l.line
  FROM pages AS p, (VALUES (1, 'health'), (2, 'running')) AS s(place, id), section(p.page, s.id) AS l
 WHERE p.name IN ('reader', 'monitor')
   AND l.line ~ '^(Not shown|Locks, |Nobody|None|Nothing)' AND l.line !~ '^Nothing:'
 ORDER BY p.name, s.place, l.n;

-- who sees statements of his own only is not told to drop an index by them
CREATE TABLE twice (id int);
INSERT INTO twice SELECT generate_series(1, 10000);
CREATE INDEX twice_one ON twice (id);
CREATE INDEX twice_two ON twice (id);
GRANT SELECT ON twice TO regress_dbperf_bob;
SET ROLE regress_dbperf_bob;
INSERT INTO pages VALUES ('drops', report());
RESET ROLE;
SELECT l.line FROM pages, section(page, 'indexes') AS l WHERE name = 'drops' AND l.line ~ 'twice|index_drops' ORDER BY l.n;
DROP TABLE twice;

DROP TABLE pages;
DROP FUNCTION section(text, text), report(timestamptz, timestamptz);
DELETE FROM dbperf.index_advice WHERE identity LIKE 'regress report %';
DELETE FROM dbperf.maintenance_log WHERE id > 9000000000;
DELETE FROM dbperf.query_settings WHERE queryid = 4711;
DEALLOCATE ALL;
DROP TABLE parcels;
REVOKE ALL ON FUNCTION dbperf.report(timestamptz, timestamptz),
                       dbperf.report_compare(timestamptz, timestamptz, timestamptz, timestamptz)
    FROM regress_dbperf_reader, regress_dbperf_bob;
DROP ROLE regress_dbperf_alice, regress_dbperf_bob, regress_dbperf_reader, regress_dbperf_monitor;
