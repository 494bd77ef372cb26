\set n random(1, 40)
\set commit random(0, 2)
BEGIN;
UPDATE t0 SET ver = ver + 1 WHERE id = :n;
SAVEPOINT a;
UPDATE t2 SET ver = ver + 1 WHERE id = :n;
PREPARE TRANSACTION 'race :client_id';
\sleep 2 ms
\if :commit
COMMIT PREPARED 'race :client_id';
\else
ROLLBACK PREPARED 'race :client_id';
\endif
