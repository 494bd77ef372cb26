# Prepared statements and cursors as real clients use them.

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
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
});
$node->start;
$ENV{PGAPPNAME} = 'client';
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE accounts (id int PRIMARY KEY, name text, balance numeric);
	INSERT INTO accounts SELECT g, 'name ' || g, g * 10 FROM generate_series(1, 100) AS g;
	ANALYZE accounts;
});

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

#
# pgbench in its three modes: 20 of each statement
#
my $script = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
append_to_file(
	$script, q{\set id random(1, 100)
SELECT balance AS b FROM accounts WHERE id = :id;
UPDATE accounts SET name = :label WHERE id = :id;
});

foreach my $mode (qw(simple extended prepared))
{
	query('SELECT dbperf.slow_queries_reset()');
	query('SELECT dbperf.query_latency_reset()');
	$node->command_ok(
		[
			'pgbench', '-n', '-M', $mode, '-t', '10', '-c', '2', '-D', 'label=777',
			'-f', $script, '-h', $node->host, '-p', $node->port, 'postgres'
		],
		"pgbench -M $mode");

	is( query(q{
			SELECT command, count(*), count(DISTINCT queryid), sum(rows), count(sqlstate)
			FROM dbperf.slow_queries WHERE application_name = 'client'
				AND query ~ '(FROM|UPDATE) accounts' GROUP BY command ORDER BY command}),
		"SELECT|20|1|20|0\nUPDATE|20|1|20|0",
		"$mode: all are recorded");
	is( query(q{
			SELECT l.calls, l.errors, l.toplevel FROM dbperf.query_latency AS l
			WHERE l.period = 'lifetime' AND l.queryid IN (
				SELECT queryid FROM dbperf.slow_queries
				WHERE application_name = 'client' AND query ~ '(FROM|UPDATE) accounts')}),
		"20|0|t\n20|0|t",
		"$mode: all are counted");
	is( query(q{
			SELECT bool_and(pre_execution_ms >= 0 AND duration_ms > 0 AND plan_id IS NOT NULL)
			FROM dbperf.slow_queries WHERE application_name = 'client' AND query ~ '(FROM|UPDATE) accounts'}),
		't',
		"$mode: times and plans");

	if ($mode eq 'simple')
	{
		is( query(q{
				SELECT count(parameters), bool_and(query ~ 'WHERE id = \d+$')
				FROM dbperf.slow_queries
				WHERE application_name = 'client' AND query ~ '(FROM|UPDATE) accounts'}),
			'0|t',
			'simple: the values are in the text');
		next;
	}
	is( query(q{
			SELECT command, bool_and(query ~ '\$1'), min(array_length(parameters, 1)),
				   max(array_length(parameters, 1)),
				   bool_and(parameters[array_length(parameters, 1)]::int BETWEEN 1 AND 100)
			FROM dbperf.slow_queries
			WHERE application_name = 'client' AND query ~ '(FROM|UPDATE) accounts'
			GROUP BY command ORDER BY command}),
		"SELECT|t|1|1|t\nUPDATE|t|2|2|t",
		"$mode: parameters are captured");
	is( query(q{
			SELECT count(DISTINCT s.parameters[1]) FROM dbperf.slow_queries AS s
			WHERE s.command = 'UPDATE' AND s.application_name = 'client'
				AND s.parameters[1] = '777'}),
		'1',
		"$mode: a text parameter is shown as it was sent");
	is( query(q{
			SELECT parameter_types::text, array_length(parameters, 1) FROM dbperf.query_samples
			WHERE query ~ '^UPDATE accounts'}),
		'{text,integer}|2',
		"$mode: types of parameters are in the sample");
}

#
# PREPARE and EXECUTE, and one that fails
#
query(q{
	SELECT dbperf.slow_queries_reset();
	PREPARE by_id(int, text) AS SELECT 100 / ($1 + id - 1) AS quotient, $2 AS label FROM accounts WHERE id <= 1;
	EXECUTE by_id(5, 'five');
	EXECUTE by_id(2, NULL);
});
$node->psql('postgres', q{
	PREPARE by_id(int, text) AS SELECT 100 / ($1 + id - 1) AS quotient, $2 AS label FROM accounts WHERE id <= 1;
	EXECUTE by_id(0, 'nothing');
});
is( query(q{
		SELECT parameters::text, sqlstate, queryid = first_value(queryid) OVER (ORDER BY id)
		FROM dbperf.slow_queries WHERE query LIKE '%AS quotient%' AND command = 'SELECT'
			AND query NOT LIKE '%slow\_queries%' ORDER BY id}),
	"{5,five}||t\n{2,NULL}||t\n{0,nothing}|22012|t",
	'EXECUTE: parameters, also of the one that failed');

