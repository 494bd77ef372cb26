# Statements, plans and parameters of any size: none fails, none takes much
# longer than without dbperf, records keep within the limits, and afterwards
# the backend is as small as before.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('limits');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
max_stack_depth = 2MB
autovacuum = off
fsync = off
jit = off
log_statement = none
log_min_error_statement = panic
});
$node->start;
$node->safe_psql('postgres', '
CREATE EXTENSION dbperf CASCADE;
CREATE TABLE t (id int, v text);
CREATE FUNCTION big_jsonb() RETURNS jsonb LANGUAGE sql AS
	$$ SELECT jsonb_object_agg(i, repeat(\'y\', 100)) FROM generate_series(1, 100000) AS i $$;
');

my $mb = $ENV{DBPERF_SHORT} ? 40 : 100;
my $dir = $node->basedir;

# What a process occupies beyond its shared memory, in kB.
sub private_memory
{
	my ($pid) = @_;
	my $kb = 0;

	foreach my $line (split /\n/, slurp_file("/proc/$pid/status"))
	{
		$kb += $1 if $line =~ /^RssAnon:\s+(\d+) kB/;
	}
	return $kb;
}

# A session that runs scripts, one after the other.
my ($in, $out, $err) = ('', '', '');
my $timer = IPC::Run::timeout(10 * $PostgreSQL::Test::Utils::timeout_default);
my $session =
  IPC::Run::start([ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err, $timer);

sub run_here
{
	my ($sql) = @_;

	$out = $err = '';
	$in .= "$sql\n;\n\\echo -- done\n\\warn -- done\n";
	$session->pump until $out =~ /^-- done\n/m && $err =~ /^-- done\n/m;
	my ($result, $error) = ($out, $err);
	$result =~ s/^-- done\n//m;
	$error =~ s/^-- done\n//m;
	chomp $result;
	return ($result, $error);
}

my ($pid) = run_here('SELECT pg_backend_pid()');
run_here('SET client_min_messages = error');

my $contexts = 'SELECT sum(total_bytes) FROM pg_catalog.pg_backend_memory_contexts';

# limit NAME, SQL, CONDITION: SQL must succeed, and its record, which is the
# last one of a statement of this session that has the mark /* NAME */, must
# meet the condition.
sub limit
{
	my ($name, $sql, $condition, %opt) = @_;
	my $file = "$dir/limit.sql";
	my %took;
	my %memory;
	my %contexts;

	unlink $file;
	append_to_file($file, $sql);
	$memory{before} = private_memory($pid);
	($contexts{before}) = run_here($contexts);
	foreach my $enabled ('off', 'on')
	{
		run_here("SET dbperf.enabled = $enabled");
		my $start = time;
		my ($out, $err) = run_here("\\i $file");
		my $took = time - $start;

		$took{$enabled} = $took;
		run_here('SELECT 1');
		($contexts{$enabled}) = run_here($contexts);
		$memory{$enabled} = private_memory($pid);
		if ($opt{fails})
		{
			like($err, $opt{fails}, "$name: fails in the server's own way, dbperf $enabled")
			  if $enabled eq 'on';
		}
		else
		{
			is(substr($err, 0, 500), '', "$name: no error") if $err ne '' || $enabled eq 'on';
		}
	}
	# something else may have held it up
	for (1 .. 3)
	{
		last if $took{on} < 3 * $took{off} + 1;
		my $start = time;
		run_here("\\i $file");
		$took{on} = time - $start;
	}
	cmp_ok($took{on}, '<', 3 * $took{off} + 1,
		sprintf('%s: takes about as long as without (%.3f, %.3f s)', $name, $took{on}, $took{off}));
	my ($ok) = $node->safe_psql('postgres', qq{
		SET dbperf.slow_query_min_duration = -1;
		SELECT CASE WHEN $condition THEN 'right' ELSE
			concat_ws(E'\\n', query_length, octet_length(query), command, sqlstate, octet_length(plan),
				octet_length(parameters::text), left(query, 200), left(plan, 200),
				left(parameters::text, 200)) END
		FROM dbperf.slow_queries
		WHERE pid = $pid AND query LIKE '%/* limit%' ORDER BY id DESC LIMIT 1});
	is($ok, 'right', "$name: the record");
	cmp_ok($contexts{on}, '<', $contexts{off} + 512 * 1024,
		"$name: memory contexts are as before ($contexts{before}, $contexts{off}, $contexts{on})");
	cmp_ok($memory{on}, '<', 1.25 * $memory{off} + 16 * 1024,
		"$name: memory goes back ($memory{before}, $memory{off}, $memory{on} kB)");
	is($node->safe_psql('postgres', 'SELECT dropped_memory + degraded_memory FROM dbperf.monitor_status'),
		'0', "$name: no memory was missing");
	$node->safe_psql('postgres', 'SELECT dbperf.slow_queries_reset()');
	return;
}

my $within = 'octet_length(query) <= 16384 AND coalesce(octet_length(plan), 0) <= 65536';

# warm up: caches of what is used below
run_here('SELECT count(*) FROM t WHERE id = 1 AND v = \'x\'; EXPLAIN SELECT 1 UNION ALL SELECT 2');

limit("a statement of $mb MB",
	"SELECT /* limit */ length('" . ('x' x ($mb * 1024 * 1024)) . "')",
	"$within AND query_length > $mb * 1024 * 1024 AND sqlstate IS NULL");

limit('a statement of many characters of several bytes',
	"SELECT /* limit */ length('" . ("\xc3\xa4\xe2\x82\xac" x (1024 * 1024)) . "')",
	"$within AND query_length > 5 * 1024 * 1024");

limit("a statement of $mb MB that fails",
	"SELECT /* limit */ nothing('" . ('x' x ($mb * 1024 * 1024)) . "')",
	"$within AND query_length > $mb * 1024 * 1024 AND sqlstate = '42883'",
	fails => qr/nothing/);

# flat, or the server itself would run out of stack
my $branches = join ' UNION ALL ', map {
	my $n = $_;
	'(' . join(' UNION ALL ', map { "SELECT id FROM t WHERE id <> $n$_" } 10 .. 109) . ')';
} 1 .. 100;
limit(
	'a plan of 10,000 nodes',
	"SELECT /* limit */ count(*) FROM ($branches) AS u",
	"$within AND plan IS NOT NULL AND sqlstate IS NULL");

limit('a list of 100,000 constants',
	'SELECT /* limit */ count(*) FROM t WHERE id IN (' . join(',', 1 .. 100000) . ')',
	"$within AND plan IS NOT NULL");

limit('1,000 parameters',
	'PREPARE p1 AS SELECT /* limit */ ' . join('+', map { "\$$_\::int" } 1 .. 1000) . ";\n"
	  . 'EXECUTE p1 (' . join(',', 1 .. 1000) . ");\nDEALLOCATE p1",
	"$within AND command = 'SELECT' AND cardinality(parameters) = 1000 AND parameters[1000] = '1000'");

limit('a bytea of 200 MB as parameter',
	"PREPARE p2 (bytea) AS SELECT /* limit */ length(\$1);\n"
	  . "EXECUTE p2 (convert_to(repeat('x', 200 * 1024 * 1024), 'UTF8'));\nDEALLOCATE p2",
	"$within AND octet_length(parameters::text) < 4096 AND cardinality(parameters) = 1");

limit('a text of 100 MB as parameter',
	"PREPARE p3 (text) AS SELECT /* limit */ length(\$1);\n"
	  . "EXECUTE p3 (repeat(chr(228), 50 * 1024 * 1024));\nDEALLOCATE p3",
	"$within AND octet_length(parameters::text) < 4096 AND cardinality(parameters) = 1");

limit('jsonb and array parameters',
	"PREPARE p4 (jsonb, int[], text[]) AS SELECT /* limit */ jsonb_typeof(\$1), cardinality(\$2), cardinality(\$3);\n"
	  . "EXECUTE p4 (big_jsonb(), array_fill(7, ARRAY[1000000]), ARRAY['a', NULL, 'b \"c\"']);\n"
	  . 'DEALLOCATE p4',
	"$within AND octet_length(parameters::text) < 8192 AND cardinality(parameters) = 3");

limit("a constant of $mb MB folded in the planner",
	"SELECT /* limit */ count(*) FROM t WHERE v = repeat('x', $mb * 1024 * 1024)",
	"$within AND plan IS NOT NULL");

limit('an array constant of a million',
	'SELECT /* limit */ count(*) FROM t WHERE id = ANY (array_fill(7, ARRAY[1000000]))',
	"$within AND plan IS NOT NULL");

limit('an expression that is nested deeply',
	'SELECT /* limit */ ' . ('(1 + ' x 2000) . 'random()' . (')' x 2000),
	"$within AND sqlstate IS NULL");

limit('subqueries that are nested deeply',
	'SELECT /* limit */ count(*) FROM ' . ('(SELECT * FROM ' x 300) . 't' . (' OFFSET 0) AS q' x 300),
	"$within AND plan IS NOT NULL");

limit('parentheses that are nested too deeply',
	'SELECT /* limit */ ' . ('abs(' x 100000) . '1' . (')' x 100000),
	"$within AND sqlstate IN ('54001', '42601')",
	fails => qr/stack depth limit exceeded|memory exhausted/);

limit('a comment of many tags',
	"SELECT /* limit */ 1 /*" . join(',', map { "k$_='v$_'" } 1 .. 20000) . '*/',
	"$within AND coalesce(octet_length(tags::text), 0) < 16384");

$in .= "\\q\n";
$session->finish;

# ---- names ----

my $name = 'r' . ("\xc3\xa4" x 31);
$node->safe_psql('postgres', "CREATE ROLE \"$name\" LOGIN SUPERUSER");
{
	local $ENV{PGAPPNAME} = "\xff\xfe bad \x80 name \xc3";
	local $ENV{PGUSER} = $name;
	is($node->safe_psql('postgres', 'SELECT /* names */ 1'), '1', 'a name with an invalid encoding');
}
is( $node->safe_psql(
		'postgres', q{SELECT octet_length(user_name), application_name LIKE '%bad%name%'
			FROM dbperf.slow_queries WHERE query LIKE '%/* names */%' AND pid <> pg_backend_pid()}),
	'63|t',
	'invalid application_name, and a role name of 63 bytes');
{
	local $ENV{PGAPPNAME} = 'a' x 300;
	$node->safe_psql('postgres', 'SELECT /* long name */ 1');
	$node->safe_psql('postgres', "SET application_name = '" . ("\xc3\xa4" x 100) . "'; SELECT /* long name 2 */ 1");
}
is( $node->safe_psql(
		'postgres', q{SELECT count(*), bool_and(octet_length(application_name) <= 63)
			FROM dbperf.slow_queries WHERE query LIKE 'SELECT /* long name%'}),
	'2|t',
	'a long application_name');

# Bytes that are no text at all: an error of the server's, and no harm.
my ($ret, $stdout, $stderr) = $node->psql('postgres', "SELECT '\xff\xfe'");
isnt($ret, 0, 'a statement with an invalid encoding fails');
like($stderr, qr/invalid byte sequence/, 'in the usual way');

is($node->safe_psql('postgres', 'SELECT count(*) >= 0 FROM dbperf.slow_queries'),
	't', 'all records can be shown');
is( $node->safe_psql('postgres', 'SELECT count(*) >= 0 FROM dbperf.query_samples'),
	't', 'and all samples');
is( $node->safe_psql(
		'postgres', q{SELECT statements = records_written + dropped_busy + dropped_too_large +
			dropped_memory + skipped_flood FROM dbperf.monitor_status}),
	't',
	'each statement is accounted for');

$node->stop;
done_testing();
