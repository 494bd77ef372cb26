-- Nodes: what is refused, who may do what, and what is shown.  They are asked in
-- test/t/085_cluster.pl.

SELECT name, setting, unit, context FROM pg_settings
 WHERE name ~ '^dbperf\.(max_nodes|node_)' ORDER BY name;

-- nodes are reached with postgres_fdw
SELECT dbperf.add_node('first', 'elsewhere');
CREATE EXTENSION postgres_fdw;
SELECT dbperf.add_node('first', 'elsewhere');
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
SELECT dbperf.add_node('first', 'elsewhere');
CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (user 'nobody');
SELECT dbperf.add_node('first', 'elsewhere');
SELECT dbperf.add_node('first', 'elsewhere');
SELECT dbperf.add_node('local', 'elsewhere');
SELECT dbperf.add_node('', 'elsewhere');
SELECT dbperf.add_node(repeat('x', 64), 'elsewhere');
SELECT dbperf.add_node(NULL, 'elsewhere');
SELECT dbperf.add_node('second', NULL);
SELECT name, server_name, role_name = current_user AS mine FROM dbperf.nodes;

-- a wrapper that looks like it has not its checks
CREATE FOREIGN DATA WRAPPER unchecked HANDLER postgres_fdw_handler;
CREATE SERVER unchecked FOREIGN DATA WRAPPER unchecked OPTIONS (host '127.0.0.1');
SELECT dbperf.add_node('second', 'unchecked');
ALTER SERVER elsewhere OPTIONS (ADD service 'somewhere');
SELECT dbperf.add_node('second', 'elsewhere');
ALTER SERVER elsewhere OPTIONS (DROP service);

-- the trigger's function is for its own table only
SELECT dbperf.nodes_check();
CREATE TABLE not_nodes (name text);
CREATE TRIGGER mine AFTER INSERT ON not_nodes FOR EACH ROW EXECUTE FUNCTION dbperf.nodes_check();
INSERT INTO not_nodes VALUES ('second');
DROP TABLE not_nodes;

-- indexes of this database with their scans
CREATE TABLE scanned (id int PRIMARY KEY, other int);
CREATE INDEX scanned_other ON scanned (other);
INSERT INTO scanned SELECT i, i FROM generate_series(1, 2000) i;
VACUUM ANALYZE scanned;
SET enable_seqscan = off;
SELECT count(*) FROM scanned WHERE other = 7;
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
SELECT schema_name, table_name, index_name, is_unique, scans > 0 AS scanned,
       size_bytes = pg_relation_size(index_name::text::regclass) AS right_size
  FROM dbperf.index_usage WHERE table_name = 'scanned' ORDER BY index_name;
DROP TABLE scanned;

-- whatever they do, they are rows
SELECT dbperf.poll_nodes();
SELECT node, state, server_role, error ~ 'refused' AS refused FROM dbperf.node_status;
SELECT node, id, error ~ 'refused' AS refused FROM dbperf.cluster_slow_queries WHERE node <> 'local';
SELECT node, queryid, error ~ 'refused' AS refused FROM dbperf.cluster_query_latency WHERE node <> 'local';
SELECT node, index_name, error ~ 'refused' AS refused FROM dbperf.cluster_index_usage WHERE node <> 'local';
SELECT node, answer, error ~ 'refused' AS refused FROM dbperf.node_answers('health');
SELECT * FROM dbperf.node_answers('passwords');
SELECT count(*) > 0 AS shown FROM dbperf.cluster_index_usage
 WHERE node = 'local' AND schema_name = 'dbperf' AND age = '0' AND error IS NULL;

-- of what is prepared nobody would hear
BEGIN;
SELECT dbperf.add_node('prepared', 'elsewhere');
PREPARE TRANSACTION 'regress_dbperf_nodes';
SELECT name FROM dbperf.nodes;

-- roles that may add nodes
CREATE ROLE regress_dbperf_adder;
SET ROLE regress_dbperf_adder;
SELECT dbperf.add_node('mine', 'elsewhere');
SELECT dbperf.remove_node('first');
SELECT dbperf.poll_nodes();
SELECT * FROM dbperf.nodes;
SELECT * FROM dbperf.node_status;
SELECT * FROM dbperf.node_answers('slow_queries');
SELECT * FROM dbperf.cluster_slow_queries;
RESET ROLE;
GRANT EXECUTE ON FUNCTION dbperf.add_node(text, text), dbperf.remove_node(text),
    dbperf.node_answers(text) TO regress_dbperf_adder;
GRANT INSERT, UPDATE ON dbperf.nodes TO regress_dbperf_adder;
SET ROLE regress_dbperf_adder;
SELECT dbperf.add_node('mine', 'elsewhere');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER elsewhere TO regress_dbperf_adder;
SET ROLE regress_dbperf_adder;
SELECT dbperf.add_node('mine', 'elsewhere');
CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (user 'nobody');
SELECT dbperf.add_node('mine', 'elsewhere');
ALTER USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (ADD password 'secret');
SELECT dbperf.add_node('mine', 'elsewhere');
INSERT INTO dbperf.nodes (name, server_name, role_name) VALUES ('other', 'elsewhere', 'postgres');
SELECT dbperf.remove_node('first');
SELECT dbperf.remove_node('mine');
RESET ROLE;
SELECT dbperf.remove_node('first');
SELECT dbperf.remove_node('first');

DROP OWNED BY regress_dbperf_adder;
DROP ROLE regress_dbperf_adder;
DROP SERVER unchecked;
DROP FOREIGN DATA WRAPPER unchecked;
DROP EXTENSION postgres_fdw CASCADE;

-- the tests that come after this one know of no node
SELECT dbperf.poll_nodes();
