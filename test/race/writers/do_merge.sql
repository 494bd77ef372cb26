\set n random(1, 40)
DO $$ BEGIN UPDATE t0 SET ver = ver + 1 WHERE id = 1; END $$;
MERGE INTO t1 USING (VALUES (:n)) AS v (id) ON t1.id = v.id
	WHEN MATCHED THEN UPDATE SET ver = ver + 1;
WITH changed AS (UPDATE t2 SET ver = ver + 1 WHERE id = :n RETURNING id) SELECT count(*) FROM changed;
