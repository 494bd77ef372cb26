-- The views of the result cache, who may see them, and flushing.
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_owner;

SELECT a.attrelid::regclass AS view, a.attname AS column, a.atttypid::regtype AS type
  FROM pg_attribute a
 WHERE a.attrelid IN ('dbperf.cache_stats'::regclass, 'dbperf.cache_queries'::regclass,
                      'dbperf.cache_entries'::regclass)
 ORDER BY a.attrelid::regclass::text, a.attnum;

-- nothing has used the cache
SELECT dbperf.cache_flush() >= 0 AS flushed;
SELECT dbperf.cache_stats_reset();
SELECT hits, misses, hit_ratio, bypassed, bypassed_by_reason, stores, refused, evictions,
       invalidations, waits, entries, bytes_used, bytes_limit > 0 AS bytes_limit, saved_ms,
       stats_reset BETWEEN now() - interval '1 minute' AND now() AS stats_reset
  FROM dbperf.cache_stats;
SELECT count(*) FROM dbperf.cache_queries;
SELECT count(*) FROM dbperf.cache_entries WHERE database_name = current_database();
-- it all fits into what was set
SELECT bytes_limit < pg_size_bytes(current_setting('dbperf.cache_size')) AS fits
  FROM dbperf.cache_stats;

-- what is no table
CREATE TABLE cached (a int PRIMARY KEY);
CREATE VIEW cached_view AS SELECT * FROM cached;
CREATE MATERIALIZED VIEW cached_matview AS SELECT * FROM cached;
CREATE SEQUENCE cached_sequence;
CREATE TYPE cached_type AS (a int);
CREATE TABLE cached_parts (a int PRIMARY KEY) PARTITION BY RANGE (a);
CREATE TABLE cached_part PARTITION OF cached_parts FOR VALUES FROM (1) TO (2);
ALTER TABLE cached OWNER TO regress_dbperf_owner;
SELECT dbperf.cache_flush('cached_view');
SELECT dbperf.cache_flush('cached_pkey');
SELECT dbperf.cache_flush('cached_parts_pkey');
SELECT dbperf.cache_flush('cached_sequence');
SELECT dbperf.cache_flush('cached_type');
SELECT dbperf.cache_flush('nowhere');
SELECT dbperf.cache_flush(4294967295::oid::regclass);
SELECT dbperf.cache_flush(0::oid::regclass);
SELECT dbperf.cache_flush(NULL) IS NULL AS nothing;
-- what is one
SELECT dbperf.cache_flush('cached'), dbperf.cache_flush('cached_matview'),
       dbperf.cache_flush('cached_parts'), dbperf.cache_flush('cached_part'),
       dbperf.cache_flush('pg_class');

-- who may do what
CREATE VIEW may AS
    SELECT p.oid::regprocedure::text AS object,
           has_function_privilege(current_user, p.oid, 'EXECUTE') AS may
      FROM pg_proc p
     WHERE p.pronamespace = 'dbperf'::regnamespace
       AND p.proname IN ('cache_stats', 'cache_queries', 'cache_entries', 'cache_flush',
                         'cache_stats_reset')
    UNION ALL
    SELECT 'view ' || c.oid::regclass, has_table_privilege(current_user, c.oid, 'SELECT')
      FROM pg_class c
     WHERE c.relnamespace = 'dbperf'::regnamespace
       AND c.relname IN ('cache_stats', 'cache_queries', 'cache_entries');
GRANT SELECT ON may TO PUBLIC;
SET ROLE regress_dbperf_plain;
SELECT object FROM may WHERE may ORDER BY object COLLATE "C";
SELECT count(*) FROM dbperf.cache_stats;
SELECT count(*) FROM dbperf.cache_queries;
SELECT count(*) FROM dbperf.cache_entries;
SELECT dbperf.cache_flush();
SELECT dbperf.cache_flush('cached');
SELECT dbperf.cache_flush('cached_matview');
SELECT dbperf.cache_flush('cached_view');
SELECT dbperf.cache_stats_reset();
SET ROLE regress_dbperf_monitor;
SELECT object FROM may WHERE may ORDER BY object COLLATE "C";
SELECT count(*) FROM dbperf.cache_queries;
SELECT count(*) >= 0 AS entries FROM dbperf.cache_entries;
SELECT dbperf.cache_flush('cached');
-- the owner of a table
SET ROLE regress_dbperf_owner;
SELECT dbperf.cache_flush('cached');
SELECT dbperf.cache_flush('cached_parts');
-- who was granted to flush everything, may flush anything
RESET ROLE;
GRANT EXECUTE ON FUNCTION dbperf.cache_flush() TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT dbperf.cache_flush();
SELECT dbperf.cache_flush('cached'), dbperf.cache_flush('cached_parts');
SELECT dbperf.cache_flush('cached_view');
RESET ROLE;

REVOKE EXECUTE ON FUNCTION dbperf.cache_flush() FROM regress_dbperf_plain;
DROP VIEW may, cached_view;
DROP MATERIALIZED VIEW cached_matview;
DROP SEQUENCE cached_sequence;
DROP TYPE cached_type;
DROP TABLE cached, cached_parts;
DROP ROLE regress_dbperf_plain, regress_dbperf_monitor, regress_dbperf_owner;
