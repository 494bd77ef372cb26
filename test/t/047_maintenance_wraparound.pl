# Tables that are close to wraparound have a worker of their own, that yields to
# nobody; and several workers in one database.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
# comes nevertheless when wraparound is near, and must not be first
autovacuum = off
autovacuum_max_workers = 1
autovacuum_vacuum_cost_delay = 100ms
autovacuum_vacuum_cost_limit = 1
fsync = off
log_statement = none
max_worker_processes = 16
autovacuum_freeze_max_age = 100000
vacuum_freeze_min_age = 1000
dbperf.advisor_interval = 0
dbperf.maintenance = off
dbperf.maintenance_naptime = 1s
dbperf.maintenance_max_workers = 3
dbperf.maintenance_cost_limit_max = 1
});
$node->start;

sub sql
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub poll
{
	my ($sql, $name) = @_;

	ok($node->poll_query_until('postgres', $sql), $name);
	return;
}

sub set
{
	sql('postgres', "ALTER SYSTEM SET $_") foreach @_;
	$node->reload;
	return;
}

sub plant
{
	my ($database, $table, $rows) = @_;

	sql($database, "CREATE TABLE $table AS SELECT g AS id, repeat('x', 400) AS note
		FROM generate_series(1, $rows) AS g; UPDATE $table SET id = id + 1");
	return;
}

sql('postgres', 'CREATE EXTENSION dbperf CASCADE');
sql('postgres', 'CREATE DATABASE busy');
sql('busy', 'CREATE EXTENSION dbperf CASCADE');
plant('busy', $_, 40000) foreach qw(a b c d);
plant('postgres', 'old', 100000);

#
# Three workers in one database, at the same time
#
my @ids = map { sql('busy', "SELECT dbperf.run_maintenance('$_', 'vacuum')") } qw(a b c d);
poll('SELECT count(*) = 3 FROM pg_stat_progress_vacuum WHERE heap_blks_scanned > 0', 'three vacuums at once');
is( sql('postgres', 'SELECT count(DISTINCT object), bool_and(requested) FROM dbperf.maintenance_progress'),
	'3|t', 'of three tables');
is(sql('postgres', 'SELECT requests_waiting FROM dbperf.maintenance_status'), '1', 'the fourth waits');
set('dbperf.maintenance_max_workers = 1');
sql('busy', "SELECT dbperf.cancel_maintenance($_)") foreach @ids[0, 1];
poll("SELECT count(*) = 2 FROM dbperf.maintenance_log WHERE id IN ($ids[0], $ids[1]) AND outcome = 'cancelled'",
	'two of them are cancelled');
poll('SELECT workers IN (1, 2) FROM dbperf.maintenance_status', 'their workers leave, or take the fourth');
sql('busy', "SELECT dbperf.cancel_maintenance($_)") foreach @ids;

#
# The only slot is taken, and another request waits, when wraparound comes near
#
sql('postgres', q{
	CREATE PROCEDURE burn(xids int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. xids LOOP
			PERFORM pg_current_xact_id();
			COMMIT;
		END LOOP;
	END$$});
sql('postgres', 'CALL burn(105000)');
poll('SELECT workers = 0 FROM dbperf.maintenance_status', 'nothing runs');
sql('busy', 'VACUUM (FREEZE)');
sql('busy', q{UPDATE a SET id = id + 1});
sql('busy', "SELECT dbperf.run_maintenance('a', 'vacuum')") foreach 1 .. 2;
set('dbperf.maintenance_cost_limit_max = 4', 'dbperf.maintenance = on');
poll(q{SELECT count(*) = 1 FROM dbperf.maintenance_workers() WHERE emergency}, 'the emergency slot is used');
my $old = q{FROM dbperf.maintenance_progress WHERE object = 'public.old' AND prevents_wraparound};
poll("SELECT count(*) = 1 $old AND phase = 'scanning heap'", 'the old table is frozen');
is(sql('postgres', "SELECT note LIKE 'prevents wraparound%' $old"), 't', 'and progress says that it does not yield');
is(sql('postgres', q{SELECT close_to_wraparound FROM dbperf.maintenance_databases WHERE database_name = 'postgres'}),
	't', 'so do the databases');
set('dbperf.maintenance_yield = flag');
my ($rc, $out, $err) = $node->psql('postgres', q{SET lock_timeout = '2s'; ALTER TABLE old ADD COLUMN more int});
like($err, qr/lock timeout/, 'a user waits in vain');
sql('postgres', q{SELECT dbperf.pause_maintenance()});
poll(q{SELECT count(*) = 0 FROM dbperf.maintenance_progress WHERE NOT prevents_wraparound}, 'a pause stops the others');
is(sql('postgres', "SELECT count(*) $old"), '1', 'but not this');
set('dbperf.maintenance_cost_limit_max = 10000');
poll(q{SELECT bool_or(outcome = 'done' AND age_after < age_before AND command LIKE '%FREEZE%')
	FROM dbperf.maintenance_log WHERE object = 'public.old' AND action = 'vacuum_freeze'}, 'it comes to its end');
poll(q{SELECT age(datfrozenxid) < 100000 FROM pg_database WHERE datname = 'postgres'},
	'and the database is far from wraparound again');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
