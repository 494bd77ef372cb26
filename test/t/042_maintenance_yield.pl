# Maintenance gives way to whoever waits for one of its locks, and cleans up
# what a rebuild of an index leaves behind, even after a crash.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node(
	'main', q{
shared_preload_libraries = 'dbperf'
fsync = off
restart_after_crash = on
deadlock_timeout = 1s
dbperf.database = 'postgres'
dbperf.maintenance = off
dbperf.maintenance_naptime = 1s
dbperf.maintenance_cost_limit_max = 1
});
sql(q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE big (i int, filler text);
	INSERT INTO big SELECT i, repeat('x', 400) FROM generate_series(1, 100000) AS i;
	UPDATE big SET i = i + 1;
	CREATE TABLE keyed (id int, key text);
	INSERT INTO keyed SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i;
	CREATE INDEX keyed_key ON keyed (key) WITH (fillfactor = 10);
	ALTER INDEX keyed_key RESET (fillfactor);
});

my $vacuuming = q{SELECT count(*) > 0 FROM pg_stat_progress_vacuum
	WHERE relid = 'big'::regclass AND heap_blks_scanned > 10};

# Starts a vacuum that takes a minute; returns its id.
sub begin_vacuum
{
	my $id = sql("SELECT dbperf.run_maintenance('big', 'vacuum')");

	poll_ok($vacuuming, 'a worker vacuums');
	return $id;
}

# Changes the table with this lock_timeout.  Returns the seconds that it took
# and what psql has to say about it.
my $columns = 0;

sub change
{
	my ($table, $timeout) = @_;
	my $began = time();
	my $column = 'c' . ++$columns;
	my ($status, $out, $err) = $node->psql('postgres',
		"SET lock_timeout = '$timeout'; ALTER TABLE $table ADD COLUMN $column int");

	return (time() - $began, $err);
}

sub outcome
{
	my ($id) = @_;

	poll("SELECT outcome IS NOT NULL FROM dbperf.maintenance_log WHERE id = $id");
	return sql("SELECT outcome FROM dbperf.maintenance_log WHERE id = $id");
}

# ---- off: the test's vacuum does last

my ($id, $took, $err);

set('dbperf.maintenance_yield = off');
$id = begin_vacuum();
($took, $err) = change('big', '1s');
like($err, qr/lock timeout/, 'without yielding the user waits in vain');
is(sql("SELECT dbperf.cancel_maintenance($id)"), 't', 'canceled');
is(outcome($id), 'cancelled', 'it ends when it is canceled');

# ---- poll and flag

for my $mode ('poll', 'flag')
{
	set("dbperf.maintenance_yield = $mode");
	# a machine that is busy may hold one of the processes up
	foreach my $try (1 .. 4)
	{
		$id = begin_vacuum();
		($took, $err) = change('big', '900ms');
		last if ($err eq '' && $took < 1) || $try == 4;
		note("$mode: $took s $err");
		sql("SELECT dbperf.cancel_maintenance($id)");
		outcome($id);
	}
	is($err, '', "$mode: a user gets the lock");
	cmp_ok($took, '<', 1, "$mode: within a second");
	is(outcome($id), 'cancelled', "$mode: the log says so");
}
set('dbperf.maintenance_yield = poll');

# ---- readers and writers of the table do not stop it

$id = begin_vacuum();
sql('INSERT INTO big VALUES (1); SELECT count(*) FROM big WHERE i = 5');
usleep(700_000);
is(sql($vacuuming), 't', 'who does not wait for its lock does not stop it');

# ---- who waits without any limit gets it, too

my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/go/, "\\echo go\nBEGIN;\nLOCK TABLE big IN ACCESS EXCLUSIVE MODE;\n");
poll_ok("SELECT NOT EXISTS (SELECT FROM pg_stat_progress_vacuum)",
	'it has given way to a LOCK TABLE');
$waiter->quit;
is(outcome($id), 'cancelled', 'and the log says so');

# ---- REINDEX: what it leaves is dropped, and others' indexes are not

sql('CREATE INDEX keyed_ccnew ON keyed (id)');
sql(q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'keyed_ccnew'::regclass});

# holds a rebuild up, after the new index is in the catalog
sub hold_up
{
	my $holder = $node->background_psql('postgres');

	$holder->query_until(qr/held/, "BEGIN;\nINSERT INTO keyed VALUES (0, 'x');\n\\echo held\n");
	return $holder;
}

my $leftovers = q{SELECT string_agg(c.relname, ' ' ORDER BY c.relname)
	FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
	WHERE i.indrelid = 'keyed'::regclass AND NOT i.indisvalid};
my $rebuilding = q{SELECT pid FROM pg_stat_progress_create_index
	WHERE relid = 'keyed'::regclass};

my $holder = hold_up();
$id = sql("SELECT dbperf.run_maintenance('keyed', 'reindex')");
poll_ok("SELECT EXISTS ($rebuilding) AND count(*) = 1 FROM dbperf.maintenance_leftovers",
	'a worker rebuilds, and has noted its new index');
($took, $err) = change('keyed', '6s');
like($err, qr/lock timeout/, 'the user still waits for the other one');
is(outcome($id), 'cancelled', 'but the worker is not in the way any more');
$holder->quit;
$id = sql("SELECT dbperf.run_maintenance('keyed', 'analyze')");
is(outcome($id), 'done', 'another visit');
poll_ok("SELECT ($leftovers) = 'keyed_ccnew'", "it has dropped what was ours, and not others' index");
poll_ok('SELECT count(*) = 0 FROM dbperf.maintenance_leftovers', 'nothing is noted any more');

# ---- the same with a crash

$holder = hold_up();
$id = sql("SELECT dbperf.run_maintenance('keyed', 'reindex')");
poll_ok("SELECT EXISTS ($rebuilding) AND count(*) = 1 FROM dbperf.maintenance_leftovers",
	'a worker rebuilds again');
my $pid = sql($rebuilding);
# a worker's commits reach the disk a moment later
my $written = sql('SELECT pg_current_wal_insert_lsn()');
poll("SELECT pg_current_wal_flush_lsn() >= '$written'");
kill 'KILL', $pid;
eval { $holder->quit; };
poll_ok("SELECT NOT EXISTS ($rebuilding)", 'the server is back');
is(sql($leftovers), 'keyed_ccnew keyed_key_ccnew', 'the crash has left the new index');

# a visit cleans up before it does anything else; the index itself would be rebuilt next
sql(q{INSERT INTO dbperf.maintenance_policy (actions) VALUES ('{analyze}')});
set('dbperf.maintenance = on');
poll_ok("SELECT ($leftovers) = 'keyed_ccnew'", 'the next visit drops ours, and not the others');
poll_ok('SELECT count(*) = 0 FROM dbperf.maintenance_leftovers', 'and forgets it');
is(outcome($id), 'terminated', 'the log says that the rebuild was cut off');
is(sql(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'keyed_key'::regclass}),
	't', 'the index itself is as it was');

my $told = sql(q{SELECT count(*) FROM dbperf.maintenance_plan(1)
	WHERE object = 'public.keyed_ccnew' AND not_now LIKE '%DROP INDEX CONCURRENTLY%'});
is($told, '1', "the plan tells of the others'");

$node->stop;
done_testing();
