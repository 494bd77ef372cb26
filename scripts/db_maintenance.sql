-- db_maintenance.sql: maintenance of one database from cron, with psql alone.
--
-- For servers on which dbperf's own workers do not run; the extension may be
-- installed or not.  It looks which tables need VACUUM or ANALYZE, prints that
-- plan with its reasons, does it, and reports what came of it.
--
--   psql -X -d mydb -f db_maintenance.sql
--   psql -X -d mydb -v dry_run=on -f db_maintenance.sql
--
-- Every night at 3, with mail from cron only if something failed or was skipped:
--
--   0 3 * * *  psql -X -d mydb -f /path/db_maintenance.sql >>/var/log/db_maintenance.log
--
-- Variables (-v name=value):
--   dry_run       on: print the plan and do nothing                 (off)
--   max_tables    at most so many tables, the most urgent first     (50)
--   lock_timeout  no longer wait for a lock                         (2s)
--   cost_delay    vacuum_cost_delay; 0: as fast as possible         (2ms)
--   cost_limit    vacuum_cost_limit                                 (2000)
--   truncate      on: give empty pages at a table's end back to the
--                 file system, for which it is locked for a moment  (off)
--
-- As a superuser or the database's owner it looks after all tables, as anybody
-- else after those that the role owns or (from 17 on) may maintain.  A table
-- that is locked is skipped.  Tables with autovacuum_enabled = off are looked
-- after as well: such a setting often means that cron is to do it.
--
-- What is due:
--   vacuum   more dead rows than autovacuum's threshold or 50 + 10 * sqrt(rows),
--            whichever is less; or more inserted rows since the last one than
--            autovacuum's threshold or 1000 + 5 % of the rows
--   freeze   an age over 80 % of autovacuum_freeze_max_age
--   analyze  more changed rows than autovacuum's threshold or 50 + 10 *
--            sqrt(rows); a column, an expression of an index or a statistics
--            object without statistics; a partitioned table of which leaves
--            with 10 % of its rows changed so much, or were analyzed by
--            autovacuum since, which never analyzes the partitioned table
--
-- Exit status: 0 if all was done or skipped since it was locked, 2 if the
-- connection was lost, 3 if something failed; the messages are above.

\set QUIET on
\set ON_ERROR_STOP on
\set ECHO none
\pset pager off
\pset footer off
\pset null ''
\timing off

\if :{?dry_run} \else \set dry_run off \endif
\if :{?max_tables} \else \set max_tables 50 \endif
\if :{?lock_timeout} \else \set lock_timeout 2s \endif
\if :{?cost_delay} \else \set cost_delay 2ms \endif
\if :{?cost_limit} \else \set cost_limit 2000 \endif
\if :{?truncate} \else \set truncate off \endif

-- only the server's own names, and no setting of the role or database that
-- would be in the way
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = warning;
SET default_transaction_read_only = off;
SET statement_timeout = 0;
SET row_security = on;
SET lock_timeout = :'lock_timeout';
SET vacuum_cost_delay = :'cost_delay';
SET vacuum_cost_limit = :cost_limit;

SELECT pg_is_in_recovery() AS standby,
       current_setting('server_version_num')::int < 150000 AS too_old,
       current_setting('server_version_num')::int >= 170000 AS has_maintain,
       current_setting('server_version_num')::int >= 180000 AS has_only,
       NOT current_setting('track_counts')::boolean AS no_counts,
       pg_encoding_to_char(d.encoding) AS encoding,
       :'truncate'::boolean AS truncate, :'dry_run'::boolean AS dry_run,
       :'max_tables'::int AS max_tables
  FROM pg_database AS d WHERE d.datname = current_database() \gset

-- names go to the client and back
\encoding :encoding

\if :too_old
    DO $$ BEGIN RAISE EXCEPTION 'this script needs PostgreSQL 15 or later'; END $$;
\endif
\if :standby
    \echo 'This server is a standby: maintenance is done on the primary.'
    \quit
\endif
\if :no_counts
    \warn 'track_counts is off: only ages and missing statistics are known, and what was skipped is not.'
\endif

