-- The tables of the pool's limits refuse what PgBouncer would not understand.
INSERT INTO dbperf.pool_databases (database_name, pool_mode, pool_size, min_size, reserve,
                                   max_server_connections, max_clients)
VALUES ('shop-1.x_Y', 'transaction', 1, 0, 0, 1, 1000000);
INSERT INTO dbperf.pool_roles (role_name, pool_mode, pool_size, max_server_connections, max_clients)
VALUES ('app', 'session', 10, 20, 30), ('postgres', NULL, NULL, NULL, NULL);

-- names
INSERT INTO dbperf.pool_databases (database_name) VALUES ('');
INSERT INTO dbperf.pool_databases (database_name) VALUES ('*');
INSERT INTO dbperf.pool_databases (database_name) VALUES ('two words');
INSERT INTO dbperf.pool_databases (database_name) VALUES (E'x\n[pgbouncer]\nauth_type = any');
INSERT INTO dbperf.pool_databases (database_name) VALUES ('pgbouncer');
INSERT INTO dbperf.pool_databases (database_name) VALUES (repeat('x', 64));
INSERT INTO dbperf.pool_roles (role_name) VALUES ('a"b');
INSERT INTO dbperf.pool_roles (role_name) VALUES ('app');

-- values
UPDATE dbperf.pool_databases SET pool_mode = 'Session';
UPDATE dbperf.pool_databases SET pool_mode = 'session host=elsewhere';
UPDATE dbperf.pool_databases SET pool_size = 0;
UPDATE dbperf.pool_databases SET min_size = -1;
UPDATE dbperf.pool_databases SET reserve = 1000000;
UPDATE dbperf.pool_roles SET max_clients = 0;
UPDATE dbperf.pool_roles SET max_server_connections = -1;

-- not more than there is room for
INSERT INTO dbperf.pool_roles (role_name) SELECT 'role' || n FROM generate_series(1, 254) AS n;
INSERT INTO dbperf.pool_roles (role_name) VALUES ('one_more');
DELETE FROM dbperf.pool_roles WHERE role_name = 'role1';
INSERT INTO dbperf.pool_roles (role_name) VALUES ('one_more');
SELECT count(*) FROM dbperf.pool_roles;

-- only in dbperf.database, where they are dumped; a dump can be restored elsewhere
SELECT c.oid::regclass AS dumped
  FROM pg_extension e JOIN pg_class c ON c.oid = ANY (e.extconfig)
 WHERE e.extname = 'dbperf' AND c.relname ~ '^pool_'
 ORDER BY c.relname;
CREATE DATABASE regress_dbperf_pool;
\set here :DBNAME
\c regress_dbperf_pool
SET client_min_messages = warning;
CREATE EXTENSION dbperf CASCADE;
INSERT INTO dbperf.pool_databases (database_name) VALUES ('shop');
BEGIN;
SET LOCAL check_function_bodies = off;
INSERT INTO dbperf.pool_databases (database_name) VALUES ('shop');
COMMIT;
DELETE FROM dbperf.pool_databases;
\c :here
DROP DATABASE regress_dbperf_pool;

-- for administrators; monitors may read them
CREATE ROLE regress_dbperf_pool_plain;
CREATE ROLE regress_dbperf_pool_monitor IN ROLE pg_monitor;
SET ROLE regress_dbperf_pool_plain;
SELECT count(*) FROM dbperf.pool_databases;
INSERT INTO dbperf.pool_roles (role_name) VALUES ('mine');
SET ROLE regress_dbperf_pool_monitor;
SELECT count(*) FROM dbperf.pool_databases;
SELECT count(*) FROM dbperf.pool_roles;
INSERT INTO dbperf.pool_roles (role_name) VALUES ('mine');
RESET ROLE;
GRANT INSERT ON dbperf.pool_roles TO regress_dbperf_pool_plain;
SET ROLE regress_dbperf_pool_plain;
DO $$ BEGIN PERFORM dbperf.pool_roles_check(); END $$;
DO $$ BEGIN PERFORM dbperf.pool_databases_check(); END $$;
RESET ROLE;
REVOKE ALL ON dbperf.pool_roles FROM regress_dbperf_pool_plain;
DROP ROLE regress_dbperf_pool_plain, regress_dbperf_pool_monitor;

-- the trigger functions are for their own triggers
CREATE TEMP TABLE other (role_name text);
CREATE TRIGGER other BEFORE INSERT ON other
    FOR EACH ROW EXECUTE FUNCTION dbperf.pool_roles_check();
INSERT INTO other VALUES ('x');
DROP TABLE other;
CREATE TEMP TABLE other (role_name text);
CREATE TRIGGER other AFTER INSERT ON other
    FOR EACH ROW EXECUTE FUNCTION dbperf.pool_roles_check();
INSERT INTO other VALUES ('x');
DROP TABLE other;
CREATE TEMP TABLE other (role_name int, pool_mode int, pool_size text, max_server_connections text,
                         max_clients text);
CREATE TRIGGER other AFTER INSERT ON other
    FOR EACH ROW EXECUTE FUNCTION dbperf.pool_roles_check();
INSERT INTO other VALUES (1, 1, 'a', 'b', 'c');
DROP TABLE other;

TRUNCATE dbperf.pool_databases, dbperf.pool_roles;

-- a trigger of another table would hand over other rows
SELECT dbperf.pool_databases_check();
CREATE TEMPORARY TABLE other (database_name text);
CREATE TRIGGER other AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION dbperf.pool_databases_check();
INSERT INTO other VALUES ('shop');
