\set t random(0, 2)
\set n random(1, 40)
UPDATE t:t SET ver = ver + 1, val = val + 1 WHERE id = :n;