-- who may: as VACUUM itself checks it
\set may '(pg_has_role(c.relowner, ''USAGE'') OR NOT c.relisshared AND pg_has_role(d.datdba, ''USAGE''))'
\if :has_maintain
    \set may '(has_table_privilege(c.oid, ''MAINTAIN'') OR NOT c.relisshared AND pg_has_role(d.datdba, ''USAGE''))'
\endif

\if :truncate \set truncate_option '' \else \set truncate_option ', TRUNCATE false' \endif
\if :has_only \set only 'ONLY ' \else \set only '' \endif

-- The plan is kept in a variable of psql: a role may lack the right to create a
-- temporary table.
WITH tables AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relpages, c.relowner,
           CASE WHEN c.reltuples > 0 THEN c.reltuples
                ELSE pg_stat_get_live_tuples(c.oid) END::float8 AS rows,
           pg_stat_get_dead_tuples(c.oid) AS dead,
           COALESCE(pg_stat_get_dead_tuples(t.oid), 0) AS toast_dead,
           GREATEST(t.reltuples, 0)::float8 AS toast_rows,
           pg_stat_get_ins_since_vacuum(c.oid) AS inserted,
           pg_stat_get_mod_since_analyze(c.oid) AS changed,
           GREATEST(pg_stat_get_last_analyze_time(c.oid),
                    pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed,
           GREATEST(age(NULLIF(c.relfrozenxid, '0'::xid)), age(NULLIF(t.relfrozenxid, '0'::xid))) AS xid_age,
           GREATEST(mxid_age(NULLIF(c.relminmxid, '0'::xid)), mxid_age(NULLIF(t.relminmxid, '0'::xid))) AS mxid_age,
           pg_has_role(c.relowner, 'USAGE') AND NOT row_security_active(c.oid) AS sees_statistics,
           LEAST(o.freeze, current_setting('autovacuum_freeze_max_age')::float8) AS freeze,
           LEAST(o.mfreeze, current_setting('autovacuum_multixact_freeze_max_age')::float8) AS mfreeze,
           COALESCE(o.vac_base, current_setting('autovacuum_vacuum_threshold')::float8) AS vac_base,
           COALESCE(o.vac_scale, current_setting('autovacuum_vacuum_scale_factor')::float8) AS vac_scale,
           COALESCE(o.ins_base, current_setting('autovacuum_vacuum_insert_threshold')::float8) AS ins_base,
           COALESCE(o.ins_scale, current_setting('autovacuum_vacuum_insert_scale_factor')::float8) AS ins_scale,
           COALESCE(o.ana_base, current_setting('autovacuum_analyze_threshold')::float8) AS ana_base,
           COALESCE(o.ana_scale, current_setting('autovacuum_analyze_scale_factor')::float8) AS ana_scale
      FROM pg_database AS d
           CROSS JOIN pg_class AS c
           LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
           LEFT JOIN LATERAL (
               SELECT min(option_value) FILTER (WHERE option_name = 'autovacuum_freeze_max_age')::float8 AS freeze,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_multixact_freeze_max_age')::float8 AS mfreeze,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')::float8 AS vac_base,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')::float8 AS vac_scale,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_insert_threshold')::float8 AS ins_base,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_insert_scale_factor')::float8 AS ins_scale,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_analyze_threshold')::float8 AS ana_base,
                      min(option_value) FILTER (WHERE option_name = 'autovacuum_analyze_scale_factor')::float8 AS ana_scale
                 FROM pg_options_to_table(c.reloptions)
           ) AS o ON true
     WHERE d.datname = current_database()
       AND c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
       AND :may
), attributes AS (
    -- columns, and expressions of indexes, that ANALYZE makes statistics of
    SELECT t.oid, n.nspname, c.relname, a.attname
      FROM tables AS t
           JOIN pg_class AS c ON c.oid = t.oid
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE t.sees_statistics AND COALESCE(a.attstattarget, -1) <> 0
    UNION ALL
    SELECT t.oid, n.nspname, c.relname, a.attname
      FROM tables AS t
           JOIN pg_index AS i ON i.indrelid = t.oid AND i.indexprs IS NOT NULL AND i.indisvalid
           JOIN pg_class AS c ON c.oid = i.indexrelid
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_attribute AS a ON a.attrelid = c.oid
                AND a.attnum <= i.indnkeyatts AND i.indkey[a.attnum - 1] = 0
     WHERE t.sees_statistics AND t.relkind <> 'p' AND COALESCE(a.attstattarget, -1) <> 0
), known AS MATERIALIZED (
    SELECT DISTINCT schemaname, tablename, attname FROM pg_stats
), missing AS (
    SELECT m.oid, count(*) AS missing, min(m.what) AS first
      FROM (SELECT a.oid, format('%I', a.attname) AS what
              FROM attributes AS a
             WHERE NOT EXISTS (SELECT FROM known AS k
                                WHERE k.schemaname = a.nspname AND k.tablename = a.relname
                                  AND k.attname = a.attname)
            UNION ALL
            SELECT t.oid, format('%I', s.stxname)
              FROM tables AS t
                   JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid
                   JOIN pg_namespace AS n ON n.oid = s.stxnamespace
             WHERE t.sees_statistics AND COALESCE(s.stxstattarget, -1) <> 0
               AND NOT EXISTS (SELECT FROM pg_stats_ext AS e
                                WHERE e.statistics_schemaname = n.nspname
                                  AND e.statistics_name = s.stxname)) AS m
     GROUP BY m.oid
), leaves AS (
    -- Of partitioned tables, whoever owns the leaves (pg_partition_tree() would wait
    -- for locks).  Autovacuum's last_autoanalyze
    -- only: up to 17 an ANALYZE of the parent sets last_analyze of all leaves.
    SELECT t.oid, sum(GREATEST(l.reltuples, 0))::float8 AS rows,
           sum(GREATEST(l.reltuples, 0)) FILTER (
               WHERE pg_stat_get_last_autoanalyze_time(l.oid) > t.analyzed
                  OR pg_stat_get_mod_since_analyze(l.oid) > 50 + 10 * sqrt(GREATEST(l.reltuples, 0)))::float8
               AS fresh,
           sum(pg_stat_get_mod_since_analyze(l.oid))::float8 AS changed
      FROM tables AS t
           JOIN (pg_class AS l CROSS JOIN LATERAL pg_partition_ancestors(l.oid) AS a) ON a.relid = t.oid
     WHERE t.relkind = 'p' AND l.relispartition AND l.relkind = 'r'
     GROUP BY t.oid
), scores AS (
    -- no threshold is below 1: the settings allow 0
    SELECT t.*, COALESCE(m.missing, 0) AS missing, m.first AS first_missing,
           COALESCE(l.rows, t.rows) AS all_rows,
           COALESCE(l.fresh, 0) / NULLIF(l.rows, 0) AS leaf_share,
           t.dead / GREATEST(LEAST(t.vac_base + t.vac_scale * t.rows, 50 + 10 * sqrt(t.rows)), 1)
           AS dead_score,
           t.toast_dead / GREATEST(LEAST(t.vac_base + t.vac_scale * t.toast_rows,
                                         50 + 10 * sqrt(t.toast_rows)), 1) AS toast_score,
           CASE WHEN t.ins_base >= 0
                THEN t.inserted / GREATEST(LEAST(t.ins_base + t.ins_scale * t.rows,
                                               1000 + 0.05 * t.rows), 1)
                ELSE 0 END AS insert_score,
           GREATEST(t.xid_age / (0.8 * t.freeze), t.mxid_age / (0.8 * t.mfreeze)) AS freeze_score,
           COALESCE(l.changed, t.changed)
           / GREATEST(LEAST(t.ana_base + t.ana_scale * COALESCE(l.rows, t.rows),
                            50 + 10 * sqrt(COALESCE(l.rows, t.rows))), 1) AS change_score
      FROM tables AS t
           LEFT JOIN missing AS m ON m.oid = t.oid
           LEFT JOIN leaves AS l ON l.oid = t.oid
), candidates AS (
    SELECT s.*,
           s.relkind <> 'p' AND s.freeze_score > 1 AS due_freeze,
           s.relkind <> 'p' AND GREATEST(s.dead_score, s.toast_score, s.insert_score) > 1 AS due_vacuum,
           -- pg_statistic has no statistics of its own
           s.oid <> 'pg_statistic'::regclass
           AND (s.change_score > 1 OR s.missing > 0 AND s.all_rows > 0
                OR s.relkind = 'p' AND s.leaf_share >= 0.1) AS due_analyze
      FROM scores AS s
), due AS (
    -- up to 17 ANALYZE of a partitioned table analyzes its partitions as well
    SELECT c.*,
           c.due_analyze
           AND (:'has_only'::boolean
                OR NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS a
                                      JOIN candidates AS p ON p.oid = a.relid AND p.due_analyze
                                WHERE a.relid <> c.oid)) AS analyze_it
      FROM candidates AS c
), plan AS (
    SELECT d.oid, d.relkind, d.dead, d.relpages, d.xid_age,
           pg_stat_get_vacuum_count(d.oid) AS vacuums, pg_stat_get_analyze_count(d.oid) AS analyzes,
           d.due_vacuum OR d.due_freeze AS do_vacuum, d.due_freeze AS do_freeze, d.analyze_it AS do_analyze,
           GREATEST(d.freeze_score, d.dead_score, d.toast_score, d.insert_score, d.change_score,
                    d.leaf_share / 0.1, CASE WHEN d.missing > 0 THEN 2 END) AS score,
           concat_ws('; ',
               CASE WHEN d.due_freeze
                    THEN format('age %s of %s, multixact age %s of %s',
                                d.xid_age, d.freeze, d.mxid_age, d.mfreeze) END,
               CASE WHEN d.due_vacuum AND d.dead_score > 1
                    THEN format('%s dead rows of %s', d.dead, round(d.dead + d.rows)) END,
               CASE WHEN d.due_vacuum AND d.toast_score > 1
                    THEN format('%s dead rows in its TOAST table', d.toast_dead) END,
               CASE WHEN d.due_vacuum AND d.insert_score > 1
                    THEN format('%s rows inserted since the last vacuum', d.inserted) END,
               CASE WHEN d.analyze_it AND d.change_score > 1
                    THEN format('%s rows changed since the last analyze',
                                round(d.change_score
                                      * GREATEST(LEAST(d.ana_base + d.ana_scale * d.all_rows,
                                                       50 + 10 * sqrt(d.all_rows)), 1))) END,
               CASE WHEN d.analyze_it AND d.missing > 0 AND d.all_rows > 0
                    THEN format('no statistics of %s', d.first_missing)
                         || CASE WHEN d.missing > 1 THEN format(' and %s more', d.missing - 1) ELSE '' END
                    END,
               CASE WHEN d.analyze_it AND d.relkind = 'p' AND d.leaf_share >= 0.1
                    THEN format('partitions with %s %% of the rows changed much since',
                                round(d.leaf_share * 100)) END) AS reason
      FROM due AS d
     WHERE d.due_freeze OR d.due_vacuum OR d.analyze_it
), numbered AS (
    -- what is near wraparound first, partitioned tables after their partitions
    SELECT p.*, row_number() OVER (ORDER BY p.do_freeze DESC, p.score DESC, p.oid) AS urgency
      FROM plan AS p
)
SELECT COALESCE(jsonb_agg(to_jsonb(n)) FILTER (WHERE n.urgency <= :max_tables), '[]') AS plan,
       count(*) FILTER (WHERE n.urgency > :max_tables) AS left_out,
       count(*) = 0 AS nothing, count(*) > :max_tables AS too_many
  FROM numbered AS n \gset

