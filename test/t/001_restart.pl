# The ring over restarts: it survives a clean one, also when it became smaller;
# after a crash it is empty; a damaged file is reported and ignored.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf'
restart_after_crash = on
autovacuum = off
log_statement = none
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');

my $dump = $node->data_dir . '/pg_stat/dbperf_slow_queries.stat';

# Every statement was written, dropped or skipped.
sub accounted
{
	my ($what) = @_;

	is( $node->safe_psql(
			'postgres',
			'SELECT statements - (records_written + dropped_busy + dropped_too_large
								  + dropped_memory + skipped_flood)
			 FROM dbperf.monitor_status'),
		'0',
		"$what: every statement is accounted for");
	return;
}

# The marked records with all their columns, in one line.
sub kept
{
	my ($from) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT count(*), min(id), max(id), md5(string_agg(s::text, '/' ORDER BY id))
		FROM dbperf.slow_queries AS s
		WHERE query LIKE '%kept%' AND query NOT LIKE '%slow_queries%' AND id >= $from});
}

sub status
{
	my ($column) = @_;

	return $node->safe_psql('postgres', "SELECT $column FROM dbperf.monitor_status");
}

#
# A clean restart
#
$node->safe_psql('postgres', join('', map { "SELECT $_, 'kept é';\n" } 1 .. 40));
# some that the flood guard skips
$node->safe_psql('postgres',
	'SET dbperf.slow_query_max_rate = 1;' . join('', map { "SELECT $_;\n" } 1 .. 10));
cmp_ok(status('skipped_flood'), '>=', 8, 'the flood guard has skipped some');
accounted('before a restart');

my $before = kept(1);
my $ring_start = status('ring_start');
my $next_id = status('next_id');
like($before, qr/^40\|/, 'there are records');
$node->restart;
is(kept(1), $before, 'records are the same after a restart');
is(status('ring_start'), $ring_start, 'ids are of the same ring');
cmp_ok(status('next_id'), '>', $next_id, 'ids go on');
accounted('after a restart');
ok(!-e $dump, 'the file is gone once it was read');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) - count(DISTINCT id) FROM dbperf.slow_queries}),
	'0',
	'no id occurs twice');

#
# Sizes that became smaller keep the newest records
#
$node->safe_psql('postgres', join('', map { "SELECT $_, 'kept too';\n" } 1 .. 10));
my $last = $node->safe_psql('postgres',
	q{SELECT max(id) FROM dbperf.slow_queries WHERE query LIKE '%kept too%'});
my $newest = kept($last - 4);
like($newest, qr/^5\|/, 'the newest records');
$next_id = status('next_id');
$node->append_conf('postgresql.conf',
	"dbperf.slow_query_ring_entries = 16\ndbperf.slow_query_ring_size = '128kB'");
$node->restart;
is(kept($last - 4), $newest, 'a smaller ring has the newest records');
is(status('ring_entries || $$/$$ || ring_bytes'), '16/131072', 'the ring is smaller');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM dbperf.slow_queries'),
	'<=', 16, 'it has no more than its size');
cmp_ok(status('next_id'), '>', $next_id, 'ids go on in a smaller ring');
accounted('in a smaller ring');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) <= m.records_written - m.records_overwritten
		FROM dbperf.slow_queries, dbperf.monitor_status AS m GROUP BY m.records_written,
			m.records_overwritten}),
	't',
	'what does not fit any more counts as overwritten');

$node->append_conf('postgresql.conf',
	"dbperf.slow_query_ring_entries = 2048\ndbperf.slow_query_ring_size = '1MB'");
$node->restart;
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM dbperf.slow_queries'),
	'>=', 10, 'a ring that became larger has its records');
accounted('in a larger ring');

#
# A reset before a restart
#
$node->safe_psql('postgres', q{SELECT 'kept'; SELECT dbperf.slow_queries_reset()});
$node->restart;
is(kept(1), '0|||', 'what was reset does not come back');
accounted('after a reset');

