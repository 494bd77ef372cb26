\set t random(0, 2)
\set n random(1, 40)
BEGIN;
UPDATE t:t SET ver = ver + 1000 WHERE id = :n;
\sleep 1 ms
ROLLBACK;