\if :nothing
    \echo 'Nothing is due.'
    \quit
\endif

-- How a row of the plan becomes a command; names as they are now.
SELECT $$
    SELECT p.*, format('%I.%I', n.nspname, c.relname) AS object,
           CASE WHEN p.do_vacuum
                THEN format('VACUUM (SKIP_LOCKED%s%s%s) %I.%I',
                            CASE WHEN p.do_freeze THEN ', FREEZE' END,
                            CASE WHEN p.do_analyze THEN ', ANALYZE' END,
                            :'truncate_option', n.nspname, c.relname)
                ELSE format('ANALYZE (SKIP_LOCKED) %s%I.%I',
                            CASE WHEN p.relkind = 'p' THEN :'only' END, n.nspname, c.relname)
           END AS command
      FROM jsonb_to_recordset(:'plan') AS p (
               oid oid, relkind "char", dead bigint, relpages bigint, xid_age bigint,
               vacuums bigint, analyzes bigint, do_vacuum boolean, do_freeze boolean,
               do_analyze boolean, score float8, reason text, urgency bigint)
           LEFT JOIN pg_class AS c ON c.oid = p.oid
           LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
$$ AS commands \gset

\echo 'Plan:'
SELECT m.object, round(m.score::numeric, 1) AS score, m.reason, m.command
  FROM (:commands) AS m
 ORDER BY m.relkind = 'p', m.urgency;
