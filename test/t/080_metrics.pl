# Metrics for Prometheus: whatever names there are, and while histograms are given
# to other queries; and what comes with them for Prometheus and its exporters.

use strict;
use warnings;

use Encode ();
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $promtool = $ENV{DBPERF_PROMTOOL} // '/usr/bin/promtool';
my $there = -x $promtool;
my $files = 'scripts/prometheus';

# exporters ask for it
$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
dbperf.maintenance = off
dbperf.advisor_interval = 0
dbperf.max_queries = 1000
dbperf.slow_query_min_duration = -1
dbperf.metrics_top_queries = 200
});
$node->start;

# promtool SUBJECT ARGUMENTS...: fails with what it says unless it is content.
sub promtool
{
	my ($name, $input, @arguments) = @_;
	my ($out, $err);

  SKIP:
	{
		skip 'there is no promtool', 1 unless $there;
		my $ok = IPC::Run::run([ $promtool, @arguments ], '<', \$input, '>', \$out, '2>', \$err);
		ok($ok, $name) or diag("$out$err");
	}
	return;
}

# The text, as bytes.
sub exposition
{
	my ($database) = @_;
	my ($out, $err);

	my $ok = IPC::Run::run(
		[ 'psql', '-XAtq', '-d', $node->connstr($database), '-c', 'SELECT dbperf.prometheus()' ],
		'>', \$out, '2>', \$err);
	die $err unless $ok;
	return $out;
}

