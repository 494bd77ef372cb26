# Many writers and two readers on a ring that is so small that it goes round
# all the time: what a reader gets must be what a writer sent, byte for byte.
#
# Each writer's statement names the template that it was made from, and the
# random number that was put into it many times; so the readers can make the
# text anew and compare.  Prepared statements carry the number, and others
# computed from it, as parameters.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{DBPERF_SHORT} ? 10 : 30;
my $max_query_length = 16384;

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.slow_query_ring_entries = 32
dbperf.slow_query_ring_size = 128kB
dbperf.max_query_length = ${max_query_length}B
dbperf.plan_capture = plan
autovacuum = off
fsync = off
jit = off
log_statement = none
log_min_duration_statement = -1
});
$node->start;

# Whoever looks, or makes ready, is not recorded.
$ENV{PGOPTIONS} = '-c dbperf.slow_query_min_duration=-1';

# ---- templates; @ stands for the number ----

my $dir = $node->basedir;
my (@simple, @prepared);
my $insert = '';

srand(20);
foreach my $id (1 .. 14)
{
	my $length = (60, 100, 150, 250, 500, 800, 1200, 2000, 3000, 5000, 8000, 12000, 16300, 20000)
	  [ $id - 1 ];
	my $body = "SELECT /* $id \@ */ '";

	# numbers with text of random lengths between them
	while (length($body) < $length)
	{
		$body .= '-' . join('', map { chr(97 + int(rand(26))) } 1 .. 1 + int(rand(60))) . '@';
	}
	$body .= q{' FROM pg_catalog.pg_class WHERE oid = 1259 AND relname <> '@'};
	$insert .= "INSERT INTO template VALUES ($id, \$\$$body\$\$);\n";
	(my $script = $body) =~ s/\@/:r/g;
	append_to_file("$dir/simple$id.sql",
		"\\set r random(1000000000, 9000000000000000000)\n$script;\n");
	push @simple, '-f', "$dir/simple$id.sql";
}
foreach my $n (1, 5, 20, 60)
{
	my $list = join ', ', map { ':r::bigint, :s::text' } 1 .. $n;

	append_to_file("$dir/prepared$n.sql",
		"\\set r random(1, 9000000000000000000)\n\\set s :r / 7\nSELECT /* $n */ $list;\n");
	push @prepared, '-f', "$dir/prepared$n.sql";
}

$node->safe_psql(
	'postgres', q{
CREATE EXTENSION dbperf CASCADE;
CREATE TABLE template (id int PRIMARY KEY, body text);
CREATE TABLE result (reader int, deliveries bigint, prepared bigint, wrong bigint, example text);

-- The plan of all templates.
CREATE TABLE shape (plan text);
DO $$
DECLARE
	line text;
	lines text[];
BEGIN
	FOR line IN EXPLAIN (COSTS OFF)
		SELECT 1 FROM pg_catalog.pg_class WHERE oid = 1259 AND relname <> '@' LOOP
		lines := lines || line;
	END LOOP;
	INSERT INTO shape VALUES (array_to_string(lines, E'\n'));
END $$;

-- What is wrong with a record; null: nothing.
CREATE FUNCTION complaint(s dbperf.slow_queries) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	part text[];
	number bigint;
	expected text;
BEGIN
	-- The writer's clock may have been a little ahead of this one: let that
	-- catch up, then nothing may come from the future.
	IF s.started_at > clock_timestamp() THEN
		PERFORM pg_sleep(1);
	END IF;
	IF s.database_name <> 'postgres' OR s.user_name <> session_user OR s.level <> 0 OR
		s.command IS DISTINCT FROM 'SELECT' OR s.sqlstate IS NOT NULL OR
		s.parent_queryid IS NOT NULL OR s.client_addr IS NOT NULL OR s.tags IS NOT NULL OR
		s.rows IS DISTINCT FROM 1 OR s.queryid IS NULL OR s.wal_bytes <> 0 OR
		NOT (s.duration_ms BETWEEN 0 AND 10000) OR
		s.started_at NOT BETWEEN pg_postmaster_start_time() AND clock_timestamp()
	THEN
		RETURN 'fields';
	END IF;
	IF s.application_name = 'simple' THEN
		part := regexp_match(s.query, '^SELECT /\* ([0-9]+) ([0-9]+) \*/ ');
		SELECT replace(t.body, '@', part[2]) INTO expected FROM template AS t
			WHERE t.id = part[1]::int;
		IF expected IS NULL THEN
			RETURN 'no template';
		ELSIF s.query_length <> length(expected) THEN
			RETURN 'length';
		ELSIF s.query <> left(expected, current_setting('test.max_query_length')::int) THEN
			RETURN 'text';
		ELSIF s.parameters IS NOT NULL THEN
			RETURN 'parameters';
		ELSIF regexp_replace(s.plan, '  \(cost=\S+ rows=\d+ width=\d+\)', '') IS DISTINCT FROM
			(SELECT replace(plan, '@', part[2]) FROM shape) THEN
			RETURN 'plan';
		END IF;
	ELSIF s.application_name = 'prepared' THEN
		part := regexp_match(s.query, '^SELECT /\* ([0-9]+) \*/ ');
		SELECT 'SELECT /* ' || part[1] || ' */ ' ||
			string_agg(format('$%s::bigint, $%s::text', 2 * i - 1, 2 * i), ', ' ORDER BY i)
			INTO expected FROM generate_series(1, part[1]::int) AS i;
		number := s.parameters[1]::bigint;
		IF s.query IS DISTINCT FROM expected OR s.query_length <> length(expected) THEN
			RETURN 'text';
		ELSIF s.parameters IS DISTINCT FROM
			(SELECT array_agg(CASE i % 2 WHEN 1 THEN number ELSE number / 7 END::text ORDER BY i)
			   FROM generate_series(1, 2 * part[1]::int) AS i) THEN
			RETURN 'parameters';
		ELSIF s.plan !~ '^Result  \(cost=\S+ rows=1 width=\d+\)$' THEN
			RETURN 'plan';
		END IF;
	ELSE
		RETURN 'application_name';
	END IF;
	RETURN NULL;
END $$;

CREATE PROCEDURE read_on(reader int, seconds int) LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + make_interval(secs => seconds);
	one record;
	sum result;
BEGIN
	sum := ROW(reader, 0, 0, 0, NULL);
	WHILE clock_timestamp() < until LOOP
		SELECT count(*) AS n, count(*) FILTER (WHERE application_name = 'prepared') AS prepared,
			count(DISTINCT id) AS ids, count(complaint) AS wrong,
			min(complaint || ': ' || id || ' ' || record) AS example
			INTO one
			FROM (SELECT s.id, s.application_name, complaint(s), s::text AS record
				FROM dbperf.slow_queries AS s) AS s;
		sum.deliveries := sum.deliveries + one.n;
		sum.prepared := sum.prepared + one.prepared;
		sum.wrong := sum.wrong + one.wrong + one.n - one.ids;
		sum.example := coalesce(sum.example, one.example);
	END LOOP;
	INSERT INTO result SELECT sum.*;
END $$;
} . $insert);
$node->safe_psql('postgres',
	"ALTER DATABASE postgres SET test.max_query_length = '$max_query_length'");
$node->safe_psql('postgres', 'SELECT dbperf.slow_queries_reset()');
my $before = $node->safe_psql('postgres', 'SELECT statements FROM dbperf.monitor_status');

# ---- writers and readers ----

my @outputs;

sub start_writers
{
	my ($protocol, @scripts) = @_;
	my $output = '';
	my $handle;

	local $ENV{PGAPPNAME} = $protocol;
	local $ENV{PGOPTIONS} = '';
	push @outputs, \$output;
	$handle = IPC::Run::start(
		[
			'pgbench', '-n', '-M', $protocol, '-c', 4, '-j', 1, '-T', $seconds, @scripts,
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \undef, '>', \$output, '2>', \$output);
	return $handle;
}

my @writers = (start_writers('simple', @simple), start_writers('prepared', @prepared));
my @readers = map {
	IPC::Run::start(
		[
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c',
			"CALL read_on($_, $seconds)"
		])
} 1 .. 2;

my $transactions = 0;
foreach my $n (0 .. 1)
{
	ok($writers[$n]->finish, 'pgbench') or diag(${ $outputs[$n] });
	$transactions += $1 if ${ $outputs[$n] } =~ /transactions actually processed: (\d+)/;
	unlike(${ $outputs[$n] }, qr/error|abort/i, 'no statement failed');
}
ok($_->finish, 'reader') foreach @readers;

# ---- what they saw ----

note($node->safe_psql('postgres', 'SELECT reader, deliveries, prepared, wrong FROM result'));
note($node->safe_psql('postgres', '\x' . "\n" . 'SELECT * FROM dbperf.monitor_status'));
is( $node->safe_psql('postgres', 'SELECT sum(wrong) FROM result'),
	'0', 'no record was delivered wrong')
  or diag($node->safe_psql('postgres', 'SELECT left(example, 1500) FROM result'));
is( $node->safe_psql(
		'postgres', 'SELECT count(*) FROM result WHERE deliveries > 2000 AND prepared > 500'),
	'2',
	'both readers had thousands of records')
  or diag($node->safe_psql('postgres', 'SELECT reader, deliveries, prepared FROM result'));
is( $node->safe_psql(
		'postgres', q{
		SELECT statements = records_written + dropped_busy + dropped_too_large + dropped_memory +
			skipped_flood FROM dbperf.monitor_status}),
	't',
	'each statement is accounted for');
is($node->safe_psql('postgres', "SELECT statements - $before FROM dbperf.monitor_status"),
	$transactions, 'all statements of the writers were counted');
is( $node->safe_psql(
		'postgres', q{
		SELECT records_overwritten > 50 * ring_entries, dropped_too_large, dropped_memory,
			skipped_flood, degraded_memory + degraded_error, dropped_busy * 100 <= statements
			FROM dbperf.monitor_status}),
	't|0|0|0|0|t',
	'the ring went round all the time, and hardly anything was dropped');

$node->stop;
done_testing();
