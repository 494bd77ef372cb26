# Building advised indexes: when the build happens, with whose rights, how it
# is canceled, how it fails, and what is left of it after a crash.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf'
autovacuum = off
log_statement = none
dbperf.advisor_interval = 0
dbperf.index_build_lock_timeout = 5s
max_prepared_transactions = 5
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE ROLE alice LOGIN;
	CREATE ROLE mallory LOGIN;
	CREATE ROLE owners;
	GRANT owners TO alice;
	GRANT pg_read_all_stats TO alice;
	GRANT EXECUTE ON FUNCTION dbperf.apply_index_advice(bigint),
		dbperf.cancel_index_build(bigint) TO alice, mallory;
	CREATE SCHEMA shop;
	GRANT USAGE, CREATE ON SCHEMA shop TO alice, owners;
});

# Nothing is to be built: the manager looks once, after a start, and has nothing to
# come back for.
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION managers_seen() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		pids int[] = '{}';
	BEGIN
		FOR i IN 1 .. 100
		LOOP
			PERFORM pg_stat_clear_snapshot(), pg_sleep(0.02);
			pids = pids || ARRAY(SELECT pid FROM pg_stat_activity
								  WHERE backend_type = 'dbperf build manager');
		END LOOP;
		RETURN count(DISTINCT p) FROM unnest(pids) AS p;
	END $$;
});
$node->restart;
cmp_ok($node->safe_psql('postgres', 'SELECT managers_seen()'), '<=', 1,
	'without anything to build the manager comes once at most');

sub sql
{
	my ($sql, @options) = @_;

	return $node->safe_psql('postgres', $sql, @options);
}

sub poll
{
	my ($sql) = @_;

	return $node->poll_query_until('postgres', $sql);
}

# Makes a table with a column "a" and open advice for an index on it; returns
# the advice's id.
my $number = 0;

sub plant
{
	my (%options) = @_;
	my $table = $options{table} // 't' . ++$number;
	my $rows = $options{rows} // 1000;
	my $column = $options{column} // 'a';

	if (!defined $options{table})
	{
		sql("CREATE TABLE shop.$table AS SELECT g AS a, g % 10 AS b FROM generate_series(1, $rows) AS g");
		sql("ALTER TABLE shop.$table OWNER TO $options{owner}") if $options{owner};
	}
	my $id = sql(
		"INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns,
			identity, ddl, index_size)
		 VALUES ('shop', '$table', 'btree', '{$column}', 'ON shop.$table USING btree ($column)',
			'CREATE INDEX CONCURRENTLY ON shop.$table ($column);', 100000) RETURNING id");
	return ($id, "shop.$table");
}

sub status
{
	return sql("SELECT status FROM dbperf.index_advice WHERE id = $_[0]");
}

sub last_error
{
	return sql("SELECT last_error FROM dbperf.index_advice WHERE id = $_[0]");
}

sub becomes
{
	my ($id, $status) = @_;

	return poll("SELECT status = '$status' FROM dbperf.index_advice WHERE id = $id");
}

