\set n random(1, 20)
UPDATE triggered SET ver = ver + 1 WHERE id = :n;
UPDATE deferred SET ver = ver + 1 WHERE id = :n;
