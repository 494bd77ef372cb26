BEGIN;
SELECT txid_current();
\sleep 200 ms
COMMIT;
\sleep 400 ms
