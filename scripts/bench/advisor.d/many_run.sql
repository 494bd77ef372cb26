-- Prints seconds, statements that were not analysed, and how many MB the process
-- grew, shared memory that it touched included.
CREATE TEMP TABLE many AS SELECT bench.many(1000) AS texts;
SELECT clock_timestamp() AS started,
       substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)') AS before \gset
CREATE TEMP TABLE outcome AS
SELECT c.* FROM many, dbperf.index_candidates(texts, time_limit => '60 s') c;
SELECT round(extract(epoch FROM clock_timestamp() - :'started'::timestamptz), 2);
SELECT count(*) FROM outcome WHERE verdict = 'not analysed';
SELECT round((substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int - :before) / 1024.0, 1);
