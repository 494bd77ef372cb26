
=pod

=head1 NAME

DbperfTest - what the TAP tests of dbperf share

=head1 SYNOPSIS

  use FindBin;
  use lib "$FindBin::RealBin/../perl";
  use DbperfTest;

  my $node = start_node('main', q{dbperf.maintenance_naptime = 1s});
  sql('CREATE EXTENSION dbperf CASCADE');
  plant('orders', rows => 20000);
  set('dbperf.maintenance = on');
  log_is(q{object = 'public.orders' AND outcome = 'done'}, 'count(*) > 0', 'it is vacuumed');
  nothing_crashed();

=head1 DESCRIPTION

Most tests are about one server: the one that start_node() has made last, which
all other functions mean.  What is left out is PostgreSQL::Test::Cluster's:
start_node() returns one of its objects.

Statements go to database "postgres" unless another one is named, in front of
the statement as for psql.  One that fails ends the test.

=cut

package DbperfTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_node sql poll poll_ok log_is set plant count_in_log nothing_crashed);

my $node;

# What every server has, before a test's own settings.  Autovacuum, the advisor,
# the sampler of metrics and estimates would do things that a test has not asked for.
my $settings = q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
max_worker_processes = 16
dbperf.advisor_interval = 0
dbperf.estimates_interval = 0
dbperf.metrics_interval = 0
};

=pod

=head1 FUNCTIONS

=over

=item start_node(NAME, SETTINGS, [INIT OPTIONS])

Makes and starts a server with these lines in postgresql.conf and these
options of init(), such as allows_streaming => 1.  Returns it.

=cut

sub start_node
{
	my ($name, $own, %options) = @_;

	$node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '-E', 'UTF8', '--locale=C' ], %options);
	$node->append_conf('postgresql.conf', $settings . $own);
	$node->start;
	return $node;
}

=pod

=item sql([DATABASE,] SQL)

Runs statements and returns their output.

=cut

sub sql
{
	my $sql = pop;
	my ($database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

=pod

=item poll([DATABASE,] QUERY)

Waits until the query says true.  Returns whether it did in time.

=item poll_ok(QUERY, NAME)

The same as a test.

=cut

sub poll
{
	my $query = pop;
	my ($database) = @_;

	return $node->poll_query_until($database // 'postgres', $query);
}

sub poll_ok
{
	my ($query, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok(poll($query), $name);
}

=pod

=item log_is(CONDITION, EXPRESSION, NAME)

Tests that the expression becomes true, of those rows of the maintenance log
that meet the condition.  An aggregate in it sees all of them at once, and may
do so late: count(*) > 1 stays true, count(*) = 1 need not.

=cut

sub log_is
{
	my ($condition, $expression, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return poll_ok("SELECT $expression FROM dbperf.maintenance_log WHERE $condition", $name);
}

=pod

=item set(SETTING...)

Changes settings of the server, each as in "name = value".  Sessions and workers
that are new have them when it returns, others a moment later.

=cut

sub set
{
	my $before = sql('SELECT pg_conf_load_time()');

	sql("ALTER SYSTEM SET $_") foreach @_;
	$node->reload;
	poll("SELECT pg_conf_load_time() > '$before'") or die 'the server does not reload';
	return;
}

=pod

=item plant(TABLE, [rows => 5000, width => 100, database => 'postgres'])

Makes a table with a primary key that has as many dead rows as live ones, of
that many bytes, and has the statistics system know it.  Others see all of that
at once: maintenance does not begin with a table that is half done.

=cut

sub plant
{
	my ($table, %options) = @_;
	my $rows = $options{rows} // 5000;
	my $width = $options{width} // 100;

	sql(
		$options{database}, qq{
		BEGIN;
		CREATE TABLE $table (id int PRIMARY KEY, note text);
		INSERT INTO $table SELECT g, repeat('x', $width) FROM generate_series(1, $rows) AS g;
		UPDATE $table SET note = repeat('y', $width);
		SELECT pg_stat_force_next_flush();
		COMMIT;});
	return;
}

=pod

=item count_in_log(PATTERN)

How often that is in the server's log.

=cut

sub count_in_log
{
	my ($pattern) = @_;
	my $count = () = slurp_file($node->logfile) =~ /$pattern/g;

	return $count;
}

=pod

=item nothing_crashed([EXPECTED])

Stops the server and tests that none of its processes has died in all the time,
apart from lines of the log that match.

=cut

sub nothing_crashed
{
	my ($expected) = @_;
	my $log;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->stop;
	$log = slurp_file($node->logfile);
	$log =~ s/^.*$expected.*$//mg if defined $expected;
	return unlike($log, qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
}

=pod

=back

=cut

1;
