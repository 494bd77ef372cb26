\set n random(6, 10)
UPDATE parent SET id = id + 100 WHERE id = :n;
\sleep 1 ms
UPDATE parent SET id = id - 100 WHERE id = :n + 100;