#
# psql's \bind: the extended protocol, with texts as parameters
#
SKIP:
{
	skip 'psql has \bind from 16 on', 4 if $node->pg_version < 16;

	query('SELECT dbperf.slow_queries_reset()');
	$node->psql('postgres', q{
SELECT 100 / ($1 + id - 1) AS share, $2::text AS label FROM accounts WHERE id <= 1 \bind 4 'it''s' \g
SELECT 100 / ($1 + id - 1) AS share, $2::text AS label FROM accounts WHERE id <= 1 \bind 0 zero \g
SELECT 100 / ($1 + id - 1) AS share, $2::text AS label FROM accounts WHERE id <= 1 \bind many x \g
}, on_error_stop => 0);
	is( query(q{
			SELECT parameters::text, rows, sqlstate FROM dbperf.slow_queries
			WHERE query LIKE '%AS share%' AND query NOT LIKE '%slow\_queries%' ORDER BY id}),
		"{4,it's}|1|\n{0,zero}|0|22012\n|0|22P02",
		'\bind: parameters, errors in execution, errors while binding');
	is( query(q{
			SELECT count(DISTINCT queryid) FROM dbperf.slow_queries
			WHERE query LIKE '%AS share%' AND query NOT LIKE '%slow\_queries%'
				AND parameters IS NOT NULL}),
		'1',
		'\bind: one query');
	query(q{
SET plan_cache_mode = force_generic_plan;
SELECT $1::timestamptz AS moment \bind '2024-01-02 03:04:05+00' \g
SELECT count(*) AS found FROM accounts WHERE id = ANY ($1::int[]) \bind '{1,2,3}' \g
});
	is( query(q{
			SELECT parameters::text FROM dbperf.slow_queries WHERE query LIKE '%AS found%'
				AND query NOT LIKE '%slow\_queries%'}),
		'{"{1,2,3}"}',
		'\bind: an array');
	is( query(q{
			SELECT parameters[1]::timestamptz = '2024-01-02 03:04:05+00'
			FROM dbperf.slow_queries WHERE query LIKE '%AS moment%'
				AND query NOT LIKE '%slow\_queries%'}),
		't',
		'\bind: a timestamp');
}

#
# Cursors fetched in pieces: the client's time between two pieces is not theirs
#
query('SELECT dbperf.slow_queries_reset()');
$node->psql('postgres', q{
\set FETCH_COUNT 10
SELECT g AS fetched FROM generate_series(1, 35) AS g;
});
is( query(q{
		SELECT count(*), min(rows), max(query)
		FROM dbperf.slow_queries WHERE query LIKE '%AS fetched%' AND level = 0
			AND command = 'SELECT' AND query NOT LIKE '%slow\_queries%'}),
	$node->pg_version >= 17
	? "1|35|SELECT g AS fetched FROM generate_series(1, 35) AS g"
	: "1|35|DECLARE _psql_cursor NO SCROLL CURSOR FOR\nSELECT g AS fetched FROM generate_series(1, 35) AS g",
	'FETCH_COUNT: recorded once, with all rows');

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe(
	'DECLARE thinking CURSOR FOR SELECT pg_sleep(0.05), g FROM generate_series(1, 100) AS g');
$session->query_safe('FETCH 2 FROM thinking');
query('SELECT pg_sleep(2)');
$session->query_safe('FETCH 2 FROM thinking');
query('SELECT pg_sleep(2)');
$session->query_safe('CLOSE thinking');
$session->query_safe('COMMIT');
$session->quit;
is( query(q{
		SELECT count(*), sum(rows), bool_and(duration_ms BETWEEN 200 AND 2000),
			   bool_and(pre_execution_ms < 1900)
		FROM dbperf.slow_queries WHERE query LIKE '%thinking%' AND command = 'SELECT'
			AND query NOT LIKE '%slow\_queries%'}),
	'1|4|t|t',
	'a cursor: think time is not counted');
is( query(q{
		SELECT max(duration_ms) < 1900 FROM dbperf.slow_queries
		WHERE query ~ '^(FETCH|CLOSE)'}),
	't',
	'nor in FETCH and CLOSE');

is( query(q{
		SELECT statements - (records_written + dropped_busy + dropped_too_large + dropped_memory
							 + skipped_flood) FROM dbperf.monitor_status}),
	'0',
	'every statement is accounted for');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
