\set n random(1, 40)
BEGIN;
UPDATE t0 SET ver = ver + 1 WHERE id = :n;
SAVEPOINT a;
UPDATE t1 SET ver = ver + 1000 WHERE id = :n;
ROLLBACK TO a;
SAVEPOINT b;
UPDATE t2 SET ver = ver + 1 WHERE id = :n;
RELEASE b;
COMMIT;
