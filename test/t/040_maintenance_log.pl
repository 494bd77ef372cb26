# What the writer keeps for maintenance: the log over crashes, its retention, and
# the policies over dump and restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;

my $node = start_node(
	'main', q{
shared_preload_libraries = 'dbperf'
timezone = 'UTC'
});

# The windows that are in force, as another database sees them.
sub in_force
{
	my ($wanted) = @_;

	return poll('other', "SELECT coalesce(string_agg(window_name, ' ' ORDER BY window_name), '') = '$wanted'
				 FROM dbperf.maintenance_window_states()");
}

sub writers
{
	return q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf writer'};
}

#
# No extension where the log should be
#
poll_ok('SELECT (' . writers() . ') = 1', 'the writer connects');
$node->wait_for_log(qr/keeps no maintenance log/);
is(count_in_log('dbperf keeps no maintenance log: extension dbperf does not exist in database "postgres"'),
	1, 'a missing extension is logged');

#
# A crash of the server: open rows become terminated, others stay
#
sql('CREATE EXTENSION dbperf CASCADE');
sql('CREATE DATABASE other');
sql('other', 'CREATE EXTENSION dbperf CASCADE');
sql(q{
	INSERT INTO dbperf.maintenance_log (id, started, finished, database, object, action, outcome)
	VALUES (41, now(), NULL, 'x', 'public.open', 'vacuum', NULL),
		   (42, now(), now(), 'x', 'public.done', 'vacuum', 'done')});
$node->stop('immediate');
$node->start;
poll_ok(q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 41},
	'an open row is terminated after a crash');
is( sql(q{SELECT string_agg(concat_ws(',', id, outcome, finished IS NOT NULL), ' ' ORDER BY id)
			FROM dbperf.maintenance_log}),
	'41,terminated,t 42,done,t',
	'with its end, and no other row');

#
# Retention
#
sql(q{
	INSERT INTO dbperf.maintenance_log (id, started, finished, database, object, action, outcome)
	SELECT g, now() - interval '3 hours', now(), 'x', 'public.old', 'vacuum', 'done'
	FROM generate_series(1001, 3500) AS g});
sql(q{ALTER SYSTEM SET dbperf.maintenance_log_retention = '2h'});
$node->restart;
poll_ok(q{SELECT count(*) = 2 FROM dbperf.maintenance_log}, 'rows that are too old are deleted');
is( sql('SELECT min(id), max(id) FROM dbperf.maintenance_log'), '41|42', 'and no others');
sql(q{UPDATE dbperf.maintenance_log SET started = now() - interval '3 years'});
sql(q{ALTER SYSTEM SET dbperf.maintenance_log_retention = 0});
$node->restart;
poll_ok('SELECT (' . writers() . ') = 1', 'the writer is back');
sql(q{INSERT INTO dbperf.maintenance_log (id, started) VALUES (43, now())});
$node->restart;
poll_ok(q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 43},
	'it has cleaned the table');
is(sql('SELECT count(*) FROM dbperf.maintenance_log'), '3', 'retention 0 keeps everything');

#
# Off: the writer leaves, and comes for a change of the policies
#
set('dbperf.maintenance = off');
poll_ok('SELECT (' . writers() . ') = 0', 'maintenance off: the writer leaves');
sql(q{INSERT INTO dbperf.maintenance_windows (name, start_time, end_time)
		VALUES ('first', '22:00', '06:00')});
ok( in_force('first'), 'a change of the windows is seen elsewhere nevertheless');
poll_ok('SELECT (' . writers() . ') = 0', 'and the writer leaves again');
set('dbperf.maintenance = advise');

#
# A change that cannot be read yet does not hold anybody up
#
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE dbperf.maintenance_windows, dbperf.maintenance_policy');
is( sql('SELECT window_name FROM dbperf.maintenance_window_states()'),
	'first', 'the copy serves while the table is locked');
$session->query_safe('COMMIT');
$session->quit;

#
# Texts in another encoding
#
sql(q{CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'});
sql('latin1', 'CREATE EXTENSION dbperf CASCADE');
sql(q{INSERT INTO dbperf.maintenance_policy (id, table_pattern)
		VALUES (7, U&'_\00e9%'), (8, U&'\20ac')});
ok( poll('latin1', q{SELECT coalesce(dbperf.maintenance_policy_for('d', 's', U&'x\00e9y'), 0) = 7}),
	'a pattern matches in a database of another encoding');
is( sql('latin1', q{SELECT dbperf.maintenance_policy_for('d', 's', U&'x\00e8y') IS NULL,
				   dbperf.maintenance_policy_for('d', 's', U&'\00e9\00e9')}),
	't|7', 'and only what it should');

#
# Dump and restore: under another name nothing is in force
#
sql(q{INSERT INTO dbperf.maintenance_log (id, started) VALUES (50, now())});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
sql('CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
		$node->connstr('copy') ], 'restored under another name');
is( sql('copy', q{SELECT (SELECT string_agg(name, ' ') FROM dbperf.maintenance_windows),
				   (SELECT string_agg(id::text, ' ' ORDER BY id) FROM dbperf.maintenance_policy)}),
	'first|7 8', 'all rows are there');
my ($status, undef, $error) =
  $node->psql('copy', q{UPDATE dbperf.maintenance_policy SET priority = 3});
like($error, qr/can only be changed in database "postgres"/, 'and cannot be changed');
sql(q{UPDATE dbperf.maintenance_windows SET name = 'second'});
ok(in_force('second'), 'those of dbperf.database are in force');

# ... until dbperf.database says so
set(q{dbperf.database = 'copy'});
ok(in_force('first'), 'in force where dbperf.database is now');
ok( poll('copy', q{SELECT outcome = 'terminated' FROM dbperf.maintenance_log WHERE id = 50}),
	'a row that was open in the dump is terminated');
sql('copy', q{INSERT INTO dbperf.maintenance_policy (table_pattern) VALUES ('next')});
is( sql('copy', q{SELECT count(*) = count(DISTINCT id) FROM dbperf.maintenance_policy}),
	't', 'ids go on');

#
# Restored under the same name: in force at once
#
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('copy') ], 'dump');
sql('DROP DATABASE copy');
sql('CREATE DATABASE copy TEMPLATE template0');
ok( in_force(''), 'with the database the policies are gone');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
		$node->connstr('copy') ], 'restored under the same name');
ok(in_force('first'), 'in force again');

#
# dbperf.database does not exist
#
set(q{dbperf.database = 'missing'});
ok( $node->wait_for_log(qr/database "missing" does not exist/),
	'a database that is missing is logged');
set(q{dbperf.database = 'postgres'});
ok(in_force('second'), 'the next one is used');

nothing_crashed();
done_testing();
