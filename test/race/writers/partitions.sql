\set n random(1, 30)
UPDATE parts SET part = 1 - part, ver = ver + 1 WHERE id = :n AND part < 2;
UPDATE part_2 SET ver = ver + 1 WHERE id = :n;
