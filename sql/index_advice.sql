-- Advice that is kept: who sees it, who decides about it, the script of it.
CREATE ROLE regress_dbperf_owner;
CREATE ROLE regress_dbperf_reader IN ROLE pg_read_all_stats;
CREATE ROLE regress_dbperf_dba IN ROLE pg_read_all_stats;
CREATE ROLE regress_dbperf_nobody;
GRANT EXECUTE ON FUNCTION dbperf.dismiss_index_advice(bigint),
    dbperf.undismiss_index_advice(bigint), dbperf.apply_index_advice(bigint),
    dbperf.cancel_index_build(bigint), dbperf.refresh_index_advice()
    TO regress_dbperf_dba, regress_dbperf_owner;
CREATE SCHEMA advised;
GRANT USAGE, CREATE ON SCHEMA advised TO regress_dbperf_owner;
CREATE TABLE advised.orders (id int PRIMARY KEY, customer int, status text);
ALTER TABLE advised.orders OWNER TO regress_dbperf_owner;

TRUNCATE dbperf.index_advice RESTART IDENTITY;
INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity,
    ddl, index_size, benefit_pct, write_overhead_pct, queries, reason, first_seen, times_seen)
VALUES
    ('advised', 'orders', 'btree', '{customer}', 'ON advised.orders USING btree (customer)',
     'CREATE INDEX CONCURRENTLY orders_customer_idx ON advised.orders USING btree (customer);',
     5242880, 12.5, 1.25, '{1,-2}', 'Serves two queries.', '2026-01-02 03:04:05+00', 3),
    ('advised', 'orders', 'btree', '{status}', 'ON advised.orders USING btree (status)',
     'CREATE INDEX CONCURRENTLY orders_status_idx ON advised.orders USING btree (status);',
     8192, 80, 0, '{3}', E'Serves\n''one''; DROP TABLE advised.orders;\r\n\tquery.',
     '2026-01-02 03:04:05+00', 1),
    ('advised', E'or\nders', 'btree', '{status}', 'ON advised.gone USING btree (status)',
     'CREATE INDEX CONCURRENTLY gone_status_idx ON advised.gone USING btree (status);',
     NULL, NULL, NULL, NULL, NULL, '2026-01-02 03:04:05+00', 1);

-- the same definition is the same advice
INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl)
VALUES ('advised', 'orders', 'btree', '{customer}', 'ON advised.orders USING btree (customer)', '');
\set VERBOSITY terse
INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl, status)
VALUES ('advised', 'orders', 'btree', '{x}', 'ON advised.orders USING btree (x)', '', 'lost');
\set VERBOSITY default

-- the script: open advice, most useful first, nothing gets out of a comment
SELECT regexp_replace(dbperf.export_index_advice(), 'database .* UTC', 'database now') AS script;

-- decisions
SELECT dbperf.dismiss_index_advice(2);
SELECT dbperf.dismiss_index_advice(2);
SELECT id, status FROM dbperf.index_advice ORDER BY id;
SELECT dbperf.apply_index_advice(2);
SELECT dbperf.undismiss_index_advice(2);
SELECT dbperf.undismiss_index_advice(2);
SELECT id, status FROM dbperf.index_advice ORDER BY id;
SELECT dbperf.dismiss_index_advice(4711);
SELECT dbperf.undismiss_index_advice(4711);
SELECT dbperf.apply_index_advice(4711);
SELECT dbperf.cancel_index_build(4711);
SELECT dbperf.cancel_index_build(1);
SELECT dbperf.dismiss_index_advice(NULL) IS NULL AS nothing;

-- what is refused beforehand
SELECT dbperf.apply_index_advice(3);
BEGIN READ ONLY;
SELECT dbperf.apply_index_advice(1);
ROLLBACK;
BEGIN READ ONLY;
SELECT dbperf.dismiss_index_advice(1);
ROLLBACK;
UPDATE dbperf.index_advice SET index_size = 9e18 WHERE id = 1;
\set VERBOSITY terse
SELECT dbperf.apply_index_advice(1);
\set VERBOSITY default
UPDATE dbperf.index_advice SET index_size = 5242880 WHERE id = 1;
BEGIN;
CREATE INDEX made ON advised.orders (customer);
SELECT dbperf.apply_index_advice(1);
ROLLBACK;
BEGIN;
CREATE TEMP TABLE temporary (a int);
UPDATE dbperf.index_advice SET identity = 'ON pg_temp.temporary USING btree (a)' WHERE id = 1;
SELECT dbperf.apply_index_advice(1);
ROLLBACK;
BEGIN;
SELECT dbperf.apply_index_advice(1);
SELECT id, status FROM dbperf.index_advice WHERE id = 1;
SELECT id, state, role_name = current_user AS mine, table_name, waits_for FROM dbperf.index_builds
 WHERE database_name = current_database();
