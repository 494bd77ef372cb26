SELECT count(*) AS there FROM pg_prepared_xacts WHERE gid = 'elsewhere' \gset
\if :there
COMMIT PREPARED 'elsewhere';
\else
BEGIN;
UPDATE t1 SET ver = ver + 1 WHERE id = 40;
UPDATE audit SET ver = ver + 1 WHERE id = 4;
PREPARE TRANSACTION 'elsewhere';
\endif