#
# Names in databases of all kinds
#
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');
$node->safe_psql(
	'postgres', q{
	CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0;
	CREATE DATABASE win ENCODING 'WIN1252' TEMPLATE template0;
	CREATE DATABASE kanji ENCODING 'EUC_JP' TEMPLATE template0;
	CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0;
});
my $hostile = qq{in"q\\uot\\\\es{a="b",} 1\n# TYPE \xc3\xa9};
(my $quoted = $hostile) =~ s/"/""/g;
$node->safe_psql('postgres', qq{CREATE DATABASE "$quoted"; CREATE ROLE "$quoted"});
{
	# bytes that are no UTF-8, and one that Windows does not use
	local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
	$node->safe_psql('bytes', qq{CREATE ROLE "bad\xff\xc3"; CREATE ROLE "bad\xff\xfe"; CREATE ROLE "win\x81"});
	$node->safe_psql('bytes', qq{SET ROLE "bad\xff\xc3"; SELECT 1; SET ROLE "bad\xff\xfe"; SELECT 1});
	$node->safe_psql('bytes', qq{SET ROLE "win\x81"; SELECT 1});
}
foreach my $database ('postgres', 'latin', 'win', 'kanji', 'bytes', $hostile)
{
	$node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS dbperf CASCADE')
	  if $database ne 'postgres';
	$node->safe_psql($database, qq{SET ROLE "$quoted"; SELECT 'mine'})
	  if $database =~ /^(postgres|in)/;
}
foreach my $database ('postgres', 'latin', 'win', 'kanji', 'bytes', $hostile)
{
	my $text = exposition($database);
	my $name = $database eq $hostile ? 'a hostile name' : $database;
	my @families = $text =~ /^# TYPE (\S+)/mg;
	my %seen;

	$seen{$_}++ foreach $text =~ /^([a-z0-9_]+(?:\{(?:[^"\n]|"(?:[^"\\\n]|\\.)*")*\})?) /mg;
	ok(eval { Encode::decode('UTF-8', my $copy = $text, Encode::FB_CROAK); 1 },
		"$name: it is UTF-8");
	is(scalar(grep { $_ > 1 } values %seen), 0, "$name: no series is there twice");
	is("@families", join(' ', sort @families), "$name: the order is that of names");
	like($text, qr/^dbperf_query_duration_seconds_count\{.*role="bad[^"]+"\} 1$/m,
		"$name: a name of bytes is a name");
	promtool("$name: Prometheus understands it", $text, 'check', 'metrics');
}
like(
	exposition('postgres'),
	qr/database="in\\"q\\\\uot\\\\\\\\es\{a=\\"b\\",\} 1\\n# TYPE \xc3\xa9",role="in\\"q/,
	'a hostile name is a value');
like(exposition('bytes'), qr/role="bad\xef\xbf\xbd\xef\xbf\xbd"/, 'what is no character is U+FFFD');
like(exposition('win'), qr/role="win\?"/, 'or a question mark');

#
# Counters do not go down while queries take each other's place
#
$node->safe_psql('postgres', 'SELECT dbperf.query_latency_reset()');

sub counted
{
	# who looks is not to be counted
	local $ENV{PGOPTIONS} = '-c dbperf.track=none';
	return $node->safe_psql('postgres',
		q{SELECT value FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_count'});
}

# Statements that all have another query id, in one message.
sub distinct
{
	my ($from, $to) = @_;

	return join('\;',
		map { my $n = $_; 'SELECT 1' . join('', map { ($n >> $_) & 1 ? '+1' : '-1' } 0 .. 12) }
		  $from .. $to) . ";\n";
}

# Those that take the places have few executions, those that lose them many: so a
# look that misses what is on its way sees less than the one before.
my $before = counted();
my $script = $node->basedir . '/distinct';
my @churn;
append_to_file("$script.many", distinct(0, 999) x 40);
command_ok(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-o', '/dev/null', '-f', "$script.many" ],
	'queries with many executions');
foreach my $half (0, 1)
{
	my $from = 1000 + $half * 3500;

	append_to_file("$script.$half", distinct($from, $from + 3499));
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		$ENV{PGAPPNAME} = 'churn';
		exec('psql', '-XAtq', '-d', $node->connstr('postgres'), '-o', '/dev/null', '-f',
			"$script.$half")
		  or POSIX::_exit(1);
	}
	push @churn, $pid;
}
my $looks = $node->safe_psql(
	'postgres', q{
	SET dbperf.metrics_top_queries = 0;
	CREATE TEMP TABLE looks (n int, falls int);
	DO $$
	DECLARE
		count float8;
		last float8 := 0;
		looks int := 0;
		falls int := 0;
		seen bool := false;
		running bool;
	BEGIN
		LOOP
			SELECT value INTO count FROM dbperf.metrics()
			 WHERE name = 'dbperf_statement_duration_seconds_count';
			looks := looks + 1;
			falls := falls + (count < last)::int;
			last := count;
			PERFORM pg_stat_clear_snapshot();
			running := EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'churn');
			EXIT WHEN seen AND NOT running OR clock_timestamp() > now() + interval '1 minute';
			seen := seen OR running;
		END LOOP;
		INSERT INTO looks VALUES (looks, falls);
	END$$;
	SELECT n, falls FROM looks});
waitpid($_, 0) foreach @churn;
like($looks, qr/^[1-9]\d*\|0$/, 'the count of statements never fell');
is(counted() - $before, 40 * 1000 + 7000 + 4, 'all were counted');
cmp_ok(
	$node->safe_psql('postgres',
		q{SELECT value FROM dbperf.metrics WHERE name = 'dbperf_queries_evicted_total'}),
	'>', 3000, 'although most have lost their histogram');
$node->safe_psql('postgres', 'SELECT dbperf.query_latency_reset()');
cmp_ok(counted(), '<', 10, 'a reset begins anew');

#
# What exporters ask
#
$node->safe_psql('postgres', 'CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
my @labels = split /\n/, $node->safe_psql('postgres',
	'SELECT DISTINCT jsonb_object_keys(labels) FROM dbperf.metrics');
foreach my $exporter (qw(postgres_exporter sql_exporter))
{
	my $config = slurp_file("$files/$exporter.yml");
	my ($query) = $config =~ /query: \|\n((?:\s+\S.*\n)+?\s+FROM dbperf\.metrics\n)/;
	my @known = $query =~ /AS "(\w+)"/g;
	my %known = map { $_ => 1 } @known;

	is(join(' ', grep { !$known{$_} } @labels), '', "$exporter: all labels are known");
	if ($exporter eq 'sql_exporter')
	{
		my ($keys) = $config =~ /key_labels: \[(.*)\]/;
		is($keys, join(', ', 'metric', @known), "$exporter: and handed on");
	}
	else
	{
		my @handed = $config =~ /- (\w+):\n\s+usage: LABEL/g;
		is("@handed", "metric @known", "$exporter: and handed on");
	}
	cmp_ok(
		$node->safe_psql('postgres', "SELECT count(*) FROM ($query) AS q",
			extra_params => [ '-U', 'watcher' ]),
		'>', 50, "$exporter: its query works for a member of pg_monitor");
}

#
# Rules and configuration
#
promtool('the configuration is right', '', 'check', 'config', "$files/prometheus.yml");
promtool('the alert rules are right', '', 'check', 'rules', "$files/alerts.yml");
promtool('alerts come when they should', '', 'test', 'rules', "$files/alerts_test.yml");

my $rules = slurp_file("$files/alerts.yml");
my @alerts = $rules =~ /- alert: (\w+)/g;
my @next = $rules =~ /^\s+next: "(.*)"$/mg;
is(scalar(@next), scalar(@alerts), 'each alert has a next statement');
while (my ($i, $statement) = each @next)
{
	$statement =~ s/\{\{.*?\}\}/x/g;
	my ($rc, $out, $err) = $node->psql('postgres', $statement);
	is($rc, 0, "$alerts[$i]: it can be run") or diag($err);
}

$node->stop;
done_testing();
