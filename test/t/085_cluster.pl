# Many servers: a primary, its standby and a third one of its own, and nodes that
# refuse, hang, do not resolve, or talk nonsense.  Views answer at once whatever
# they do, and an index is dropped only if those who use it were asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

# A double of getaddrinfo() that hangs for names of this kind: a name server that
# is gone.
my $resolver = "$PostgreSQL::Test::Utils::tmp_check/hangs.so";
{
	my $source = "$PostgreSQL::Test::Utils::tmp_check/hangs.c";
	open(my $out, '>', $source) or die $!;
	print $out q{
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		dlsym(RTLD_NEXT, "getaddrinfo");
	if (n && strstr(n, "blackhole"))
		sleep(60);
	return real(n, s, h, r);
}
};
	close($out);
	$resolver = undef
	  if system('cc', '-shared', '-fPIC', '-o', $resolver, $source, '-ldl') != 0;
}

my $settings = q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
max_worker_processes = 16
dbperf.advisor_interval = 0
dbperf.node_poll_interval = 0
};

local $ENV{LD_PRELOAD} = $resolver if defined $resolver;
my $primary = start_node('primary', $settings . q{
dbperf.node_timeout = 4s
listen_addresses = '127.0.0.1'
}, allows_streaming => 1);
delete $ENV{LD_PRELOAD};

my $third = PostgreSQL::Test::Cluster->new('third');
$third->init(extra => [ '-E', 'LATIN1', '--locale=C' ]);
$third->append_conf('postgresql.conf', $settings . "listen_addresses = '127.0.0.1'\n");
$third->start;
$third->safe_psql('postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE ROLE watcher LOGIN PASSWORD 'right' IN ROLE pg_monitor});
unlink $third->data_dir . '/pg_hba.conf';
$third->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
$third->reload;

sql(q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE things (id int PRIMARY KEY, a int, b int);
	INSERT INTO things SELECT g, g, g FROM generate_series(1, 5000) AS g;
	CREATE INDEX things_a ON things (a);
	CREATE INDEX things_b ON things (b);
	CREATE INDEX things_ba ON things (b, a);
	ANALYZE things;
	CREATE ROLE watcher LOGIN PASSWORD 'right' IN ROLE pg_monitor;
	CREATE DATABASE other;
	CREATE EXTENSION postgres_fdw;
});
sql('other', 'CREATE EXTENSION dbperf CASCADE');

# Has all nodes asked; returns how long that took.  A machine that is busy may
# need longer than the function waits.
sub poll_nodes
{
	foreach (1 .. 10)
	{
		my $start = time;

		return time - $start if sql('SELECT dbperf.poll_nodes()') eq 't';
	}
	die 'no round';
}

# Starts the primary anew, with the resolver's double.
sub start_anew
{
	my ($how) = @_;

	$primary->stop($how);
	local $ENV{LD_PRELOAD} = $resolver // '';
	$primary->start;
}