\if :too_many
    \echo :left_out 'more are due; raise max_tables, or run this again.'
\endif

\if :dry_run
    \quit
\endif

-- Run it: one row is what to print, then what to do.  Errors do not stop it.
\echo 'Run:'
\pset tuples_only on
\pset format unaligned
\set ON_ERROR_STOP off
SELECT format('SELECT to_char(clock_timestamp(), ''HH24:MI:SS'') || %L', '  ' || m.command), m.command
  FROM (:commands) AS m
 WHERE m.command IS NOT NULL
 ORDER BY m.relkind = 'p', m.urgency \gexec
\set last_error :LAST_ERROR_SQLSTATE
\set ON_ERROR_STOP on
\pset tuples_only off
\pset format aligned

-- Whether it was done is what the counters of this table say.
SELECT $$
    SELECT m.*,
           CASE WHEN m.object IS NULL THEN 'dropped meanwhile'
                WHEN NOT current_setting('track_counts')::boolean THEN 'not known'
                WHEN (NOT m.do_vacuum OR pg_stat_get_vacuum_count(m.oid) > m.vacuums)
                     AND (NOT m.do_analyze OR pg_stat_get_analyze_count(m.oid) > m.analyzes)
                THEN 'done' ELSE 'not done'
           END AS outcome
      FROM (:commands) AS m
