-- The account of what was recorded.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE VIEW account AS
    SELECT statements, records_written AS written,
           dropped_busy + dropped_too_large + dropped_memory AS dropped, skipped_flood AS skipped
      FROM dbperf.monitor_status;
\x on
SELECT records_overwritten <= records_written AS overwritten, torn_reads,
       ring_bytes, ring_bytes_used BETWEEN 1 AND ring_bytes AS bytes_used, ring_entries,
       next_id > 1 AS next_id, ring_start < now() AS ring_start,
       oldest_record BETWEEN ring_start AND now() AS oldest_record,
       queries_tracked > 0 AS tracked, queries_evicted >= 0 AS evicted,
       samples_refused >= 0 AS refused, degraded_memory, degraded_error, history_state, history_rows_written
  FROM dbperf.monitor_status;
\x off

-- everything is somewhere
SELECT statements - written - dropped - skipped AS unaccounted FROM account;
SELECT * FROM account \gset before_
SELECT 1;
SELECT 1 / 0;
CREATE TABLE accounted (a int);
DROP TABLE accounted;
SELECT statements - :before_statements AS statements, written - :before_written AS written,
       dropped - :before_dropped AS dropped, skipped - :before_skipped AS skipped FROM account;

-- the flood guard skips, and says how many
SET dbperf.slow_query_max_rate = 5;
SELECT * FROM account \gset before_
SET dbperf.track = 'all';
DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE 'SELECT ' || i; END LOOP; END $$;
SET dbperf.track = 'top';
SELECT skipped - :before_skipped >= 150 AS skipped,
       statements - :before_statements >= 200 AS counted,
       statements - written - dropped - skipped AS unaccounted FROM account;
SET dbperf.slow_query_max_rate = 0;

-- more records than there is room for
SELECT records_overwritten AS before FROM dbperf.monitor_status \gset
SET dbperf.track = 'all';
DO $$
BEGIN
    FOR i IN 1..current_setting('dbperf.slow_query_ring_entries')::int LOOP
        EXECUTE 'SELECT ' || i;
    END LOOP;
END $$;
SET dbperf.track = 'top';
SELECT records_overwritten > :before AS overwritten, ring_bytes_used <= ring_bytes AS fits
  FROM dbperf.monitor_status;
SELECT count(*) BETWEEN 1 AND current_setting('dbperf.slow_query_ring_entries')::int AS rows
  FROM dbperf.slow_queries;
SELECT statements - written - dropped - skipped AS unaccounted FROM account;

DROP VIEW account;