#
# Damaged files
#
sub damaged
{
	my ($name, $pattern, $damage) = @_;

	$node->safe_psql('postgres', join('', map { "SELECT $_, 'kept $name';\n" } 1 .. 10));
	$node->stop;
	ok(-s $dump, "$name: a file was written");
	$damage->();

	my $offset = -s $node->logfile;
	$node->start;
	like(slurp_file($node->logfile, $offset),
		qr/LOG:  the statements recorded before the restart are not available: file "pg_stat\/dbperf_slow_queries\.stat" $pattern/,
		"$name: reported in the log");
	is(kept(1), '0|||', "$name: the ring is empty");
	is($node->safe_psql('postgres', q{SELECT 1 AS works, 'kept'}), '1|kept', "$name: works");
	like(kept(1), qr/^1\|/, "$name: records again");
	accounted($name);
	ok(!-e $dump, "$name: the file is gone");
	return;
}

sub overwrite
{
	my ($mode, $at, $bytes) = @_;

	open(my $fh, $mode, $dump) or die "could not open $dump: $!";
	binmode $fh;
	seek($fh, $at, 0) or die "could not seek: $!";
	print $fh $bytes;
	close($fh) or die "could not write $dump: $!";
	return;
}

damaged('cut off', qr/is cut off/, sub { truncate($dump, int((-s $dump) / 2)) or die $! });
damaged('empty', qr/is cut off/, sub { truncate($dump, 0) or die $! });
damaged('garbage', qr/is not a dump of recorded statements/,
	sub { overwrite('>', 0, join('', map { chr(($_ * 37 + 11) % 256) } 1 .. 5000)) });
damaged('changed bytes', qr/has a damaged record|is cut off or has a damaged record/,
	sub { overwrite('+<', int((-s $dump) / 2), "\xff\x00\xff\x00") });
damaged('bytes after the end', qr/has records that do not fit together/,
	sub { overwrite('+<', -s $dump, 'more') });

#
# A crash in the middle of writing
#
$node->safe_psql('postgres', q{SELECT 'kept before the crash'});
$ring_start = status('ring_start');
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, "SELECT 'under load', :client_id;\n");
my $output = '';
local $ENV{PGAPPNAME} = 'pgbench';
my $load = IPC::Run::start(
	[
		$node->installed_command('pgbench'), '-n', '-c', '4', '-T', '60', '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres'
	],
	'>', \$output, '2>', \$output);
$node->poll_query_until(
	'postgres', q{
	SELECT count(*) > 100 FROM dbperf.slow_queries WHERE application_name = 'pgbench'})
  or die "there is no load: $output";
$ENV{PGAPPNAME} = 'test';
my $victim = $node->safe_psql('postgres',
	q{SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'});
my $offset = -s $node->logfile;
is(kill('KILL', $victim), 1, 'killed a session');
$load->finish;

ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
like(slurp_file($node->logfile, $offset), qr/all server processes terminated; reinitializing/,
	'it was a crash');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM dbperf.slow_queries WHERE query LIKE '%under load%'
			AND query NOT LIKE '%slow_queries%'}),
	'0',
	'the ring is empty after a crash');
isnt(status('ring_start'), $ring_start, 'it is a new ring');
accounted('after a crash');
$node->safe_psql('postgres', q{SELECT 'kept after the crash'});
like(kept(1), qr/^1\|/, 'records again after a crash');
ok( $node->poll_query_until(
		'postgres', q{
		SELECT pg_sleep(0.1) IS NOT NULL
			AND EXISTS (SELECT FROM dbperf.slow_queries WHERE waits ? 'Timeout:PgSleep')}),
	'the wait sampler is back');
$before = kept(1);
$node->restart;
is(kept(1), $before, 'records survive the next restart');

#
# A crash of the whole server leaves no file, and an old one is not taken up
#
$node->stop('immediate');
$node->start;
accounted('after an immediate shutdown');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|could not write file/, 'nothing else is in the log');
done_testing();