$$ AS results \gset

\echo
\echo 'Result:'
SELECT COALESCE(r.object, r.oid::text) AS object,
       concat_ws(', ', CASE WHEN r.do_vacuum THEN 'vacuum' END, CASE WHEN r.do_freeze THEN 'freeze' END,
                 CASE WHEN r.do_analyze THEN 'analyze' END) AS action, r.outcome,
       r.dead AS dead_before, pg_stat_get_dead_tuples(r.oid) AS dead_after,
       NULLIF(r.relpages, -1) AS pages_before, NULLIF(c.relpages, -1) AS pages_after,
       r.xid_age AS age_before,
       CASE WHEN r.relkind <> 'p'
            THEN GREATEST(age(c.relfrozenxid), age(t.relfrozenxid)) END AS age_after
  FROM (:results) AS r
       LEFT JOIN pg_class AS c ON c.oid = r.oid
       LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
 ORDER BY r.relkind = 'p', r.urgency;

SELECT count(*) FILTER (WHERE r.outcome = 'done') AS done,
       count(*) FILTER (WHERE r.outcome = 'not done') AS not_done,
       COALESCE(sum(r.dead), 0) AS dead_before,
       COALESCE(sum(pg_stat_get_dead_tuples(r.oid)), 0) AS dead_after,
       :'last_error' <> '00000'
       AND count(*) FILTER (WHERE r.outcome IN ('not done', 'not known')) > 0 AS failed,
       count(*) FILTER (WHERE r.outcome = 'not done') > 0 AS skipped
  FROM (:results) AS r \gset

\echo :done 'done,' :not_done 'not done; dead rows:' :dead_before 'before,' :dead_after 'after.'
\if :failed
    \warn 'Some commands failed, see the messages above; the last SQLSTATE is' :last_error
    DO $$ BEGIN RAISE EXCEPTION 'maintenance is incomplete'; END $$;
\elif :skipped
    \echo 'What was not done is locked by somebody else.'
\endif
