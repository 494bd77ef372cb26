-- Prints seconds, statements that were not analysed, and how many MB the process
-- grew.  Shared buffers that it reads through for the first time count as its
-- memory, so it first reads all of the tables.
CREATE EXTENSION IF NOT EXISTS pg_prewarm;
CREATE TEMP TABLE warm AS
SELECT sum(pg_prewarm(c.oid)) FROM pg_class AS c
 WHERE c.relkind IN ('r', 'i') AND c.relpersistence <> 't';
CREATE TEMP TABLE many AS SELECT bench.many(1000) AS texts;
SELECT clock_timestamp() AS started,
       substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)') AS before \gset
CREATE TEMP TABLE outcome AS
SELECT c.* FROM many, dbperf.index_candidates(texts, time_limit => '60 s') c;
SELECT round(extract(epoch FROM clock_timestamp() - :'started'::timestamptz), 2);
SELECT count(*) FROM outcome WHERE verdict = 'not analysed';
SELECT round((substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int - :before) / 1024.0, 1);
