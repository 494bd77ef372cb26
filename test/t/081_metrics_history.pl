# The sampler of metrics: it goes on whatever happens to its tables, and to the
# server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node(
	'primary', q{
dbperf.metrics_interval = 1s
}, allows_streaming => 1);

# Whether a sample was taken and, unless it is "off", stored after this call.
sub goes_on
{
	my ($name, $stored) = @_;
	my $what = $stored // 1 ? 'samples_stored' : 'samples';
	my $count = sql("SELECT $what FROM dbperf.metrics_status");

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return poll_ok("SELECT $what > $count FROM dbperf.metrics_status", $name);
}

sub state_is
{
	my ($state, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return poll_ok(qq{SELECT state = '$state' FROM dbperf.metrics_status}, $name);
}

# The member that is being filled, and when its turn began.
sub turn
{
	my ($tier) = @_;

	return sql("SELECT member, turn FROM dbperf.metrics_members
				WHERE tier = $tier ORDER BY turn DESC LIMIT 1");
}

# Makes a turn old enough to be over.
sub end_turn
{
	my ($tier) = @_;

	sql("UPDATE dbperf.metrics_members SET began = began - interval '10 days'
		 WHERE tier = $tier AND turn =
			(SELECT max(turn) FROM dbperf.metrics_members WHERE tier = $tier)");
	return;
}

my $many = q{SELECT count(*) > 2 FROM dbperf.metrics_history
			 WHERE name = 'dbperf_statement_duration_seconds_count'
			   AND resolution = '1 second'};
my $kinds = q{SELECT string_agg(DISTINCT resolution::text, ' ' ORDER BY resolution::text)
			  FROM dbperf.metrics_history};

#
# The extension is not there, then it is
#
poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'dbperf sampler'});
sql('CREATE DATABASE other');
sql('other', 'CREATE EXTENSION dbperf CASCADE');
ok( poll('other', q{SELECT state = 'extension missing in database "postgres"' AND samples > 1
					FROM dbperf.metrics_status}),
	'samples without the extension in dbperf.database');
ok(poll('other', $many), 'they are in shared memory, for any database');
sql('CREATE EXTENSION dbperf CASCADE');
state_is('running', 'they are stored when the extension is there');
goes_on('and go on');
poll_ok($many, 'they are shown');
is(sql($kinds), '00:00:01 00:00:06 00:01:00', 'the first sample is in all tiers');
is( sql(q{SELECT count(*) - count(DISTINCT (sampled_at, name, labels, resolution))
		  FROM dbperf.metrics_history}),
	'0',
	'no value is there twice');
is(count_in_log('metrics are kept in shared memory only'), 0, 'nothing of that is in the log');

#
# What queries did
#
poll_ok(q{SELECT count(*) > 0 FROM dbperf.metrics_query_history WHERE resolution = '6 seconds'},
	'queries are sampled');

# Some columns of the marked query's row for a period.
sub marked
{
	my ($columns, $from, $to, $query) = @_;

	$query //= 'SELECT pg\\_sleep(0.03) AS marked';
	return qq{SELECT $columns FROM dbperf.metrics_queries_between($from, $to) AS q
		JOIN dbperf.query_samples AS s USING (queryid, database_name, user_name, toplevel)
		WHERE s.query LIKE '$query%'};
}

my $known = q{calls = 3 AND total_ms BETWEEN 90 AND 30000 AND mean_ms BETWEEN 30 AND 10000
	AND p95_ms BETWEEN 25 AND 25000 AND database_name = 'postgres' AND toplevel};
my $began = sql(q{SELECT quote_literal(now())});
sql(q{SELECT pg_sleep(0.03) AS marked}) foreach 1 .. 3;
is(sql(marked($known, $began, 'now()')), 't', 'what was executed until now is known');
poll_ok(marked($known, $began, q{now() - interval '1 ms'}), 'what was executed within a period is known');
my $since = sql('SELECT now()');
sql(q{SELECT pg_sleep(0.03) AS marked}) foreach 1 .. 2;
is(sql(marked('calls', "'$since'", 'now()')), '2', 'what was executed after the last sample');
is(sql(marked('calls', $began, 'now()')), '5', 'and before it');
is(sql(marked('calls', $began, "'$since'")), '3', 'a period that is over has ended');
is(sql(qq{BEGIN;
		SELECT quote_literal(clock_timestamp()) AS until \\gset
		SELECT pg_sleep(0.03) AS marked \\g /dev/null
		} . marked('calls', "'$since'", ':until')), '', 'what is past is not the present');
poll_ok(marked('calls = 6', $began, q{now() - interval '1 ms'}), 'all of them are sampled');
is( sql('SELECT dbperf.query_latency_reset(queryid) FROM dbperf.query_samples'
		  . " WHERE query LIKE 'SELECT pg\\_sleep(0.03) AS marked%'"),
	'1', 'counting begins anew');
for my $times (1, 6)
{
	sql(q{SELECT pg_sleep(0.03) AS marked}) foreach 1 .. $times;
	is(sql(marked('calls', "'$since'", 'now()')), $times == 1 ? 4 : 10, "and goes on: $times");
}

# more queries than a sample has room for, and one of which it has none
sql('SELECT 1 AS crowded, 2, 3');
poll_ok(marked('calls = 1', $began, q{now() - interval '1 ms'}, 'SELECT 1 AS crowded, 2, 3'), 'a query is sampled');
my $crowd = join '', map { 'SELECT pg_sleep(0.005)' . ', 1' x $_ . ";\n" } 1 .. 60;
for (1 .. 5)
{
	my $count = sql('SELECT count(*) FROM dbperf.metrics_query_history');

	sql("SELECT 1 AS crowded, 2, 3;\n$crowd");
	poll("SELECT count(*) >= $count + 50 FROM dbperf.metrics_query_history");
	last if sql(q{SELECT max(n) FROM (SELECT count(*) AS n FROM dbperf.metrics_query_history
		WHERE resolution = '6 seconds' GROUP BY sampled_at) AS s}) eq '50';
}
is(sql(marked('calls', 'now()', 'clock_timestamp()', 'SELECT 1 AS crowded, 2, 3')), '',
	'what was executed before the period is not taken for its own');
poll_ok(
	qq{SELECT count(*) > 0 FROM dbperf.metrics_between('$since', now(),
			'{dbperf_statement_p50_seconds,dbperf_statement_p99_seconds}')
	   WHERE value > 0 AND per_second IS NULL},
	'percentiles are sampled');

#
# A restart and a crash
#
my $sets = 'SELECT count(DISTINCT set_id), count(*) - count(DISTINCT identity)
			FROM dbperf.metrics_series';
my $samples = 'SELECT count(*) FROM dbperf.metrics_samples';
my $before = sql($samples);
my $turn = turn(1);
# the first sample after a restart tells of the last moments before it, if it is in time
my $moment = sql('SELECT quote_literal(clock_timestamp())');
sql('SELECT 1 AS moment, pg_sleep(0.4)');
$node->restart;
goes_on('samples after a restart');
is( sql(marked('sum(calls)', $moment, q{now() - interval '1 ms'}, 'SELECT 1 AS moment')),
	sql(qq{SELECT CASE WHEN min(sampled_at) < timestamptz $moment + interval '5.5 s' THEN 1 END
		FROM dbperf.metrics_query_history WHERE sampled_at > $moment}),
	'nothing is lost');
cmp_ok(sql($samples), '>', $before, 'to those before it');
is(turn(1), $turn, 'in the same table');
is(sql($sets), '1|0', 'with the same series');
$before = sql($samples);
# a worker's commits reach the disk a moment later
my $written = sql('SELECT pg_current_wal_insert_lsn()');
poll("SELECT pg_current_wal_flush_lsn() >= '$written'");
$node->stop('immediate');
$node->start;
goes_on('samples after a crash');
cmp_ok(sql($samples) + 2, '>', $before, 'nearly all of those before it are there');
is(sql($sets), '1|0', 'and the same series');

#
# Tables take turns; a reader holds that up, and nothing else
#
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('SELECT count(*) FROM dbperf.metrics_samples_12');
$turn = turn(1);
end_turn(1);
goes_on('samples while a reader has locked the next table');
is(turn(1), $turn, 'which is not emptied');
$session->query_safe('COMMIT');
poll_ok('SELECT max(turn) = 2 FROM dbperf.metrics_members WHERE tier = 1',
	'it is when the reader has gone');
is(turn(1), '2|2', 'and filled');
for my $turn (3 .. 6)
{
	end_turn(1);
	poll("SELECT max(turn) = $turn FROM dbperf.metrics_members WHERE tier = 1");
}
is(turn(1), '1|6', 'the first table has its turn again');
is( sql('SELECT count(*) FROM dbperf.metrics_samples_11 AS s, dbperf.metrics_members AS m
		 WHERE m.tier = 1 AND m.member = 1 AND s.sampled_at < m.began'),
	'0',
	'and nothing of its turn before');
cmp_ok(sql("SELECT count(*) FROM dbperf.metrics_samples WHERE member < 20"),
	'>=', 5, 'the other ones have what they had');
# a turn that is said to begin in ten days: the clock was turned back
sql("UPDATE dbperf.metrics_members SET began = now() + interval '10 days' WHERE turn = 6");
poll_ok('SELECT max(turn) = 7 FROM dbperf.metrics_members WHERE tier = 1',
	'a clock that was turned back does not stop the turns');

# all of them are locked
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE dbperf.metrics_series');
goes_on('samples while the tables are locked', 0);
state_is('tables are locked: in shared memory only', 'the status says so');
is(sql('SELECT last_error FROM dbperf.metrics_status'), '', 'which is no error');
$session->query_safe('COMMIT');
state_is('running', 'they are stored again');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE dbperf.metrics_samples_12');
goes_on('samples while one table is locked', 0);
state_is('tables are locked: in shared memory only', 'the status says so, too');
$session->query_safe('COMMIT');
$session->quit;
state_is('running', 'and they are stored again');

#
# The tables cannot be written
#
is(count_in_log('WARNING|ERROR'), 0, 'no error so far');
sql(q{
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE disk_full USING MESSAGE = 'no space left on device'; END $$;
	CREATE TRIGGER fail BEFORE INSERT ON dbperf.metrics_samples FOR EACH ROW
		EXECUTE FUNCTION fail()});
state_is('failed: in shared memory only', 'a failure is told');
$since = sql('SELECT now()');
goes_on('samples go on', 0);
is(sql('SELECT last_error FROM dbperf.metrics_status'), 'no space left on device', 'with the error');
poll_ok(
	qq{SELECT count(*) > 1 FROM dbperf.metrics_history
	   WHERE sampled_at > '$since' AND name = 'dbperf_statement_duration_seconds_count'},
	'what could not be stored is shown from shared memory');
goes_on('and on', 0);
goes_on('and on', 0);
is(count_in_log('WARNING:  metrics are kept in shared memory only'), 1, 'one warning in the log');
is(count_in_log('ERROR:  no space left on device'), 1, 'and one error');
sql('DROP FUNCTION fail() CASCADE');
state_is('running', 'they are stored again');
goes_on('and go on');
is( sql('SELECT last_error, last_error_at > since - interval \'1 min\' FROM dbperf.metrics_status'),
	'no space left on device|t', 'the error is remembered');
is( sql(q{SELECT count(*) - count(DISTINCT (sampled_at, name, labels, resolution))
		  FROM dbperf.metrics_history}),
	'0',
	'no value is there twice');

#
# The directory of series: kept, and begun anew
#
sql('DELETE FROM dbperf.metrics_series WHERE position > 10');
poll_ok('SELECT count(*) > 50 FROM dbperf.metrics_series', 'what somebody has deleted is back');
sql(q{UPDATE dbperf.metrics_series SET identity = 'renamed{}', name = 'renamed' WHERE position = 5});
$node->restart;
goes_on('samples with series that were changed');
is(sql('SELECT max(set_id) FROM dbperf.metrics_series'), '1', 'changed at a stop: they go on');
sql('SELECT pg_sleep(0)');
sql(q{UPDATE dbperf.metrics_series SET identity = 'again{}' WHERE position = 6;
	  DELETE FROM dbperf.metrics_series WHERE position = 1});
poll_ok('SELECT max(set_id) = 2 FROM dbperf.metrics_series',
	'what is not ours any more makes a new set');
goes_on('with which samples go on');
poll_ok(
	q{SELECT count(DISTINCT set_id) = 2 FROM dbperf.metrics_history AS h
	  JOIN dbperf.metrics_samples AS s USING (sampled_at)
	  WHERE h.name = 'dbperf_statement_duration_seconds_count'},
	'samples of both sets are shown');

# a directory that is full of what there was once
sql(q{INSERT INTO dbperf.metrics_series (set_id, position, identity, name, labels, counter)
	  SELECT 3, n, 'gone' || n || '{}', 'gone' || n, '{}', true FROM generate_series(1, 768) AS n});
$node->restart;
poll_ok('SELECT max(set_id) = 4 AND bool_and(name !~ \'gone\') FILTER (WHERE set_id = 4)
		 FROM dbperf.metrics_series', 'what is gone makes room');
$since = sql('SELECT now()');
poll_ok(
	qq{SELECT count(*) > 1 FROM dbperf.metrics_history
	   WHERE sampled_at > '$since' AND name = 'dbperf_statement_duration_seconds_count'},
	'for what is there');
is(sql('SELECT values_refused > 50 FROM dbperf.metrics_status'), 't', 'which was left out before');

#
# The extension is dropped beside it
#
sql('DROP EXTENSION dbperf CASCADE');
ok( poll('other', q{SELECT state = 'extension missing in database "postgres"'
					FROM dbperf.metrics_status}),
	'the extension is dropped');
sql('CREATE EXTENSION dbperf CASCADE');
state_is('running', 'and created again');
is(sql($sets), '1|0', 'with all series');

#
# A name that is not valid in the encoding of dbperf.database
#
sql(q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
sql('CREATE DATABASE named');
sql('named', 'CREATE EXTENSION dbperf CASCADE');
sql('latin', qq{SET client_encoding = LATIN1; ALTER DATABASE named RENAME TO "caf\xe9"});
set("dbperf.estimates_interval = '1s'");
poll_ok(
	q{SELECT count(*) > 0 FROM dbperf.metrics_history
	  WHERE name = 'dbperf_database_size_bytes' AND labels ->> 'database' LIKE 'caf%'},
	'a name that cannot be stored as it is');
poll(q{SELECT count(*) > 0 FROM dbperf.metrics_series WHERE labels ->> 'database' LIKE 'caf%'});
is( sql(q{SELECT DISTINCT labels ->> 'database' FROM dbperf.metrics_series
		  WHERE labels ->> 'database' LIKE 'caf%'}),
	'caf?', 'is stored as it is shown');
state_is('running', 'is no reason not to store');
set('dbperf.estimates_interval = 0');
is(count_in_log('invalid byte sequence'), 0, 'no error about it');
sql('latin', qq{SET client_encoding = LATIN1; DROP DATABASE "caf\xe9"});
sql('DROP DATABASE latin');

#
# Off, on, and in another database, which is dropped
#
$since = sql('SELECT now()');
set('dbperf.metrics_interval = 0');
state_is('off', 'off');
poll(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'dbperf sampler'
		AND datname IS NOT NULL});
set("dbperf.metrics_interval = '1s'", "dbperf.database = 'other'");
ok( poll('other', q{SELECT state = 'running' AND members = 3 AND bytes > 200000
					FROM dbperf.metrics_status}),
	'in another database');
poll_ok("SELECT min(sampled_at) < '$since' AND max(sampled_at) > '$since'
		 FROM dbperf.metrics_history", 'what is in shared memory stays');
sql('DROP DATABASE other');
poll_ok(q{SELECT state = 'not connected to database "other"' FROM dbperf.metrics_status},
	'which is dropped');
set("dbperf.database = 'postgres'");
state_is('running', 'back again');

#
# A standby samples itself; when it is promoted it stores that
#
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
ok( $standby->poll_query_until(
		'postgres', q{SELECT state = 'standby: in shared memory only' AND samples > 2
					  FROM dbperf.metrics_status}),
	'a standby samples');
is( $standby->safe_psql(
		'postgres', q{SELECT count(*) > 0 AND min(sampled_at) > pg_postmaster_start_time()
					  FROM dbperf.metrics_history}),
	't',
	'and shows its own samples only');
ok( $standby->poll_query_until('postgres',
		'SELECT count(*) > 0 FROM dbperf.metrics_query_history'),
	'and its own queries');
my $sampler = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbperf sampler'};
my $pid = $standby->safe_psql('postgres', $sampler);
$standby->promote;
ok( $standby->poll_query_until(
		'postgres', q{SELECT state = 'running' AND samples_stored > 2 FROM dbperf.metrics_status}),
	'it stores them when it is promoted');
is($standby->safe_psql('postgres', $sampler), $pid, 'with the same process');
is( $standby->safe_psql(
		'postgres', q{SELECT count(DISTINCT started_at) = 2 FROM dbperf.metrics_samples
					  WHERE sampled_at > now() - interval '1 hour' AND
							started_at IN (SELECT max(started_at) FROM dbperf.metrics_samples
										   UNION SELECT min(started_at) FROM dbperf.metrics_samples)}),
	't',
	'behind those of the primary');
unlike(slurp_file($standby->logfile), qr/PANIC|TRAP|terminated by signal/, 'it did not crash');
$standby->stop;

nothing_crashed();
done_testing();
