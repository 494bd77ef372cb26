# The maintenance plan on a standby, without preload, and while something is
# created and dropped all the time; whose policies count; and when freezing is
# due at a high rate; and that catalogs wait for a logical slot.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_node(
	'primary', q{
fsync = off
}, allows_streaming => 'logical');

#
# Where the extension is not, anybody may have made tables of these names: what
# is behind them must never run in a worker
#
sql(q{
	CREATE ROLE mallory;
	GRANT CREATE ON DATABASE postgres TO mallory;
	SET ROLE mallory;
	CREATE SCHEMA dbperf;
	CREATE FUNCTION dbperf.lure() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN RAISE LOG 'the lure was %', 'taken'; RETURN 'x'; END $$;
	CREATE TABLE dbperf.maintenance_policy (id bigint);
	CREATE VIEW dbperf.maintenance_windows AS SELECT dbperf.lure() AS name;
	RESET ROLE;
	ALTER SYSTEM SET dbperf.maintenance = 'on';
	ALTER SYSTEM SET dbperf.maintenance_naptime = '1s';
	SELECT pg_reload_conf();
});
sql(q{
	CREATE TABLE loaded AS SELECT g AS n FROM generate_series(1, 10000) AS g;
	SELECT pg_stat_force_next_flush();
});
poll_ok(q{SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'loaded'},
	'maintenance works without the extension');
is(count_in_log('the lure was taken'), 0, 'and reads no tables but its own');
sql(q{
	DROP SCHEMA dbperf CASCADE;
	DROP TABLE loaded;
	ALTER SYSTEM RESET ALL;
	SELECT pg_reload_conf();
});
sql('CREATE EXTENSION dbperf CASCADE');

#
# Tables come and go under it: no error, no wait
#
my $churn = PostgreSQL::Test::Utils::tempdir() . '/churn.sql';
append_to_file(
	$churn, q{
\set n random(1, 1000000000)
CREATE TABLE churn_:n (id int PRIMARY KEY, note text);
INSERT INTO churn_:n SELECT g, 'x' FROM generate_series(1, 200) AS g;
CREATE INDEX ON churn_:n (lower(note));
DROP TABLE churn_:n;
});
my $plans = PostgreSQL::Test::Utils::tempdir() . '/plans.sql';
append_to_file($plans, "SELECT count(*) FROM dbperf.maintenance_plan(0);\n");
$primary->command_ok(
	[ 'pgbench', '-n', '-c', '4', '-T', '4', '-f', $churn, '-f', $plans, 'postgres' ],
	'tables come and go while it is made');

#
# A logical slot keeps dead rows of catalogs, but not those of tables
#
sql('VACUUM pg_catalog.pg_class');
sql(q{SELECT pg_create_logical_replication_slot('lagging', 'pgoutput')});
sql(q{
	DO $$ BEGIN
		FOR i IN 1 .. 200 LOOP
			EXECUTE 'CREATE TABLE short_lived (n int)';
			DROP TABLE short_lived;
		END LOOP;
	END $$;
	SELECT pg_stat_force_next_flush();
	SELECT dbperf.run_maintenance('pg_catalog.pg_class', 'vacuum');
});
poll_ok(q{SELECT outcome = 'blocked_by_horizon' AND error LIKE 'replication slot lagging %'
		FROM dbperf.maintenance_log ORDER BY id DESC LIMIT 1},
	'a vacuum of a catalog says that a logical slot is in its way');
sql('CREATE TABLE later (n int)');
poll_ok(q{SELECT not_now LIKE 'the oldest snapshot has not moved since the last vacuum: replication slot lagging %'
		FROM dbperf.maintenance_plan(0)
		WHERE object = 'pg_catalog.pg_class' AND action = 'vacuum'},
	'and is not repeated, though tables could be vacuumed further by now');
sql(q{SELECT pg_drop_replication_slot('lagging')});

#
# A standby shows it and does nothing
#
sql(q{
	CREATE TABLE loaded AS SELECT g AS n FROM generate_series(1, 10000) AS g;
	SELECT pg_stat_force_next_flush();
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is( $standby->safe_psql(
		'postgres', q{
		SELECT action, reason, not_now FROM dbperf.maintenance_plan()
		WHERE object = 'public.loaded' AND action = 'analyze'}),
	'analyze|the table has no statistics|the server is in recovery',
	'a standby makes a plan and says why it waits');
is( $standby->safe_psql(
		'postgres', q{
		SELECT count(*) FROM dbperf.maintenance_plan(0)
		WHERE not_now IS DISTINCT FROM 'the server is in recovery'}),
	'0',
	'nothing is to be done there, and nothing is close to wraparound');
is( $standby->safe_psql(
		'postgres', q{
		SELECT multixact_freeze_max_age = current_setting('autovacuum_multixact_freeze_max_age')::bigint
		FROM dbperf.xid_consumption()}),
	't',
	'and multixacts have their limit there as well');
$standby->stop;

#
# Many transactions in the last minute: what is old enough is frozen, what is
# young is left alone, however few days are left
#
my @crc_table = map {
	my $crc = $_;
	$crc = ($crc & 1) ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 for 1 .. 8;
	$crc;
} 0 .. 255;

# Writes the samples of the rate: at that time, that xid.
sub write_rate
{
	my ($node, $seconds_ago, $xid) = @_;
	my $at = (time() - 946684800 - $seconds_ago) * 1_000_000;
	my $ring = pack('l l L x4 q Q Q', 1, 0, 1, $at, $xid, 0) . "\0" x (24 * 1440);
	my $crc = 0xFFFFFFFF;

	$crc = $crc_table[ ($crc ^ $_) & 0xFF ] ^ ($crc >> 8) for unpack('C*', $ring);
	open my $file, '>:raw', $node->data_dir . '/pg_stat/dbperf_xid_rate.stat' or die $!;
	print $file pack('L L L', 0x64627872, length($ring), $crc ^ 0xFFFFFFFF) . $ring;
	close $file;
}

my $limit = 1_000_000;
$primary->append_conf('postgresql.conf', "autovacuum_freeze_max_age = $limit");
sql('VACUUM (FREEZE)');

# Lets the next xid be that one, and the last minute have used up 100000.
sub jump
{
	my ($xid) = @_;

	$primary->stop;
	truncate($primary->data_dir . '/pg_xact/0000', 262144) or die $!;
	$primary->command_ok([ 'pg_resetwal', '-x', $xid, $primary->data_dir ], "to xid $xid");
	write_rate($primary, 60, $xid - 100000);
	$primary->start;
}

# Tables with a freeze that is due, and young ones among them.
my $due_to_freeze = q{
	SELECT count(*) > 0, count(*) FILTER (WHERE object = 'public.young')
	FROM dbperf.maintenance_plan() WHERE action = 'vacuum_freeze'};

jump(400000);
is( sql('SELECT xids_per_day BETWEEN 5e7 AND 2e8 FROM dbperf.xid_consumption()'),
	't',
	'the rate of the last minute');
is(sql($due_to_freeze),
	'f|0', 'minutes are left, but nothing is old enough');
sql('CREATE TABLE young AS SELECT g AS n FROM generate_series(1, 1000) AS g');
jump(600000);
sql('VACUUM (FREEZE) young');
is(sql($due_to_freeze),
	't|0', 'what is old enough is due, and nothing else');

#
# Without preload
#
$primary->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$primary->restart;
my ($rc, $out, $err) = $primary->psql('postgres', 'SELECT * FROM dbperf.maintenance_plan()');
isnt($rc, 0, 'without preload it is an error');
like($err, qr/shared_preload_libraries/, 'that says what is missing');

done_testing();