SAVEPOINT applied;
SELECT dbperf.apply_index_advice(1);
ROLLBACK TO applied;
SELECT dbperf.dismiss_index_advice(1);
ROLLBACK TO applied;
-- one that waits goes back to open
SELECT dbperf.cancel_index_build(1);
SELECT id, status FROM dbperf.index_advice WHERE id = 1;
SELECT count(*) FROM dbperf.index_build_queue;
ROLLBACK;
BEGIN;
UPDATE dbperf.index_advice SET status = 'applied' WHERE id = 1;
SELECT dbperf.dismiss_index_advice(1);
ROLLBACK;

-- a role without any right
SET ROLE regress_dbperf_nobody;
SELECT count(*) FROM dbperf.index_advice;
SELECT count(*) FROM dbperf.index_builds;
SELECT count(*) FROM dbperf.advisor_status;
SELECT count(*) FROM dbperf.index_build_queue;
SELECT count(*) FROM dbperf.index_advice_measurements;
SELECT dbperf.export_index_advice();
SELECT dbperf.dismiss_index_advice(1);
SELECT dbperf.undismiss_index_advice(1);
SELECT dbperf.apply_index_advice(1);
SELECT dbperf.cancel_index_build(1);
SELECT dbperf.refresh_index_advice();
SELECT dbperf.free_disk_space();
-- a reader
SET ROLE regress_dbperf_reader;
SELECT id, table_name <> '' AS shown FROM dbperf.index_advice ORDER BY id;
SELECT length(dbperf.export_index_advice()) > 100 AS script, dbperf.free_disk_space() > 0 AS space,
       dbperf.free_disk_space(4711) IS NULL AS no_tablespace;
SELECT count(*) FROM dbperf.index_builds;
SELECT count(*) >= 0 AS runs FROM dbperf.advisor_status;
SELECT dbperf.dismiss_index_advice(1);
UPDATE dbperf.index_advice SET identity = 'ON advised.orders USING btree (id)';
INSERT INTO dbperf.index_build_queue (id, role_id, session_role_id) VALUES (1, 10, 10);
-- one who was granted the functions decides, but does not own the table
SET ROLE regress_dbperf_dba;
SELECT dbperf.dismiss_index_advice(1);
SELECT dbperf.undismiss_index_advice(1);
UPDATE dbperf.index_advice SET status = 'open';
SELECT dbperf.apply_index_advice(1);
-- the owner
SET ROLE regress_dbperf_owner;
BEGIN;
SELECT dbperf.apply_index_advice(1);
SELECT dbperf.cancel_index_build(1);
ROLLBACK;
-- who sees only a part of the workload cannot say what is missing
SELECT dbperf.refresh_index_advice();
RESET ROLE;

-- a search_path cannot change what is meant
CREATE SCHEMA hostile;
CREATE TABLE hostile.index_advice (id bigint, status text);
INSERT INTO hostile.index_advice VALUES (1, 'open');
CREATE FUNCTION hostile.md5(text) RETURNS text LANGUAGE sql AS 'SELECT ''hostile''::text';
SET search_path = hostile, advised, pg_catalog;
SELECT dbperf.dismiss_index_advice(1);
SHOW search_path;
RESET search_path;
SELECT id, status FROM dbperf.index_advice ORDER BY id;

SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP SCHEMA advised CASCADE;
TRUNCATE dbperf.index_advice RESTART IDENTITY;
DROP OWNED BY regress_dbperf_owner, regress_dbperf_dba;
DROP ROLE regress_dbperf_owner, regress_dbperf_reader, regress_dbperf_dba, regress_dbperf_nobody;