# The indexes of a table, with their validity.
sub indexes
{
	my ($table) = @_;

	return sql("SELECT coalesce(string_agg(c.relname || ' ' || i.indisvalid, ', ' ORDER BY c.relname), 'none')
		FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
		WHERE i.indrelid = '$table'::regclass");
}

#
# After the commit, and only then
#
my ($id, $table) = plant();
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT dbperf.apply_index_advice($id);");
sleep(2);
is(indexes($table), 'none', 'nothing is built before the commit');
is(status($id), 'open', 'and nobody sees it');
$session->query_safe('ROLLBACK');
sleep(1);
is(indexes($table), 'none', 'nor after a rollback');
is(status($id), 'open', 'which leaves the advice open');
$session->query_safe("BEGIN; SAVEPOINT s; SELECT dbperf.apply_index_advice($id); ROLLBACK TO s; COMMIT;");
sleep(1);
is(status($id) . indexes($table), 'opennone', 'nor after one to a savepoint');
$session->query_safe("BEGIN; SELECT dbperf.apply_index_advice($id); COMMIT;");
ok(becomes($id, 'applied'), 'the commit has it built');
is(indexes($table), 't1_a_idx true', 'the index is there');
is( sql("SELECT index_name, last_error IS NULL, applied_at >= build_started_at
		 FROM dbperf.index_advice WHERE id = $id"),
	't1_a_idx|t|t',
	'the advice says so');
is(sql('SELECT count(*) FROM dbperf.index_build_queue'), '0', 'the queue is empty');
ok(poll('SELECT count(*) = 0 FROM dbperf.index_builds'), 'and the worker gone');

my ($rc, $out, $err) =
  $node->psql('postgres', "SELECT dbperf.apply_index_advice($id)");
like($err, qr/index advice $id is applied/, 'applied advice cannot be applied');

# two-phase commit
($id, $table) = plant();
($rc, $out, $err) = $node->psql('postgres',
	"BEGIN; SELECT dbperf.apply_index_advice($id); PREPARE TRANSACTION 'x';");
like($err, qr/cannot PREPARE a transaction that has applied index advice/,
	'a prepared transaction cannot apply');

#
# As the role: its own table, that of a role without LOGIN, that of others
#
($id, $table) = plant(owner => 'alice');
sql("SELECT dbperf.apply_index_advice($id)", extra_params => [ '-U', 'alice' ]);
ok(becomes($id, 'applied'), 'a plain owner can apply');
is( sql("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't3_a_idx'"),
	'alice', 'the index is of the owner');

($id, $table) = plant(owner => 'owners');
sql('GRANT EXECUTE ON FUNCTION dbperf.apply_index_advice(bigint) TO owners');
sql("SET ROLE owners; SELECT dbperf.apply_index_advice($id)", extra_params => [ '-U', 'alice' ]);
ok(becomes($id, 'applied'), 'a role that cannot log in applies through one that can');

($id, $table) = plant();
($rc, $out, $err) = $node->psql(
	'postgres', "SELECT dbperf.apply_index_advice($id)",
	extra_params => [ '-U', 'mallory' ]);
like($err, qr/permission denied/, 'who does not own the table may not apply');
is(status($id), 'open', 'which changes nothing');

# the right is lost before the build begins
($id, $table) = plant(owner => 'alice');
sql("BEGIN; SET LOCAL SESSION AUTHORIZATION alice; SELECT dbperf.apply_index_advice($id);
	 RESET SESSION AUTHORIZATION; REVOKE CREATE ON SCHEMA shop FROM alice, owners; COMMIT;");
ok(becomes($id, 'failed'), 'the build has the rights of the role');
like(last_error($id), qr/permission denied/, 'and says what is missing');
is(indexes($table), 'none', 'nothing is left');
sql('GRANT CREATE ON SCHEMA shop TO alice, owners');
sql("SELECT dbperf.apply_index_advice($id)", extra_params => [ '-U', 'alice' ]);
ok(becomes($id, 'applied'), 'failed advice can be applied again');

#
# The first lock
#
($id, $table) = plant();
$session->query_safe("BEGIN; LOCK TABLE $table IN SHARE UPDATE EXCLUSIVE MODE;");
sql("SELECT dbperf.apply_index_advice($id)");
ok( poll("SELECT state = 'waiting for lock' AND cardinality(waits_for) = 1
		  FROM dbperf.index_builds WHERE id = $id"),
	'the wait for the first lock is shown');
ok(becomes($id, 'failed'), 'and ends in time');
like(last_error($id), qr/could not lock the table within 5000 ms/, 'with a reason');
is(indexes($table), 'none', 'nothing was made');
$session->query_safe('ROLLBACK');

#
# An old snapshot: the build waits, shows for whom, and goes on
#
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
sql("SELECT dbperf.apply_index_advice($id)");
ok( poll("SELECT count(*) = 1 FROM dbperf.index_builds
		  WHERE id = $id AND state = 'building' AND waits_for = ARRAY[$pid]
			AND phase = 'waiting for old snapshots' AND table_name = '$table'
			AND index_size = 100000 AND free_bytes > 0 AND estimated_time IS NOT NULL"),
	'the view shows the blocker');
is(indexes($table), 't7_a_idx false', 'the index is not valid yet');
my ($next, $next_table) = plant();
sql("SELECT dbperf.apply_index_advice($next)");
sleep(2);
is(sql("SELECT state FROM dbperf.index_builds WHERE id = $next"), 'queued', 'the next one waits');
is(status($id), 'building', 'no timeout ends the build');

# the waiting one can be canceled
sql("SELECT dbperf.cancel_index_build($next)");
is(status($next), 'open', 'a build that waits can be canceled');
is(sql("SELECT count(*) FROM dbperf.index_builds WHERE id = $next"), '0', 'it is not in the view any more');
$session->query_safe('COMMIT');
ok(becomes($id, 'applied'), 'when the snapshot is gone the build ends');
is(indexes($table), 't7_a_idx true', 'and the index is valid');
is(indexes($next_table), 'none', 'the canceled one was not built');

#
# Cancel
#
($id, $table) = plant(owner => 'alice');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
sql("SELECT dbperf.apply_index_advice($id)", extra_params => [ '-U', 'alice' ]);
ok(poll("SELECT phase = 'waiting for old snapshots' FROM dbperf.index_builds WHERE id = $id"),
	'a build that waits');
($rc, $out, $err) = $node->psql(
	'postgres', "SELECT dbperf.cancel_index_build($id)",
	extra_params => [ '-U', 'mallory' ]);
like($err, qr/permission denied to cancel the index build/, 'not everybody may cancel it');
sql("SELECT dbperf.cancel_index_build($id)", extra_params => [ '-U', 'alice' ]);
ok(becomes($id, 'failed'), 'it can be canceled');
is(last_error($id), 'canceled by "alice"', 'and says by whom');
ok(poll("SELECT count(*) = 0 FROM pg_index WHERE indrelid = '$table'::regclass"),
	'the INVALID index is dropped');
$session->query_safe('COMMIT');
($rc, $out, $err) = $node->psql('postgres', "SELECT dbperf.cancel_index_build($id)");
like($err, qr/index advice $id is not being built/, 'only a build can be canceled');

# the index cannot be dropped at once, since somebody uses the table
$session->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM $table;");
sql("SELECT dbperf.apply_index_advice($id)", extra_params => [ '-U', 'alice' ]);
ok(poll("SELECT phase = 'waiting for old snapshots' FROM dbperf.index_builds WHERE id = $id"),
	'a build that waits');
sql("SELECT dbperf.cancel_index_build($id)");
ok( poll("SELECT state = 'cleaning up' AND waits_for = ARRAY[$pid] AND canceled_by = 'postgres'
		  FROM dbperf.index_builds WHERE id = $id"),
	'cleaning up can wait, too');
$session->query_safe('COMMIT');
ok(becomes($id, 'failed'), 'it ends');
is(indexes($table), 'none', 'and nothing is left');

#
# The table is dropped meanwhile, and a column
#
($id, $table) = plant();
sql("BEGIN; SELECT dbperf.apply_index_advice($id); DROP TABLE $table; COMMIT;");
ok(becomes($id, 'failed'), 'a dropped table');
like(last_error($id), qr/does not exist/, 'is the reason');

#
# A crash in the middle
#
($id, $table) = plant();
my ($other, $other_table) = plant();
# one that looks the same, but is none of ours
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
sql("SELECT dbperf.apply_index_advice($id)");
ok(poll("SELECT phase = 'waiting for old snapshots' FROM dbperf.index_builds WHERE id = $id"),
	'a build that waits');
sql("SELECT dbperf.apply_index_advice($other)");
my $name = sql("SELECT index_name FROM dbperf.index_builds WHERE id = $id");
$node->stop('immediate');
eval { $session->quit };
$node->start;
ok(becomes($id, 'failed'), 'after a crash the build is closed');
like(last_error($id), qr/the build was interrupted/, 'with a reason');
ok(poll("SELECT count(*) = 0 FROM pg_index WHERE indrelid = '$table'::regclass"),
	'the INVALID index is dropped');
ok(becomes($other, 'applied'), 'the one that waited is built');
sql("SELECT dbperf.apply_index_advice($id)");
ok(becomes($id, 'applied'), 'and the first one can be built again');

# its worker is terminated
($id, $table) = plant();
$session = $node->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
sql("SELECT dbperf.apply_index_advice($id)");
ok(poll("SELECT phase = 'waiting for old snapshots' FROM dbperf.index_builds WHERE id = $id"),
	'a build that waits');
sql("SELECT pg_terminate_backend(pid) FROM dbperf.index_builds WHERE id = $id");
ok(becomes($id, 'failed'), 'a terminated worker');
ok(poll("SELECT count(*) = 0 FROM pg_index WHERE indrelid = '$table'::regclass"),
	'leaves nothing either');
$session->query_safe('COMMIT');

# an INVALID index of others stays
($id, $table) = plant();
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
$node->psql('postgres', "SET statement_timeout = '4s';\nCREATE INDEX CONCURRENTLY foreign_idx ON $table (a)");
$session->query_safe('COMMIT');
is(indexes($table), 'foreign_idx false', 'an INVALID index');
sql("SELECT dbperf.apply_index_advice($id)");
ok(becomes($id, 'applied'), 'is not in the way');
like(indexes($table), qr/^foreign_idx false, \w+ true$/, 'and stays as it is');

#
# A partitioned table: one command after another, continued after a failure
#
sql(q{
	CREATE TABLE shop.p (a int, b int) PARTITION BY RANGE (a);
	CREATE TABLE shop.p1 PARTITION OF shop.p FOR VALUES FROM (0) TO (10);
	CREATE TABLE shop.p2 (b int, a int) PARTITION BY RANGE (b);
	CREATE TABLE shop.p21 PARTITION OF shop.p2 FOR VALUES FROM (0) TO (10);
	CREATE TABLE shop.p22 PARTITION OF shop.p2 FOR VALUES FROM (10) TO (20);
	ALTER TABLE shop.p ATTACH PARTITION shop.p2 FOR VALUES FROM (10) TO (20);
	CREATE TABLE shop.p3 PARTITION OF shop.p FOR VALUES FROM (20) TO (30);
	INSERT INTO shop.p SELECT a, b FROM generate_series(0, 29) AS a, generate_series(0, 19) AS b;
	CREATE INDEX own_idx ON shop.p1 (b);
});
($id, $table) = plant(table => 'p', column => 'b');
$session->query_safe('BEGIN; LOCK TABLE shop.p22 IN SHARE UPDATE EXCLUSIVE MODE;');
sql("SELECT dbperf.apply_index_advice($id)");
ok(becomes($id, 'failed'), 'one partition cannot be locked');
is(indexes('shop.p'), 'p_b_idx false', 'the index of the whole is there already');
is(indexes('shop.p1'), 'own_idx true', 'an index that was there is used');
is(indexes('shop.p21'), 'p21_b_idx true', 'the first partitions have theirs');
is(indexes('shop.p22'), 'none', 'the locked one has none');
my $oid = sql(q{SELECT 'shop.p21_b_idx'::regclass::oid});
$session->query_safe('COMMIT');
sql("SELECT dbperf.apply_index_advice($id)");
ok(becomes($id, 'applied'), 'the second time it continues');
is(indexes('shop.p'), 'p_b_idx true', 'the whole is valid');
is(indexes('shop.p2'), 'p2_b_idx true', 'and all parts of it');
is(sql(q{SELECT 'shop.p21_b_idx'::regclass::oid}), $oid, 'what was built is not built again');
is( sql(q{SELECT count(*) FROM pg_partition_tree('shop.p_b_idx')}),
	'6', 'all of them are attached');
$session->quit;

#
# DROP DATABASE sends the worker away
#
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql(
	'other', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 1000) AS g;
	CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE
		AS 'BEGIN PERFORM pg_catalog.pg_sleep(1); RETURN $1; END';
	INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns,
		identity, ddl) VALUES ('public', 't', 'btree', '{slow(a)}',
		'ON public.t USING btree (public.slow(a))', '');
});
# nobody else may be connected, so the build itself has to take long
$node->safe_psql('other', 'SELECT dbperf.apply_index_advice(1)');
ok( poll(q{SELECT count(*) = 1 FROM dbperf.index_builds
		   WHERE database_name = 'other' AND state = 'building'}),
	'a build in another database is shown');
$node->safe_psql('postgres', 'DROP DATABASE other');
is(sql(q{SELECT count(*) FROM dbperf.index_builds WHERE database_name = 'other'}),
	'0', 'DROP DATABASE succeeds');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