sub server
{
	my ($name, $options, $mapping) = @_;

	sql("CREATE SERVER $name FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options);
		 CREATE USER MAPPING FOR postgres SERVER $name OPTIONS ($mapping);
		 SELECT dbperf.add_node('$name', '$name')");
}

sub status
{
	my ($node, $columns) = @_;

	return sql("SELECT $columns FROM dbperf.node_status WHERE node = '$node'");
}

# What becomes of an index.
sub drop_of
{
	my ($index) = @_;

	return sql("SELECT verdict || ' ' || (ddl IS NOT NULL) || ': ' || evidence
				FROM dbperf.suggest_index_drops('0') WHERE index_name = 'public.$index'");
}

#
# No node
#
is(sql('SELECT count(*) FROM dbperf.node_status'), '0', 'there is no node');
cmp_ok(poll_nodes(), '<', 4, 'asking nobody is done at once');
like(drop_of('things_a'), qr/^drop true: No other server was asked/, 'nobody else uses an index');
like(sql('SELECT string_agg(DISTINCT node, $$ $$) FROM dbperf.cluster_index_usage'),
	qr/^local$/, 'this server is there');

#
# A standby that no node tells of
#
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\n");
$standby->start;
$primary->wait_for_catchup($standby);
like(drop_of('things_a'), qr/^unknown false: 1 of the standbys that are connected is no node\./,
	'a standby that was not asked leaves it unknown');
like(drop_of('things_b'), qr/^unknown false/, 'whatever replaces the index');
like(sql('SELECT dbperf.report()'),
	qr/Another index begins with the same columns\. Replaced by public\.things_ba\. 1 of/,
	'the report says that, too');

#
# A cascading standby is no stand-in for the one in between
#
my ($rc, $out, $err);
my $right = "user 'watcher', password 'right'";
my $cascade = PostgreSQL::Test::Cluster->new('cascade');
$cascade->init_from_backup($primary, 'backup');
$cascade->enable_streaming($standby);
$cascade->set_standby_mode;
$cascade->start;
$standby->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_replication');
server('cascade', "host '" . $cascade->host . "', port '" . $cascade->port . "', dbname 'postgres'",
	"user 'postgres'");
poll_nodes();
is(status('cascade', 'state, same_system'), 'reached|t', 'a cascading standby is a node');
like(drop_of('things_a'),
	qr/^unknown false: Node "cascade" has not scanned it for \d+ min\. 1 of the standbys that are connected is no node\./,
	'but not the standby that is connected');
sql(q{SELECT dbperf.remove_node('cascade')});
$cascade->stop;

#
# All of them reached
#
server('standby', "host '" . $standby->host . "', port '" . $standby->port . "', dbname 'postgres'",
	"user 'postgres'");
server('third', "host '127.0.0.1', port '" . $third->port . "', dbname 'postgres'", $right);
server('myself', "host '" . $primary->host . "', port '" . $primary->port . "', dbname 'postgres'",
	"user 'postgres'");
$third->safe_psql('postgres',
	q{SET client_encoding = 'LATIN1'; SELECT pg_sleep(0.12) AS "} . chr(0xe4) . q{_third"});
poll_nodes();
is(status('standby', 'state, server_role, same_system, database_name, lag_bytes IS NOT NULL, error'),
	'reached|standby|t|postgres|t|', 'a standby is reached');
is(status('third', 'state, server_role, same_system, error'), 'reached|primary|f|',
	'another server is reached with a password');
is(sql('other', "SELECT count(*) FROM dbperf.node_status WHERE state = 'reached'"),
	'3', 'all databases know');
is( sql(q{SELECT count(*) FROM dbperf.cluster_slow_queries
		WHERE node = 'third' AND query LIKE '%ä_third%' AND duration_ms > 100 AND error IS NULL}),
	'1', 'its slow queries are here, in the encoding of this database');
is( sql(q{SELECT count(*) > 0 FROM dbperf.cluster_query_latency
		WHERE node = 'third' AND error IS NULL AND calls > 0}), 't', 'and its latencies');
is( sql(q{SELECT string_agg(node, ' ' ORDER BY node) FROM dbperf.cluster_index_usage
		WHERE index_name = 'things_a'}), 'local myself standby',
	'index use is that of each');
is( sql(q{SELECT string_agg(DISTINCT node, ' ') FROM dbperf.cluster_health
		WHERE error IS NULL AND target = 'query_p95_ms'}),
	'local myself standby third', 'everybody\'s health')
  if sql(q{SELECT to_regclass('dbperf.health') IS NOT NULL}) eq 't';
like(drop_of('things_a'),
	qr/^drop true: Node "standby" has not scanned it for \d+ (min|hours|days)\.$/,
	'all were asked, and none uses it');
like(sql(q{SELECT verdict || ': ' || evidence FROM dbperf.suggest_index_drops('1 day')
		WHERE index_name = 'public.things_b'}),
	qr/^unknown: Node "standby" has not scanned it for 0 min, which is not long enough\.$/,
	'counters of a minute prove nothing');

$standby->safe_psql('postgres',
	'SET enable_seqscan = off; SELECT count(*) FROM things WHERE a = 1; SELECT pg_stat_force_next_flush()');
$standby->safe_psql('postgres',
	'SET enable_seqscan = off; SELECT count(*) FROM things WHERE b = 1;
	 SELECT pg_stat_force_next_flush()');
poll_nodes();
like(drop_of('things_a'), qr/^keep false: Node "standby" has scanned it 1 times\.$/,
	'an index that a replica uses is kept');
is(sql(q{SET ROLE pg_read_all_data;
		SELECT DISTINCT regexp_replace(evidence, '\d+ ', 'n ') FROM dbperf.suggest_index_drops('0')
		WHERE index_name = 'public.things_a'}), 'Node "2" has scanned it n times.',
	'who the nodes are is not for everybody');

# after a crash nothing is known until they were asked
start_anew('immediate');
like(drop_of('things_a'),
	qr/^unknown false: The nodes were not asked since the server was started: see poll_nodes\(\)\./,
	'what nodes said before a crash is not known');
like(sql('other', q{CREATE TABLE lonely (id int); CREATE INDEX lonely_id ON lonely (id);
		SELECT verdict FROM dbperf.suggest_index_drops('0') WHERE index_name = 'public.lonely_id'}),
	qr/^unknown$/, 'nor in another database');
$primary->wait_for_catchup($standby);
poll_nodes();
like(drop_of('things_a'), qr/^keep/, 'they were asked again');

# who is connected is told by address, or by slot
sub reconnect
{
	my ($setting) = @_;

	my $before = sql('SELECT pid FROM pg_stat_replication');
	$standby->safe_psql('postgres', "ALTER SYSTEM SET $setting");
	$standby->reload;
	poll("SELECT count(*) = 1 FROM pg_stat_replication WHERE pid <> $before AND state = 'streaming'
		  AND replay_lsn IS NOT NULL");
}
my $tcp = q{primary_conninfo = 'host=127.0.0.1 user=postgres port=} . $primary->port . q{'};
reconnect($tcp);
like(drop_of('things_a'), qr/^keep .* 1 of the standbys that are connected is no node\.$/,
	'a new connection is nobody\'s');
poll_nodes();
like(drop_of('things_a'), qr/^keep .* is no node\.$/, 'one from another address is not either');
sql(q{ALTER SERVER standby OPTIONS (SET host '127.0.0.1')});
poll_nodes();
like(drop_of('things_a'), qr/^keep .* times\.$/, 'the same address');
sql(q{SELECT pg_create_physical_replication_slot('of_standby')});
reconnect(q{primary_slot_name = 'of_standby'});
sql(q{ALTER SERVER standby OPTIONS (SET host '} . $standby->host . q{')});
poll_nodes();
like(drop_of('things_a'), qr/^keep .* times\.$/, 'the same slot');
reconnect(q{primary_slot_name = ''});
sql(q{SELECT pg_drop_replication_slot('of_standby')});
reconnect(q{primary_conninfo = 'host=} . $primary->host . ' user=postgres port=' . $primary->port . q{'});
poll_nodes();

# another database of the standby is not this one
sql(q{SELECT dbperf.remove_node('standby');
	ALTER SERVER standby OPTIONS (SET dbname 'other');
	SELECT dbperf.add_node('standby', 'standby')});
poll_nodes();
like(drop_of('things_a'),
	qr/^unknown false: Node "standby" is another database of a replica.* 1 of the standbys/,
	'another database of it says nothing of this one');
sql(q{ALTER SERVER standby OPTIONS (SET dbname 'postgres')});
poll_nodes();
like(drop_of('things_a'), qr/^keep/, 'a changed server is taken over');

#
# Nodes that do not answer: each is one row of each view, within the time
#
my $silent = IO::Socket::INET->new(
	Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die $!;
my $closed = IO::Socket::INET->new(
	Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die $!;
my $closed_port = $closed->sockport;
close($closed);
server('silent', "host '127.0.0.1', port '" . $silent->sockport . "'", $right);
server('refused', "host '127.0.0.1', port '$closed_port'", $right);
server('nameless', "host 'no.such.host.invalid'", $right);
server('wrong', "host '127.0.0.1', port '" . $third->port . "', dbname 'postgres'",
	"user 'watcher', password 'not this one'");
server('hanging', "host 'blackhole.invalid'", $right) if defined $resolver;

poll_nodes();    # it may have had to wait for the round of the last add_node()
cmp_ok(poll_nodes(), '<', 10, 'a round ends in time');
like(status('silent', 'state, error'), qr/^unreached\|no connection within 4000 ms$/, 'silent');
like(status('refused', 'state, error'), qr/^unreached\|.*Connection refused/, 'refused');
like(status('nameless', 'state, error'),
	qr/^unreached\|could not translate host name "no.such.host.invalid"|looked up/, 'nameless');
like(status('wrong', 'state, error'), qr/^unreached\|.*password authentication failed/,
	'a wrong password');
SKIP:
{
	skip 'no C compiler', 1 if !defined $resolver;
	like(status('hanging', 'state, error'),
		qr/^unreached\|the host's name could not be looked up within 4000 ms$/,
		'a name server that is gone');
}
is(status('third', 'state'), 'reached', 'others are not held up');
is( sql(q{SELECT count(*) FROM dbperf.cluster_query_latency
		WHERE node = 'refused' AND error LIKE '%refused%' AND queryid IS NULL}),
	'1', 'a node that is not reached is a row');
my $start = time;
sql("SELECT count(*) FROM dbperf.$_")
  foreach qw(cluster_slow_queries cluster_query_latency cluster_index_usage node_status);
cmp_ok(time - $start, '<', 10, 'views answer at once');
like(drop_of('things_b'), qr/^unknown false: .*Node "silent" has never answered\./,
	'one that was never reached may be a replica');
my $log = slurp_file($primary->logfile);
unlike($log, qr/not this one/, 'no password is in the log');
is(sql(q{SELECT count(*) FROM dbperf.node_status AS s WHERE s::text ~ 'right|not this'}),
	'0', 'nor in a view');
sql(join ';', map { "SELECT dbperf.remove_node('$_')" }
	  qw(silent refused nameless wrong hanging));

#
# Hostile ones
#

# Answers each connection with these bytes, in a process of its own.
my @liars;

sub liar
{
	my ($name, $bytes) = @_;
	my $socket = IO::Socket::INET->new(
		Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die $!;
	my $pid = fork // die $!;

	if ($pid == 0)
	{
		local $SIG{PIPE} = 'IGNORE';
		while (my $client = $socket->accept)
		{
			my $request;
			sysread($client, $request, 8);
			syswrite($client, 'N') if $request =~ /\x04\xd2\x16\x2f$/;
			sysread($client, $request, 1000);
			syswrite($client, $bytes->($client));
			1 while sysread($client, $request, 1000);
		}
		POSIX::_exit(0);
	}
	push @liars, $pid;
	server($name, "host '127.0.0.1', port '" . $socket->sockport . "'", $right);
	close($socket);
}

my $welcome = "R\0\0\0\x08\0\0\0\0S\0\0\0\x19server_encoding\0UTF8\0Z\0\0\0\x05I";
require POSIX;
liar('noise', sub { return "HTTP/1.1 400 Bad Request\r\n\r\n" });
liar('columns', sub {
		my ($client) = @_;
		syswrite($client, $welcome);
		sysread($client, my $question, 1000);
		return "T\0\0\0\x06\0\0D\0\0\0\x06\0\0C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
	});
liar('flood', sub {
		my ($client) = @_;
		syswrite($client, $welcome . "T\0\0\0\x1a\0\x01x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
		my $row = "D\0\x01\0\x0a\0\x01\0\x01\0\0" . 'x' x 65536;
		syswrite($client, $row) || last for 1 .. 2000;
		return '';
	});
liar('kerberos', sub { return "R\0\0\0\x08\0\0\0\x07" });
liar('giant', sub { return $welcome . "D\x3f\xff\xff\xff" . 'x' x 10000 });

# An answer of one row.
sub row
{
	my @values = @_;
	my $columns = join '', map { "x\0" . pack('NnNnNn', 0, 0, 25, 0xffff, 0xffffffff, 0) } @values;
	my $data = join '', map { defined $_ ? pack('N/a*', $_) : pack('N', 0xffffffff) } @values;

	return join '', map { $_->[0] . pack('N', length($_->[1]) + 4) . $_->[1] }
	  [ 'T', pack('n', scalar @values) . $columns ], [ 'D', pack('n', scalar @values) . $data ],
	  [ 'C', "SELECT 1\0" ], [ 'Z', 'I' ];
}

# Answers what it is, and then each question for a view with these rows.
sub talker
{
	my ($name, $rows) = @_;

	liar($name, sub {
			my ($client) = @_;
			syswrite($client, $welcome);
			while (sysread($client, my $question, 10000))
			{
				syswrite($client, $question =~ /pg_control_system/
					? row(1, 'f', 'x', 'x', 1, 1, '1.0', 't', undef, undef, undef, '++++', undef, undef, undef)
					: row($rows));
			}
			return '';
		});
}
talker('numbers', '[' . join(',', ('{"queryid": 1, "total_ms": 1, "none": 1e131000}') x 1200) . ']');
talker('long', '[' . join(',', ('[]') x 1300000) . ']');
talker('dates', '[{"id": 7, "started_at": "01/31/2026 10:00:00+00"}]');
poll_nodes();
cmp_ok(poll_nodes(), '<', 10, 'a round with liars ends in time');
like(sql("SELECT string_agg(DISTINCT error, '|') FROM dbperf.node_answers('query_latency')
		WHERE node = '$_'"), qr/^(the answer cannot be read|the node sends more .*)$/,
	"rows that would take much memory: $_")
  foreach qw(numbers long);
is(status('numbers', 'state'), 'reached', 'who sends them is reached');
is( sql(q{SET datestyle = 'ISO, DMY'; SET timezone = 'UTC';
		SELECT id, started_at FROM dbperf.cluster_slow_queries WHERE node = 'dates'}),
	'7|2026-01-31 10:00:00+00', 'what is shown is what was checked');
like(status('noise', 'state, error'), qr/^unreached\|.*received H/, 'no server');
is(status('columns', 'state, error'), 'unreached|the answer cannot be read', 'other columns');
is(status('flood', 'state, error'), 'unreached|the node sends more than it was asked for',
	'a flood of rows');
like(status('giant', 'state, error'), qr/^unreached\|.*cannot allocate memory/,
	'a row of a gigabyte');
like(status('kerberos', 'state, error'), qr/^unreached\|.*GSS/, 'a ticket is not looked for');
is(status('third', 'state'), 'reached', 'others are');
kill 'KILL', @liars;
waitpid $_, 0 foreach @liars;
sql(join ';', map { "SELECT dbperf.remove_node('$_')" } qw(noise columns flood giant numbers long dates kerberos));

# a role that may not see everything
$third->safe_psql('postgres', 'REVOKE pg_monitor FROM watcher');
poll_nodes();
like(sql(q{SELECT error FROM dbperf.cluster_slow_queries WHERE node = 'third'}),
	qr/sees its own statements only/, 'a part of the truth is not shown as the whole');
$third->safe_psql('postgres', 'GRANT pg_monitor TO watcher');

# a server that has the views, with other columns, other types, and too much in them
$third->safe_psql('postgres', q{
	DROP EXTENSION dbperf CASCADE;
	CREATE SCHEMA dbperf;
	GRANT USAGE ON SCHEMA dbperf TO PUBLIC});
poll_nodes();
is(sql(q{SELECT error FROM dbperf.cluster_slow_queries WHERE node = 'third'}),
	'extension dbperf is not installed there', 'a node without the extension says so');
$third->safe_psql('postgres', q{
	SET allow_system_table_mods = on;
	UPDATE pg_extension SET extname = 'dbperf' WHERE extname = 'pg_stat_statements';
	CREATE VIEW dbperf.slow_queries AS SELECT 'no number'::text AS id, now() AS started_at,
		'q'::text AS query, ''::text AS plan, '{}'::text[] AS parameters;
	CREATE VIEW dbperf.query_latency AS SELECT 7 AS queryid, 1.5 AS total_ms, 'x'::text AS more
		UNION ALL SELECT 8, 1, repeat('y', 1000000);
	GRANT SELECT ON dbperf.slow_queries, dbperf.query_latency TO watcher});
poll_nodes();
is(sql(q{SELECT error FROM dbperf.cluster_slow_queries WHERE node = 'third'}),
	'the answer cannot be read', 'a number that is none');
is( sql(q{SELECT queryid, total_ms, calls IS NULL, error
		FROM dbperf.cluster_query_latency WHERE node = 'third'}),
	'7|1.5|t|', 'columns that are missing, one too many, and a row that is too long');
is(sql(q{SELECT error FROM dbperf.node_answers('health') WHERE node = 'third'}),
	'the release of dbperf that is installed there has no such view', 'a view that is missing');
$third->safe_psql('postgres', q{
	CREATE VIEW dbperf.health AS SELECT pg_sleep(30)::text AS target;
	GRANT SELECT ON dbperf.health TO watcher});
poll_nodes();
is( sql(q{SELECT queryid, total_ms, error FROM dbperf.cluster_query_latency WHERE node = 'third'}),
	'7|1.5|', 'a view that takes too long: the others have answered');
like(sql(q{SELECT error FROM dbperf.node_answers('health') WHERE node = 'third'}),
	qr/^(no answer within 4000 ms|canceling statement due to statement timeout)$/,
	'and its error says so');
is(status('third', 'state'), 'reached', 'and the node is reached');
$third->safe_psql('postgres', 'DROP VIEW dbperf.health');

#
# Whose identity
#
sql(q{
	CREATE ROLE plain LOGIN;
	GRANT USAGE ON FOREIGN SERVER third, standby TO plain;
	GRANT EXECUTE ON FUNCTION dbperf.add_node(text, text), dbperf.remove_node(text) TO plain;
	CREATE USER MAPPING FOR plain SERVER third OPTIONS (user 'watcher', password 'right');
	CREATE USER MAPPING FOR plain SERVER standby OPTIONS (user 'postgres', password 'none')});

sub as_plain
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $primary->psql('postgres', $sql, extra_params => [ '-U', 'plain' ]);

	return $err ne '' ? $err : $out;
}
is(as_plain(q{SELECT dbperf.add_node('plains', 'third')}), '', 'a role may add a node');
as_plain(q{SELECT dbperf.add_node('borrowed', 'standby')});
poll_nodes();
is(status('plains', 'state, role_name'), 'reached|plain', 'its own mapping is used');
like(status('borrowed', 'state, error'),
	qr/^unreached\|the node does not ask for a password/,
	'what the server trusts is not lent');
is(as_plain(q{SELECT dbperf.remove_node('third')}), 'f', 'others\' nodes stay');
like(as_plain(q{INSERT INTO dbperf.nodes (name, server_name) VALUES ('x', 'third')}),
	qr/permission denied for table nodes/, 'the table is not for everybody');
sql(q{GRANT INSERT ON dbperf.nodes TO plain});
like(as_plain(
		q{INSERT INTO dbperf.nodes (name, server_name, role_name) VALUES ('x', 'third', 'postgres')}),
	qr/permission denied to add a node for role "postgres"/, 'nor is a superuser\'s mapping');
like(as_plain('SELECT * FROM dbperf.node_status'), qr/permission denied/, 'nor what nodes say');
sql(q{GRANT EXECUTE ON FUNCTION dbperf.node_answers(text) TO plain});
is( as_plain(q{SELECT error, answer FROM dbperf.node_answers('query_latency') WHERE node = 'third'}),
	'shown to members of pg_read_all_stats only|', 'nor other roles\' statements');
($rc, $out, $err) = $primary->psql('other', q{SELECT dbperf.add_node('third', 'third')});
like($err, qr/nodes can only be changed in database "postgres"/, 'other databases have no nodes');
sql(q{REVOKE USAGE ON FOREIGN SERVER third FROM plain});
poll_nodes();
like(status('plains', 'state, error'), qr/^unreached\|permission denied for foreign server third$/,
	'a right that is gone counts at once');
is(as_plain(q{SELECT dbperf.remove_node('plains')}), 't', 'it may remove its own');
sql(q{SELECT dbperf.remove_node('borrowed')});

#
# More nodes than there is room for
#
set('dbperf.max_nodes = 1');
start_anew('fast');
$primary->wait_for_catchup($standby);
poll_nodes();
like(drop_of('things_a'), qr/Nodes beyond dbperf.max_nodes are not asked: there are 2\./,
	'nodes for which there is no room');
poll_nodes();
is(count_in_log(qr/LOG:  2 nodes are not asked/), 1, 'it is logged once');
set('dbperf.max_nodes = 32');
start_anew('fast');
$primary->wait_for_catchup($standby);
poll_nodes();

#
# A replica that is gone
#
like(drop_of('things_a'), qr/^keep/, 'the standby is asked still');
$standby->stop('immediate');
poll_nodes();
like(drop_of('things_a'), qr/^unknown false: Node "standby" does not answer\.$/,
	'with the standby gone nobody knows');
is(status('standby', 'state, server_role, same_system'), 'unreached|standby|t',
	'what it was is remembered');

#
# The worker leaves when it shall, also while it waits for a name
#
SKIP:
{
	skip 'no C compiler', 6 if !defined $resolver;
	my $hangs = q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'dbperf node poller' AND query = 'asking the nodes'};

	# A container's first process is the postmaster, which reaps what others leave
	# behind; one that was killed would be a crashed backend for it.
	$primary->stop('fast');
	my $init = fork // die $!;
	if ($init == 0)
	{
		local $ENV{LD_PRELOAD} = $resolver;
		open(STDOUT, '>>', $primary->logfile) or die $!;
		open(STDERR, '>&', \*STDOUT) or die $!;
		# prctl(PR_SET_CHILD_SUBREAPER, 1), where the number is known
		syscall(157, 36, 1, 0, 0, 0) if `uname -m` =~ /^x86_64/;
		exec $primary->config_data('--bindir') . '/postgres', '-D', $primary->data_dir
		  or POSIX::_exit(1);
	}
	poll_ok('SELECT true', 'the postmaster reaps orphans');
	$primary->_update_pid(1);
	sql(q{SELECT dbperf.add_node('hanging', 'hanging')});
	poll_nodes();
	like(status('hanging', 'error'), qr/looked up within/, 'a look-up is given up');
	sql(q{SELECT dbperf.remove_node('hanging')});

	sql('CREATE DATABASE spare');
	set('dbperf.node_timeout = 60000', q{dbperf.database = 'spare'});
	sql('spare', q{
		CREATE EXTENSION dbperf CASCADE;
		CREATE EXTENSION postgres_fdw;
		CREATE SERVER hanging FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'blackhole.invalid');
		CREATE USER MAPPING FOR postgres SERVER hanging OPTIONS (user 'watcher');
		SELECT dbperf.add_node('hanging', 'hanging')});
	poll_ok($hangs, 'a round hangs');
	$start = time;
	sql('DROP DATABASE spare');
	cmp_ok(time - $start, '<', 10, 'its database can be dropped');

	set(q{dbperf.database = 'postgres'});
	sql(q{SELECT dbperf.add_node('hanging', 'hanging')});
	poll_ok($hangs, 'another one hangs');
	$start = time;
	$primary->stop('fast');
	cmp_ok(time - $start, '<', 30, 'the server stops nevertheless');
	waitpid $init, 0;
}
$_->stop foreach $third;
unlike(slurp_file($_->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed')
  foreach $primary, $third;

done_testing();
