# What the writer keeps for maintenance: the log over crashes, its retention, and
# the policies over dump and restore.

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
timezone = 'UTC'
});
$node->start;

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

sub poll
{
	my ($sql, $database) = @_;

	return $node->poll_query_until($database // 'postgres', $sql);
}

sub set
{
	query("ALTER SYSTEM SET $_[0]");
	$node->reload;
	return;
}

# How often something is in the server's log.
sub logged
{
	my ($what) = @_;
	my @all = slurp_file($node->logfile) =~ /$what/g;

	return scalar @all;
}

# The windows that are in force, as another database sees them.
sub in_force
{
	my ($wanted) = @_;

	return poll("SELECT coalesce(string_agg(window_name, ' ' ORDER BY window_name), '') = '$wanted'
				 FROM dbperf.maintenance_window_states()", 'other');
}

sub writers
{
	return q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf writer'};
}

#
# No extension where the log should be
#
ok( poll('SELECT (' . writers() . ') = 1'), 'the writer connects');
for (1 .. 100)
{
	last if logged('keeps no maintenance log');
	select(undef, undef, undef, 0.1);
}
is(logged('dbperf keeps no maintenance log: extension dbperf does not exist in database "postgres"'),
	1, 'a missing extension is logged');

#
# A crash of the server: open rows become terminated, others stay
#
query('CREATE EXTENSION dbperf CASCADE');
query('CREATE DATABASE other');
query('CREATE EXTENSION dbperf CASCADE', 'other');
query(q{
	INSERT INTO dbperf.maintenance_log (id, started, finished, database, object, action, outcome)
	VALUES (41, now(), NULL, 'x', 'public.open', 'vacuum', NULL),
		   (42, now(), now(), 'x', 'public.done', 'vacuum', 'done')});
$node->stop('immediate');
$node->start;
ok( poll(q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 41}),
	'an open row is terminated after a crash');
is( query(q{SELECT string_agg(concat_ws(',', id, outcome, finished IS NOT NULL), ' ' ORDER BY id)
			FROM dbperf.maintenance_log}),
	'41,terminated,t 42,done,t',
	'with its end, and no other row');

#
# Retention
#
query(q{
	INSERT INTO dbperf.maintenance_log (id, started, finished, database, object, action, outcome)
	SELECT g, now() - interval '3 hours', now(), 'x', 'public.old', 'vacuum', 'done'
	FROM generate_series(1001, 3500) AS g});
query(q{ALTER SYSTEM SET dbperf.maintenance_log_retention = '2h'});
$node->restart;
ok( poll(q{SELECT count(*) = 2 FROM dbperf.maintenance_log}), 'rows that are too old are deleted');
is( query('SELECT min(id), max(id) FROM dbperf.maintenance_log'), '41|42', 'and no others');
query(q{UPDATE dbperf.maintenance_log SET started = now() - interval '3 years'});
query(q{ALTER SYSTEM SET dbperf.maintenance_log_retention = 0});
$node->restart;
ok( poll('SELECT (' . writers() . ') = 1'), 'the writer is back');
query(q{INSERT INTO dbperf.maintenance_log (id, started) VALUES (43, now())});
$node->restart;
ok( poll(q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 43}),
	'it has cleaned the table');
is(query('SELECT count(*) FROM dbperf.maintenance_log'), '3', 'retention 0 keeps everything');

#
# Off: the writer leaves, and comes for a change of the policies
#
set('dbperf.maintenance = off');
ok( poll('SELECT (' . writers() . ') = 0'), 'maintenance off: the writer leaves');
query(q{INSERT INTO dbperf.maintenance_windows (name, start_time, end_time)
		VALUES ('first', '22:00', '06:00')});
ok( in_force('first'), 'a change of the windows is seen elsewhere nevertheless');
ok( poll('SELECT (' . writers() . ') = 0'), 'and the writer leaves again');
set('dbperf.maintenance = advise');

#
# A change that cannot be read yet does not hold anybody up
#
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE dbperf.maintenance_windows, dbperf.maintenance_policy');
is( query('SELECT window_name FROM dbperf.maintenance_window_states()'),
	'first', 'the copy serves while the table is locked');
$session->query_safe('COMMIT');
$session->quit;

#
# Texts in another encoding
#
query(q{CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'});
query('CREATE EXTENSION dbperf CASCADE', 'latin1');
query(q{INSERT INTO dbperf.maintenance_policy (id, table_pattern)
		VALUES (7, U&'_\00e9%'), (8, U&'\20ac')});
ok( poll(q{SELECT coalesce(dbperf.maintenance_policy_for('d', 's', U&'x\00e9y'), 0) = 7}, 'latin1'),
	'a pattern matches in a database of another encoding');
is( query(q{SELECT dbperf.maintenance_policy_for('d', 's', U&'x\00e8y') IS NULL,
				   dbperf.maintenance_policy_for('d', 's', U&'\00e9\00e9')}, 'latin1'),
	't|7', 'and only what it should');

#
# Dump and restore: under another name nothing is in force
#
query(q{INSERT INTO dbperf.maintenance_log (id, started) VALUES (50, now())});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
query('CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
		$node->connstr('copy') ], 'restored under another name');
is( query(q{SELECT (SELECT string_agg(name, ' ') FROM dbperf.maintenance_windows),
				   (SELECT string_agg(id::text, ' ' ORDER BY id) FROM dbperf.maintenance_policy)},
		'copy'),
	'first|7 8', 'all rows are there');
my ($status, undef, $error) =
  $node->psql('copy', q{UPDATE dbperf.maintenance_policy SET priority = 3});
like($error, qr/can only be changed in database "postgres"/, 'and cannot be changed');
query(q{UPDATE dbperf.maintenance_windows SET name = 'second'});
ok(in_force('second'), 'those of dbperf.database are in force');

# ... until dbperf.database says so
set(q{dbperf.database = 'copy'});
ok(in_force('first'), 'in force where dbperf.database is now');
ok( poll(q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 50}, 'copy'),
	'a row that was open in the dump is terminated');
query(q{INSERT INTO dbperf.maintenance_policy (table_pattern) VALUES ('next')}, 'copy');
is( query(q{SELECT count(*) = count(DISTINCT id) FROM dbperf.maintenance_policy}, 'copy'),
	't', 'ids go on');

#
# Restored under the same name: in force at once
#
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('copy') ], 'dump');
query('DROP DATABASE copy');
query('CREATE DATABASE copy TEMPLATE template0');
ok( in_force(''), 'with the database the policies are gone');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
		$node->connstr('copy') ], 'restored under the same name');
ok(in_force('first'), 'in force again');

#
# dbperf.database does not exist
#
set(q{dbperf.database = 'missing'});
for (1 .. 100)
{
	last if logged('database "missing" does not exist');
	select(undef, undef, undef, 0.1);
}
ok(logged('database "missing" does not exist'), 'a database that is missing is logged');
set(q{dbperf.database = 'postgres'});
ok(in_force('second'), 'the next one is used');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
