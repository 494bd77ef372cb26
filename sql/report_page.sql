-- The page as a text; how it does in a browser is a matter of 083_report.pl.  What is
-- looked for has a quote, which statements recorded before cannot have there.
\set VERBOSITY terse
CREATE TEMP TABLE page AS SELECT dbperf.report() AS html;
SELECT html ~ '^<!DOCTYPE html>\n<html lang="en">' AS begins, html ~ '</html>\n$' AS ends,
       html ~ '[^\n\t\x20-\x7E]' AS other_characters,
       html ~ '<title>contrib_regression &#8211; dbperf report</title>' AS title,
       html ~ 'note failed">' AS failed,
       html ~ 'note">Statements and plans of other roles are hidden' AS hidden
  FROM page;
-- each entry of the contents leads to a section
SELECT count(*) > 5 AS entries,
       bool_and(html LIKE '%<section id="' || m[1] || '" aria-labelledby="' || m[1] || '-title">%') AS lead
  FROM page, regexp_matches(html, '<li><a href="#([a-z-]+)">', 'g') AS m;
-- only the page's own style and script may run, and they are named by their hashes
SELECT html LIKE '%style-src ''sha256-' ||
                 encode(sha256(convert_to(substring(html FROM '<style>(.*)</style>'), 'UTF8')), 'base64') ||
                 '''; script-src ''sha256-' ||
                 encode(sha256(convert_to(substring(html FROM '<script>(.*)</script>'), 'UTF8')), 'base64') ||
                 '''; base-uri ''none''%' AS named,
       html ~ '(src|href)="[^#]' AS refers
  FROM page;
DROP TABLE page;

-- a comparison names both periods
SELECT html ~ 'dbperf comparison</title>' AS title, html ~ 'note failed">' AS failed,
       html ~ '<b>Period</b> 2026-02-01 00:00:00 to 2026-02-02 00:00:00 \(24 h\)' AS period,
       html ~ '<b>Compared with</b> 2026-01-01 00:00:00 to 2026-01-01 12:00:00 \(12 h\)' AS before
  FROM dbperf.report_compare('2026-01-01', '2026-01-01 12:00', '2026-02-01', '2026-02-02') AS html;

-- periods
SELECT dbperf.report(NULL) IS NULL AS nothing;
SELECT dbperf.report('-infinity', now());
SELECT dbperf.report(now(), 'infinity');
\set VERBOSITY default
SET timezone = 'UTC';
SELECT dbperf.report('2026-01-02', '2026-01-01');
SELECT dbperf.report_compare('2026-01-01', '2026-01-02', '2026-01-03', '2026-01-03');
\set VERBOSITY terse
SELECT length(dbperf.report('4713-01-01 BC', '9999-12-31')) > 0 AS ages,
       length(dbperf.report(now() - interval '1 microsecond')) > 0 AS instant;

-- it reads only, and in a transaction that failed in part
BEGIN READ ONLY;
SAVEPOINT one;
SELECT 1 / 0;
ROLLBACK TO one;
SELECT length(dbperf.report()) > 0 AS works;
COMMIT;

-- cancel is no note
SET statement_timeout = '1ms';
SELECT length(dbperf.report());
RESET statement_timeout;
SHOW search_path;

-- one time limit at a time: a statement that is analysed makes no report, and a
-- cancel works afterwards
SELECT * FROM dbperf.analyze_query('SELECT length(dbperf.report())', true);
SELECT * FROM dbperf.analyze_query(
    'SELECT length(dbperf.report_compare(''2001-01-01'', ''2001-01-02'', ''2001-02-01'', ''2001-02-02''))', true);
SET statement_timeout = '100ms';
SELECT pg_sleep(60);
RESET statement_timeout;

-- a disk without room, or no leave to use it, is a note: these texts need a file
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
\set ECHO none
\o /dev/null
SELECT format('SELECT %s /* %s */', i, repeat('x', 8000)) FROM generate_series(1, 50) AS i \gexec
\o
\set ECHO all
RESET dbperf.slow_query_min_duration;
RESET dbperf.slow_query_max_rate;
SET work_mem = '64kB';
SET temp_file_limit = 0;
SELECT dbperf.report() ~ 'note">Not shown: temporary file size exceeds (&quot;)?temp_file_limit' AS no_files;
RESET work_mem;
RESET temp_file_limit;

-- a number that nobody can read
INSERT INTO dbperf.targets VALUES ('dbperf_start_time_seconds', '>', 1e300);
SELECT substring(html FROM 'dbperf_start_time_seconds is [^(]*\(wanted: ([^)]*)\)') AS wanted
  FROM dbperf.report() AS html;
DELETE FROM dbperf.targets WHERE name = 'dbperf_start_time_seconds';

-- whatever the session's search path has
CREATE SCHEMA regress_dbperf_evil;
CREATE FUNCTION regress_dbperf_evil.boo(text, text) RETURNS bool
    LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'boo'; END$$;
CREATE OPERATOR regress_dbperf_evil.= (FUNCTION = regress_dbperf_evil.boo, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_dbperf_evil.<> (FUNCTION = regress_dbperf_evil.boo, LEFTARG = text, RIGHTARG = text);
SET search_path = regress_dbperf_evil, pg_catalog;
SELECT dbperf.report() ~ 'note failed">' AS evil;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA regress_dbperf_evil CASCADE;
RESET client_min_messages;

-- who may call it, and what happens to who may not see all of it
CREATE ROLE regress_dbperf_watcher;
GRANT pg_monitor TO regress_dbperf_watcher;
CREATE ROLE regress_dbperf_other;
SET ROLE regress_dbperf_watcher;
SELECT html ~ 'note failed">' AS failed, html ~ 'note">Statements and plans of other roles are hidden' AS hidden,
       html ~ 'as seen by regress_dbperf_watcher' AS seen_by
  FROM dbperf.report() AS html;
SET ROLE regress_dbperf_other;
SELECT dbperf.report();
SELECT dbperf.report_compare('2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04');
RESET ROLE;
GRANT USAGE ON SCHEMA dbperf TO regress_dbperf_other;
GRANT EXECUTE ON FUNCTION dbperf.report TO regress_dbperf_other;
GRANT EXECUTE ON FUNCTION dbperf.metrics_between TO regress_dbperf_other;
SET ROLE regress_dbperf_other;
SELECT html ~ 'could not be made' AS failed, html ~ 'Not shown: permission denied for dbperf.health' AS headline,
       html ~ 'note">Statements and plans of other roles are hidden' AS hidden, html ~ '</html>\n$' AS ends
  FROM dbperf.report() AS html;
RESET ROLE;
DROP OWNED BY regress_dbperf_other;
DROP ROLE regress_dbperf_watcher, regress_dbperf_other;
