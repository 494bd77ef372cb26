WITH taken AS (
  UPDATE job SET state = 'done', finished = clock_timestamp()
  WHERE id = (SELECT id FROM job WHERE state = 'open' ORDER BY created LIMIT 1
              FOR UPDATE SKIP LOCKED)
  RETURNING payload)
INSERT INTO job (state, created, payload) SELECT 'open', clock_timestamp(), payload FROM taken;
