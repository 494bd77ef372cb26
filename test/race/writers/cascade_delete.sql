\set n random(1, 5)
BEGIN;
DELETE FROM parent WHERE id = :n;
INSERT INTO parent VALUES (:n) ON CONFLICT DO NOTHING;
INSERT INTO child SELECT g, :n FROM generate_series(1, 30) AS g WHERE 1 + g % 10 = :n ON CONFLICT DO NOTHING;
COMMIT;
