# The report beside locks, on a standby and under a cancel, and a comparison of two
# periods between which something was changed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = start_node(
	'main', q{
max_parallel_workers_per_gather = 0
jit = off
dbperf.metrics_interval = 1s
dbperf.slow_query_max_rate = 0
}, allows_streaming => 1);
sql(
	q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE parcels AS SELECT i AS id, i % 5000 AS receiver, 'parcel ' || i AS note
		FROM generate_series(1, 100000) AS i;
	CREATE INDEX parcels_receiver ON parcels (receiver);
	VACUUM ANALYZE parcels});
$node->backup('backup');

# The part of a page that is one section, without its tags.
sub section
{
	my ($page, $id) = @_;

	my ($section) = $page =~ m{<section id="$id"(.*?)</section>}s;
	$section =~ s{</td><td[^>]*>}{|}g;
	$section =~ s{<[^>]*>}{}g;
	return $section;
}

# A page of which nothing was left out, as it may be on a machine that is busy; and
# how many seconds it took.
sub page
{
	my ($statement, $server) = @_;
	my ($page, $seconds);

	for (1 .. 5)
	{
		my $started = time();

		$page = ($server // $node)->safe_psql('postgres', $statement);
		$seconds = time() - $started;
		last if $page !~ /Left out: it took longer/;
	}
	return wantarray ? ($page, $seconds) : $page;
}

sub now
{
	return sql('SELECT clock_timestamp()');
}

#
# Two periods: queries that become slower, appear and disappear
#

my $kept = 'SELECT count(note) FROM parcels WHERE receiver = 7 /* kept */';
my $rare = 'SELECT max(id) FROM parcels WHERE receiver = 7 /* rare */';
my $gone = 'SELECT min(note) FROM parcels WHERE id = 7 /* gone */';
my $new = 'SELECT max(note) FROM parcels WHERE id = 7 /* new */';

my $back = 'SELECT sum(id) FROM parcels WHERE receiver = 7 /* back */';

# Runs queries so often, and waits until samples have them.  Returns the period.
sub run_period
{
	my (%runs) = @_;

	my $since = now();
	for my $query (sort keys %runs)
	{
		sql(join(";\n", ($query) x $runs{$query}));
	}
	for my $query (sort keys %runs)
	{
		poll_ok(
			qq{
			SELECT sum(q.calls) >= $runs{$query}
			  FROM dbperf.metrics_queries_between('$since', now() - interval '1 ms') AS q
			  JOIN dbperf.query_samples AS s USING (queryid, database_name)
			 WHERE s.query = \$\$$query\$\$}, "$runs{$query} executions are in the history");
	}
	return ($since, now());
}

# what the first sample finds was counted at some time before it
poll_ok('SELECT samples > 0 FROM dbperf.metrics_status', 'samples are taken');

# a plan that comes back when there is no index
sql("SET enable_indexscan = off; SET enable_bitmapscan = off; $back");

my @before = run_period($kept => 50, $back => 50, $rare => 3, $gone => 40);
sql('DROP INDEX parcels_receiver');
my @after = run_period($kept => 50, $back => 50, $rare => 3, $new => 40);

my $page = page("SELECT dbperf.report_compare('" . join(q{', '}, @before, @after) . "')");
unlike($page, qr/could not be made|Not shown|Left out/, 'all of the comparison is there');

my $queries = section($page, 'query-changes');
like($queries, qr/worse\|SELECT count\(note\)[^|]*kept/, 'a query became slower');
like($queries, qr/few calls\|SELECT max\(id\)[^|]*rare/, 'three executions say nothing');
like($queries, qr/new\|SELECT max\(note\)[^|]* new /, 'a query is new');
like($queries, qr/gone\|SELECT min\(note\)[^|]* gone /, 'a query is gone');
like($queries, qr/ kept .* new .* rare .* gone /s, 'what matters most comes first');
like($queries, qr/50 calls before, 50 now/, 'with numbers');
like($queries, qr/counted to the minute: in a period/, 'short periods have edges');

my $plans = section($page, 'plan-changes');
my ($row) = $plans =~ /([^\n]*kept[^\n]*)/;
like($row, qr/\|50\|postgres\|postgres\|/, 'its new plan, and how often it was used');
like($plans, qr/Before:.*Scan.*parcels_receiver.*Now:.*Seq Scan on parcels/s, 'both plans');
like($row, qr/times: /, 'which is a regression');
like($row, qr/\|new\|/, 'it is new');
like(
	$plans,
	qr/\|back, the other was used until [^\n]* back .*?Before:.*?parcels_receiver.*?Now:.*?Seq Scan/s,
	'a plan that came back');

unlike(
	section(scalar page(q{SELECT dbperf.report()}), 'queries'),
	qr/counted to the minute: in a period/,
	'an hour is long');

# without it the periods are the other way round
$page = page("SELECT dbperf.report_compare('" . join(q{', '}, @after, @before) . "')");
like(
	section($page, 'query-changes'),
	qr/better\|SELECT count\(note\)[^|]*kept/,
	'the other way round it became faster');

# a single report has the queries of its period only
$page = page("SELECT dbperf.report('" . join(q{', '}, @before) . "')");
$queries = section($page, 'queries');
like($queries, qr/\|50\|[^\n]*\|postgres\|postgres\|[^\n]* kept /, 'a query of the period');
like($queries, qr/ gone /, 'another one');
like($queries, qr/counted to the minute: in a period/, 'which is short');
unlike($queries, qr/ new |Nothing is known/, 'what was not executed then is not shown');

#
# Locks
#

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE parcels, dbperf.index_advice IN ACCESS EXCLUSIVE MODE');
my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/sent/, "\\echo sent\nSELECT 'waits' FROM parcels LIMIT 1;\n");
poll('SELECT count(*) = 1 FROM dbperf.running_queries WHERE cardinality(blocked_by) > 0');
my $pid = sql("SELECT pid FROM pg_locks WHERE relation = 'parcels'::regclass AND granted");
($page, my $seconds) = page(q{SET statement_timeout = '60s'; SELECT dbperf.report()});
cmp_ok($seconds, '<', 30, 'a lock is not waited for');
my $running = section($page, 'running');
like($running, qr{\n$pid\|1\|}, 'who blocks another one');
like($running, qr/pg_terminate_backend\($pid\)/, 'and how to end that');
like($running, qr/\(postgres\), [^\n]*'waits'|waits&#39;/, 'who waits');
like(section($page, 'indexes'), qr/Not shown: canceling statement due to lock timeout/,
	'a locked table is left out');
like(section($page, 'queries'), qr/ kept /, 'the rest is there');
is(sql('SHOW lock_timeout'), '0', 'the session waits for locks as before');
is( sql(q{SET lock_timeout = '77s'; SELECT length(dbperf.report()) > 0; SHOW lock_timeout}),
	"t\n77s", 'its own limit is kept');

#
# Cancel
#

my ($rc, $out, $err) =
  $node->psql('postgres', q{SET statement_timeout = '20ms'; SELECT length(dbperf.report())});
like($err, qr/canceling statement due to statement timeout/, 'a cancel ends the report');
is($out, '', 'there is no half of a page');

$holder->query_safe('ROLLBACK');
$holder->quit;
$waiter->quit;

#
# A standby
#

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$standby->poll_query_until('postgres', 'SELECT samples > 0 FROM dbperf.metrics_status');
$page = page(
	q{
	SET dbperf.slow_query_min_duration = 0;
	SELECT count(*) FROM parcels WHERE receiver = 7 /* on the standby */;
	SET dbperf.slow_query_min_duration = -1;
	SELECT dbperf.report()}, $standby);
unlike($page, qr/could not be made|Not shown/, 'all of the report is there on a standby');
like(section($page, 'statements'), qr/on the standby/, 'with what was executed there');
like(section($page, $_), qr/This is a standby: [^\n]* on the primary/, "$_: where advice is followed")
  for qw(indexes coverage advice maintenance);
unlike(section($page, 'status'), qr/does not run|not connected/, 'what rests there is no problem');

$standby->stop;

#
# A replication slot whose WAL is gone
#

sql(q{SELECT pg_create_physical_replication_slot('gone', true)});
sql($_) for q{ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT setting = '1' FROM pg_settings
	WHERE name = 'max_slot_wal_keep_size'});
sql('SELECT pg_switch_wal(); CREATE TABLE filler (); SELECT pg_switch_wal(); DROP TABLE filler; CHECKPOINT');
is(sql(q{SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'gone'}),
	'lost', 'a slot is lost');
my $health = section(scalar page('SELECT dbperf.report()'), 'health');
like(
	$health,
	qr/slot has lost [^|]*\|slot gone keeps no WAL any more, [^|]*\|\s*SELECT pg_drop_replication_slot\(/,
	'which must be dropped');
unlike($health, qr/that nobody reads|,  of WAL/, 'it does not keep anything');
sql(q{SELECT pg_drop_replication_slot('gone')});

nothing_crashed();
done_testing();
