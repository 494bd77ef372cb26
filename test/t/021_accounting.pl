# With slow_query_min_duration = 0 each statement that a client sends has
# exactly one record, or is counted as dropped or skipped, however it ends.
#
# The statements are sent by a small client that speaks the protocol itself:
# so the test knows what was sent, and can send what no other client would.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A connection over the unix socket, without authentication.
package Client;

use IO::Socket::UNIX;

sub new
{
	my ($class, $node, %settings) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $self = bless { buffer => '' }, $class;
	my $options = join ' ', map { "-c $_=$settings{$_}" } sort keys %settings;
	my $body = pack('N', 196608) . join '',
	  map { "$_\0" } ('user', $node->{superuser}, 'database', 'postgres', 'options', $options, '');

	$self->{socket} = IO::Socket::UNIX->new(Peer => $path) or die "connect $path: $!";
	$self->{socket}->syswrite(pack('N', length($body) + 4) . $body);
	$self->wait;
	return $self;
}

sub send
{
	my ($self, $type, $body) = @_;
	my $message = $type . pack('N', length($body) + 4) . $body;

	# the server may have ended the connection
	local $SIG{PIPE} = 'IGNORE';
	while ($message ne '')
	{
		my $done = $self->{socket}->syswrite($message) // return;
		substr($message, 0, $done) = '';
	}
	return;
}

sub receive
{
	my ($self) = @_;

	while (length($self->{buffer}) < 5
		|| length($self->{buffer}) < 1 + unpack('x N', $self->{buffer}))
	{
		return unless $self->{socket}->sysread($self->{buffer}, 65536, length $self->{buffer});
	}
	my ($type, $len) = unpack('a N', $self->{buffer});
	my $body = substr($self->{buffer}, 5, $len - 4);
	substr($self->{buffer}, 0, $len + 1) = '';
	return ($type, $body);
}

# Reads until the server is ready again; returns the rows.
sub wait
{
	my ($self) = @_;
	my @rows;

	while (my ($type, $body) = $self->receive)
	{
		last if $type eq 'Z';
		if ($type eq 'K')
		{
			$self->{pid} = unpack('N', $body);
		}
		elsif ($type eq 'E')
		{
			push @{ $self->{errors} }, $body =~ /\0C([^\0]*)/;
		}
		elsif ($type eq 'D')
		{
			my ($n, @row) = unpack('n (N/a)*', $body);
			push @rows, \@row;
		}
		elsif ($type eq 'G')
		{
			if (defined $self->{copy})
			{
				$self->send('d', $self->{copy});
				$self->send('c', '');
			}
			else
			{
				$self->send('f', "no data\0");
			}
		}
	}
	return @rows;
}

# Simple protocol.
sub query
{
	my ($self, $sql) = @_;

	$self->send('Q', "$sql\0");
	return $self->wait;
}

# Extended protocol.
sub parse
{
	my ($self, $name, $sql) = @_;
	$self->send('P', "$name\0$sql\0" . pack('n', 0));
	return $self;
}

sub bind
{
	my ($self, $portal, $name, @values) = @_;
	$self->send('B',
		"$portal\0$name\0" . pack("n n", 0, scalar @values)
		  . join("", map { pack("N/a*", $_) } @values)
		  . pack("n", 0));
	return $self;
}

sub execute
{
	my ($self, $portal, $max) = @_;
	$self->send('E', "$portal\0" . pack('N', $max // 0));
	return $self;
}

sub close_portal
{
	my ($self, $portal) = @_;
	$self->send('C', "P$portal\0");
	return $self;
}

sub sync
{
	my ($self) = @_;
	$self->send('S', '');
	return $self->wait;
}

# Parse to Sync of one statement.
sub extended
{
	my ($self, $sql, @values) = @_;
	return $self->parse('', $sql)->bind('', '', @values)->execute('')->sync;
}

sub quit
{
	my ($self) = @_;
	$self->send('X', '');
	$self->{socket}->close;
	return;
}

package main;

my $node = PostgreSQL::Test::Cluster->new('accounting');
$node->{superuser} = 'postgres';
$node->init(extra => [ '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.slow_query_ring_entries = 16384
dbperf.slow_query_ring_size = 64MB
max_prepared_transactions = 5
autovacuum = off
fsync = off
lc_messages = 'C'
});
$ENV{PGUSER} = 'postgres';
$node->start;

# The one that looks is not counted itself.
my $observer = Client->new($node, 'dbperf.slow_query_min_duration' => -1);

sub observe
{
	my ($sql) = @_;
	my @rows = $observer->query($sql);

	die "$sql: @{ $observer->{errors} }" if $observer->{errors};
	return $rows[0] ? @{ $rows[0] } : ();
}

# statements, records written, dropped, skipped, since the last call
my @before = (0, 0, 0, 0);

sub counted
{
	my @now = observe(
		q{SELECT statements, records_written,
			dropped_busy + dropped_too_large + dropped_memory, skipped_flood
			FROM dbperf.monitor_status});
	my @since = map { $now[$_] - $before[$_] } 0 .. 3;

	@before = @now;
	return @since;
}

sub wait_gone
{
	my ($pid) = @_;

	for (1 .. 20 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($there) =
		  observe("SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid = $pid");
		return if $there == 0;
		select(undef, undef, undef, 0.02);
	}
	die "process $pid does not end";
}

observe('CREATE EXTENSION dbperf CASCADE');
observe($_) foreach (
	'CREATE TABLE t (id int PRIMARY KEY, v text)',
	"INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 100) AS i",
	'CREATE TABLE parent (id int PRIMARY KEY)',
	'CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)',
	'CREATE TABLE child_now (id int REFERENCES parent)',
	q{CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql AS
		'BEGIN RETURN 1 / ($1 - $1); END'},
	q{CREATE FUNCTION fails_at_3(int) RETURNS int LANGUAGE plpgsql AS
		'BEGIN RETURN 1 / ($1 - 3); END'},
	q{CREATE FUNCTION catches() RETURNS int LANGUAGE plpgsql AS
		'BEGIN PERFORM fails(1); RETURN 0; EXCEPTION WHEN OTHERS THEN
		 BEGIN PERFORM 1 FROM t; EXECUTE ''selec''; EXCEPTION WHEN OTHERS THEN END; RETURN 1; END'},
	q{CREATE PROCEDURE commits() LANGUAGE plpgsql AS
		'BEGIN INSERT INTO t VALUES (5001); COMMIT; DELETE FROM t WHERE id = 5001; COMMIT;
		 INSERT INTO t VALUES (5002); ROLLBACK; END'},
	'CREATE TABLE ruled (id int)',
	'CREATE TABLE ruled_log (id int)',
	'CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO ruled_log VALUES (new.id)',
	'CREATE TABLE moved (id int)',
	'CREATE RULE away AS ON INSERT TO moved DO INSTEAD NOTHING',
	'CREATE VIEW tv AS SELECT id, v FROM t',
	'CREATE TABLE triggered (id int)',
	q{CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO ruled_log VALUES (new.id); PERFORM 1 / new.id; RETURN new; END'},
	'CREATE TRIGGER trig AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION trig()');

my $declare = 'DECLARE c CURSOR FOR SELECT * FROM t';

# Starts of statements are of interest or not, so they take different ways.
my $capture;

# kind NAME, STATEMENTS, FAILED, STEP...: one session that does these steps,
# and how many statements that is.  A step is a text for the simple protocol,
# or code.
sub kind
{
	my ($name, $statements, $failed, @steps) = @_;
	my $client = Client->new($node, 'dbperf.plan_capture' => $capture);

	# the first query of a session takes a way of its own
	$client->query('SELECT 0 AS first') if $capture ne 'adaptive';
	counted();
	foreach my $step (@steps)
	{
		ref $step ? $step->($client) : $client->query($step);
	}
	my @errors = @{ $client->{errors} // [] };
	$client->quit;
	wait_gone($client->{pid});

	my ($seen, $written, $dropped, $skipped) = counted();
	my ($recorded, $recorded_failed) = observe(
		"SELECT count(*), count(sqlstate) FROM dbperf.slow_queries
		  WHERE pid = $client->{pid} AND query <> 'SELECT 0 AS first'");
	is("$seen statements, $written written, $dropped dropped, $skipped skipped, "
		  . "$recorded recorded, $recorded_failed failed",
		"$statements statements, $statements written, 0 dropped, 0 skipped, "
		  . "$statements recorded, $failed failed",
		"$name, plan_capture $capture")
	  or show($client->{pid}, @errors);
	return;
}

sub show
{
	my ($pid, @errors) = @_;

	diag("errors: @errors");
	foreach my $row (
		$observer->query(
			"SELECT concat_ws(' | ', level, command, sqlstate, left(query, 70))
			   FROM dbperf.slow_queries WHERE pid = $pid ORDER BY id"))
	{
		diag("  $row->[0]");
	}
	return;
}

# The same text in both protocols.
sub both
{
	my ($name, $statements, $failed, @texts) = @_;

	kind("$name, simple", $statements, $failed, @texts);
	kind("$name, extended", $statements, $failed,
		map { my $sql = $_; sub { $_[0]->extended($sql) } } @texts);
	return;
}

foreach my $setting ('plan', 'adaptive', 'rows') {

$capture = $setting;

# ---- what ends well ----

both('plain queries', 4, 0, 'SELECT 1', 'SELECT count(*) FROM t', 'VALUES (1), (2)', 'TABLE t');
both('an empty statement is none', 0, 0, '', ';', '-- nothing');
both('a transaction', 5, 0, 'BEGIN', 'INSERT INTO t VALUES (1000)', 'UPDATE t SET v = v',
	'DELETE FROM t WHERE id = 1000', 'COMMIT');
both('a rolled back transaction', 3, 0, 'BEGIN', 'INSERT INTO t VALUES (1000)', 'ROLLBACK');
both('a transaction that did nothing', 2, 0, 'BEGIN', 'COMMIT');
both('transaction commands out of place',
	5, 0, 'COMMIT', 'ROLLBACK', 'BEGIN', 'BEGIN', 'ROLLBACK');
both('modifications', 5, 0,
	'INSERT INTO t VALUES (1001) RETURNING id',
	'WITH d AS (DELETE FROM t WHERE id = 1001 RETURNING id) SELECT * FROM d',
	'INSERT INTO t SELECT 1 ON CONFLICT DO NOTHING',
	'MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DO NOTHING',
	'INSERT INTO triggered VALUES (1)');
both('utility statements', 14, 0,
	'CREATE TABLE u (id serial PRIMARY KEY, v text DEFAULT now()::text UNIQUE)',
	'CREATE INDEX CONCURRENTLY ui ON u (v)',
	'ALTER TABLE u ADD COLUMN w int DEFAULT 3, ADD CHECK (w > 0)', 'VACUUM u', 'ANALYZE u', 'TRUNCATE u',
	'CREATE TABLE u2 AS SELECT * FROM t', 'SELECT * INTO u3 FROM t', 'DROP TABLE u, u2, u3',
	'CREATE SCHEMA s CREATE TABLE st (id int) CREATE VIEW sv AS SELECT * FROM st',
	'DROP SCHEMA s CASCADE',
	'SET work_mem = 1000', 'SHOW work_mem', 'DISCARD ALL');
both('EXPLAIN', 2, 0, 'EXPLAIN SELECT * FROM t', 'EXPLAIN ANALYZE SELECT * FROM t');
both('notifications and locks', 6, 0,
	'LISTEN x', 'NOTIFY x', 'UNLISTEN *', 'BEGIN', 'LOCK TABLE t', 'COMMIT');
both('two-phase commit', 6, 0,
	'BEGIN', 'INSERT INTO ruled_log VALUES (1)', q{PREPARE TRANSACTION 'x'}, 'SELECT 1',
	q{COMMIT PREPARED 'x'}, 'SELECT 2');
both('DO, procedures and functions', 6, 0,
	q{DO 'BEGIN PERFORM 1; PERFORM count(*) FROM t; END'},
	q{DO 'BEGIN INSERT INTO t VALUES (5003); COMMIT; DELETE FROM t WHERE id = 5003; END'},
	q{DO 'BEGIN INSERT INTO t VALUES (5003); ROLLBACK; PERFORM 1; END'},
	'CALL commits()', 'SELECT catches()', 'SELECT catches() FROM generate_series(1, 3)');
both('a loop over a cursor with COMMIT in it', 1, 0,
	q{DO 'DECLARE r record; BEGIN FOR r IN SELECT id FROM t LOOP COMMIT; END LOOP; END'});
both('a view', 1, 0, 'SELECT * FROM tv');
both('COPY to the client', 2, 0, 'COPY t TO STDOUT', 'COPY (SELECT * FROM t) TO STDOUT');
kind('COPY from the client', 2, 0,
	sub { $_[0]->{copy} = "7001\tx\n7002\ty\n" },
	'COPY t FROM STDIN', 'DELETE FROM t WHERE id > 7000');

# ---- prepared statements of SQL ----

both('PREPARE, EXECUTE, DEALLOCATE', 6, 0,
	'PREPARE p (int) AS SELECT * FROM t WHERE id = $1', 'EXECUTE p (1)', 'EXECUTE p (2)',
	'EXPLAIN EXECUTE p (3)', 'CREATE TEMP TABLE e AS EXECUTE p (4)', 'DEALLOCATE p');
both('EXECUTE of a modification', 3, 0,
	'PREPARE p (int) AS UPDATE t SET v = v WHERE id = $1', 'EXECUTE p (1)', 'EXECUTE p (2)');
both('EXECUTE that fails in planning', 3, 1, 'PREPARE p AS SELECT 1 / 0', 'EXECUTE p', 'SELECT 1');
both('EXECUTE that fails in execution',
	3, 1, 'PREPARE p (int) AS SELECT 1 / $1, fails($1)', 'EXECUTE p (1)', 'SELECT 1');
both('EXECUTE whose parameter fails',
	3, 1, 'PREPARE p (int) AS SELECT $1', 'EXECUTE p (1 / 0)', 'SELECT 1');
both('EXECUTE with too few parameters',
	3, 1, 'PREPARE p (int) AS SELECT $1', 'EXECUTE p', 'SELECT 1');
both('EXECUTE of what is not there', 2, 1, 'EXECUTE nothing', 'SELECT 1');
both('EXECUTE after its table is gone', 4, 1,
	'CREATE TEMP TABLE gone (id int)', 'PREPARE p AS SELECT * FROM gone', 'DROP TABLE gone',
	'EXECUTE p');
both('PREPARE that fails', 2, 2, 'PREPARE p AS SELECT * FROM nothing', 'PREPARE p AS selec');

# ---- what fails ----

both('a syntax error', 2, 1, 'SELEC 1', 'SELECT 1');
both('an undefined table', 2, 1, 'SELECT * FROM nothing', 'SELECT 1');
both('a division by zero in the planner', 2, 1, 'SELECT 1 / 0', 'SELECT 1');
both('a division by zero in the executor', 2, 1, 'SELECT 1 / (id - 1) FROM t', 'SELECT 1');
both('an error in a function', 2, 1, 'SELECT fails(1) FROM t', 'SELECT 1');
both('an error in DO', 2, 1, q{DO 'BEGIN PERFORM fails(1); END'}, 'SELECT 1');
both('a unique violation', 2, 1, 'INSERT INTO t VALUES (1)', 'SELECT 1');
both('a foreign key violation', 2, 1, 'INSERT INTO child_now VALUES (1)', 'SELECT 1');
both('an error in an AFTER trigger', 2, 1, 'INSERT INTO triggered VALUES (0)', 'SELECT 1');
both('a read-only transaction', 4, 1, 'BEGIN READ ONLY', 'INSERT INTO t VALUES (1000)', 'COMMIT',
	'SELECT 1');
both('utility statements that fail', 6, 5,
	'CREATE TABLE t (id int)', 'DROP TABLE nothing', 'SET work_mem = 1', 'VACUUM nothing',
	'CREATE DATABASE postgres', 'SELECT 1');
both('CREATE TABLE AS that fails', 3, 2, 'CREATE TABLE n AS SELECT fails(1)',
	'CREATE TABLE n AS SELECT 1 / 0', 'SELECT 1');
both('EXPLAIN that fails', 3, 2, 'EXPLAIN SELECT 1 / 0', 'EXPLAIN ANALYZE SELECT fails(1)', 'SELECT 1');
both('VACUUM in a transaction', 3, 1, 'BEGIN', 'VACUUM t', 'ROLLBACK');
both('a deferred constraint at COMMIT', 4, 1,
	'BEGIN', 'INSERT INTO child VALUES (1)', 'COMMIT', 'SELECT 1');
both('a deferred constraint at SET CONSTRAINTS', 4, 1,
	'BEGIN', 'INSERT INTO child VALUES (1)', 'SET CONSTRAINTS ALL IMMEDIATE', 'ROLLBACK');
both('a deferred constraint at PREPARE TRANSACTION', 4, 1,
	'BEGIN', 'INSERT INTO child VALUES (1)', q{PREPARE TRANSACTION 'x'}, 'SELECT 1');
both('statements in an aborted transaction', 6, 4,
	'BEGIN', 'SELECT 1 / 0', 'SELECT 1', 'INSERT INTO t VALUES (1)', 'selec', 'ROLLBACK');
both('COMMIT of an aborted transaction', 4, 1, 'BEGIN', 'SELECT 1 / 0', 'COMMIT', 'SELECT 1');
both('COPY that fails', 2, 1, 'COPY (SELECT fails(1)) TO STDOUT', 'SELECT 1');
kind('COPY of bad data', 2, 1,
	sub { $_[0]->{copy} = "x\tx\n" },
	'COPY t FROM STDIN', 'SELECT 1');
kind('COPY ended by the client', 2, 1, 'COPY t FROM STDIN', 'SELECT 1');
both('a statement_timeout', 4, 1,
	q{SET statement_timeout = '500ms'}, 'SELECT pg_sleep(10)', 'RESET statement_timeout', 'SELECT 1');
both('a cancelled statement', 2, 1, 'SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)', 'SELECT 1');
both('a statement during which the session is ended',
	2, 1, 'SELECT 1', 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)');
both('errors that log_min_messages hides', 4, 2,
	'SET log_min_messages = fatal', 'SELECT 1 / (id - 1) FROM t', 'SELECT 1 / 0', 'SELECT 1');

# ---- savepoints ----

both('savepoints', 7, 1,
	'BEGIN', 'SAVEPOINT a', 'INSERT INTO t VALUES (1)', 'ROLLBACK TO a', 'SELECT 1', 'RELEASE a',
	'COMMIT');
both('savepoints in an aborted transaction', 7, 3,
	'BEGIN', 'SAVEPOINT a', 'SELECT 1 / 0', 'SELECT 1', 'SAVEPOINT b', 'ROLLBACK TO a', 'COMMIT');
both('savepoints that are not there', 4, 2,
	'BEGIN', 'ROLLBACK TO nothing', 'RELEASE nothing', 'ROLLBACK');

# ---- cursors ----

both('a cursor read to the end', 6, 0,
	'BEGIN', $declare, 'FETCH 5 FROM c', 'FETCH ALL FROM c', 'CLOSE c', 'COMMIT');
both('a cursor read backward and moved', 6, 0,
	'BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT * FROM t', 'FETCH 5 FROM c', 'MOVE 10 IN c',
	'FETCH BACKWARD 3 FROM c', 'COMMIT');
both('a cursor that was not read, at COMMIT', 3, 0, 'BEGIN', $declare, 'COMMIT');
both('a cursor that was not read, at ROLLBACK', 3, 0, 'BEGIN', $declare, 'ROLLBACK');
both('cursors open at ROLLBACK', 7, 0,
	'BEGIN', $declare, 'FETCH 5 FROM c', 'DECLARE d CURSOR FOR SELECT 1', 'FETCH 5 FROM c',
	'FETCH 5 FROM d', 'ROLLBACK');
both('cursors open at the end of the session', 3, 0, 'BEGIN', $declare, 'FETCH 5 FROM c');
both('cursors open when another statement fails', 5, 1,
	'BEGIN', $declare, 'FETCH 5 FROM c', 'SELECT 1 / 0', 'ROLLBACK');
both('a cursor opened after a savepoint', 6, 0,
	'BEGIN', 'SAVEPOINT a', $declare, 'FETCH 5 FROM c', 'ROLLBACK TO a', 'COMMIT');
both('a cursor opened before a savepoint, failing after it', 8, 2,
	'BEGIN', 'DECLARE c CURSOR FOR SELECT fails_at_3(id) FROM t', 'SAVEPOINT a',
	'FETCH 1 FROM c', 'FETCH 5 FROM c', 'ROLLBACK TO a', 'SELECT 1', 'COMMIT');
both('a cursor that fails', 5, 3,
	'BEGIN', 'DECLARE c CURSOR FOR SELECT fails_at_3(id) FROM t', 'FETCH 5 FROM c', 'CLOSE c', 'ROLLBACK');
both('a cursor with hold', 6, 0,
	'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t', 'FETCH 5 FROM c', 'COMMIT',
	'FETCH 5 FROM c', 'CLOSE c');
both('a cursor with hold, not read before COMMIT', 5, 0,
	'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t', 'COMMIT', 'FETCH ALL FROM c', 'CLOSE ALL');
both('a cursor with hold without transaction', 3, 0,
	'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t', 'FETCH 5 FROM c', 'CLOSE c');
both('a cursor with hold that fails at COMMIT', 4, 2,
	'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT fails_at_3(id) FROM t', 'COMMIT', 'SELECT 1');
both('a cursor without transaction', 2, 1, $declare, 'SELECT 1');
both('DECLARE that fails', 6, 4,
	'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM nothing', 'ROLLBACK',
	'DECLARE c CURSOR FOR SELECT 1 / 0', 'FETCH 1 FROM nothing', 'CLOSE nothing');
both('DECLARE that fails in planning', 3, 1, 'BEGIN', 'DECLARE c CURSOR FOR SELECT 1 / 0', 'ROLLBACK');
both('DECLARE of a name that is taken', 4, 1, 'BEGIN', $declare, $declare, 'ROLLBACK');
both('an updated cursor', 6, 0,
	'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE', 'FETCH 1 FROM c',
	'UPDATE t SET v = v WHERE CURRENT OF c', 'CLOSE c', 'COMMIT');

# ---- several statements in a message ----

kind('several statements', 3, 0, 'SELECT 1; SELECT 2; SELECT 3;');
kind('several statements, one fails', 2, 1, 'SELECT 1; SELECT 1 / (id - 1) FROM t; SELECT 3');
kind('several statements, one fails in the planner', 2, 1, 'SELECT 1; SELECT 1 / 0; SELECT 3');
kind('several statements, one fails in parse analysis', 2, 1, 'SELECT 1; SELECT nothing; SELECT 3');
kind('several statements with a syntax error', 1, 1, 'SELECT 1; SELEC 2');
kind('several statements with a transaction',
	6, 0, 'BEGIN; INSERT INTO t VALUES (1000); ROLLBACK; BEGIN; SELECT 1; COMMIT');
kind('several statements in an aborted transaction',
	5, 2, 'BEGIN; SELECT 1 / 0', 'SELECT 1; SELECT 2', 'ROLLBACK; SELECT 1 / 1; ');
kind('several statements with cursors', 7, 0,
	"BEGIN; $declare; FETCH 1 FROM c; DECLARE d CURSOR FOR SELECT 1; FETCH 1 FROM d; FETCH 1 FROM c; ROLLBACK");

# ---- the extended protocol ----

kind('a prepared statement', 3, 0, sub {
	my $c = shift;
	$c->parse('p', 'SELECT v FROM t WHERE id = $1');
	$c->bind('', 'p', $_)->execute('') foreach 1 .. 3;
	$c->sync;
});
kind('a parameter that is no number', 2, 1, sub {
	my $c = shift;
	$c->extended('SELECT v FROM t WHERE id = $1', 'x');
	$c->extended('SELECT v FROM t WHERE id = $1', '1');
});
kind('a portal read in pieces', 2, 0, sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->execute('a', 10) foreach 1 .. 4;
	$c->sync;
	$c->extended('SELECT 1');
});
kind('a portal read in pieces to its end', 1, 0, sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->execute('a', 60) foreach 1 .. 2;
	$c->close_portal('a')->sync;
});
kind('a portal that fails in its second piece', 2, 1, sub {
	my $c = shift;
	$c->parse('', 'SELECT fails_at_3(id) FROM t')->bind('a', '');
	$c->execute('a', 2) foreach 1 .. 2;
	$c->sync;
	$c->extended('SELECT 1');
});
kind('two portals, one after the other', 4, 0, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '')->execute('a', 5);
	$c->parse('', 'SELECT 1')->bind('b', '')->execute('b', 5);
	$c->execute('a', 5)->execute('a', 5)->sync;
}, 'COMMIT');
kind('two portals, both bound before they run', 4, 0, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->parse('', 'SELECT 1')->bind('b', '');
	$c->execute('a')->execute('b')->sync;
}, 'COMMIT');
kind('two portals, both bound before they run in the other order', 4, 0, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->parse('', 'SELECT 1')->bind('b', '');
	$c->execute('b')->execute('a')->sync;
}, 'COMMIT');
kind('a portal bound before others run', 5, 0, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->sync;
	$c->extended('SELECT 1');
	$c->extended('UPDATE t SET v = v WHERE id = 1');
	$c->execute('a')->sync;
}, 'COMMIT');
kind('a portal bound before a savepoint', 8, 1, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '');
	$c->sync;
}, 'SELECT catches()', 'SAVEPOINT a', 'SELECT 1 / 0', 'ROLLBACK TO a', 'RELEASE a', sub {
	my $c = shift;
	$c->execute('a')->sync;
}, 'COMMIT');
kind('portals open at ROLLBACK', 3, 0, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '')->execute('a', 5)->sync;
}, 'ROLLBACK');
kind('a portal open when another statement fails', 4, 1, 'BEGIN', sub {
	my $c = shift;
	$c->parse('', 'SELECT * FROM t')->bind('a', '')->execute('a', 5)->sync;
	$c->extended('SELECT 1 / $1', '0');
}, 'ROLLBACK');
kind('RETURNING read in pieces', 2, 0, sub {
	my $c = shift;
	$c->parse('', 'UPDATE t SET v = v RETURNING id')->bind('a', '');
	$c->execute('a', 5) foreach 1 .. 3;
	$c->sync;
	$c->extended('SELECT 1');
});
kind('messages after an error are not executed', 3, 1, sub {
	my $c = shift;
	$c->parse('', 'SELECT 1')->bind('', '')->execute('');
	$c->parse('', 'SELECT nothing')->bind('', '')->execute('');
	$c->parse('', 'SELECT 2')->bind('', '')->execute('')->sync;
	$c->extended('SELECT 3');
});
kind('a pipeline of modifications', 3, 1, sub {
	my $c = shift;
	$c->parse('', 'INSERT INTO t VALUES (1002)')->bind('', '')->execute('');
	$c->parse('', 'DELETE FROM t WHERE id = 1002')->bind('', '')->execute('');
	$c->parse('', 'INSERT INTO t VALUES (1)')->bind('', '')->execute('')->sync;
});
kind('parsed and never executed', 1, 0, sub {
	my $c = shift;
	$c->parse('p', 'SELECT 1')->sync;
	$c->extended('SELECT 2');
});

# ---- one statement that the server makes several of, or none ----

# what a rule adds is nested in the statement; what it replaces by nothing never
# comes to the executor, and a commit of its own accord that fails is told apart
both('a rule that does nothing instead', 1, 0, 'INSERT INTO moved VALUES (1)', 'SELECT 1');
both('a rule that does more', 2, 0, 'INSERT INTO ruled VALUES (1)', 'SELECT 1');
both('a deferred constraint without COMMIT', 3, 1, 'INSERT INTO child VALUES (1)', 'SELECT 1');

}

# ---- all of it at the same time, with pgbench and with a client that fails ----

my $dir = $node->basedir;
my $transactions = $ENV{DBPERF_SHORT} ? 100 : 300;
my @mix = (
	[ 1, 0, 'SELECT 1' ],
	[ 3, 1, 'BEGIN', 'INSERT INTO t VALUES (1)', 'COMMIT' ],
	[ 1, 1, 'SELEC' ],
	[ 1, 1, 'SELECT * FROM nothing' ],
	[ 1, 1, 'SELECT 1 / 0' ],
	[ 1, 1, 'SELECT 1 / (id - 1) FROM t' ],
	[ 5, 3, 'BEGIN', 'SELECT 1 / 0', 'SELECT 1', 'SELECT 2', 'ROLLBACK' ],
	[ 4, 0, 'BEGIN', $declare, 'FETCH 5 FROM c', 'ROLLBACK' ],
	[ 6, 1, 'BEGIN', 'SAVEPOINT a', 'INSERT INTO t VALUES (1)', 'ROLLBACK TO a', 'SELECT 1',
		'COMMIT' ],
	[ 3, 1, 'PREPARE p AS SELECT 1 / 0', 'EXECUTE p', 'DEALLOCATE p' ],
	[ 1, 0, 'COPY (SELECT 1) TO STDOUT' ],
	[ 1, 0, 'SELECT catches()' ],
	[ 1, 0, q{DO 'BEGIN PERFORM 1; END'} ],
	[ 3, 1, 'SELECT 1; SELECT 2; SELECT 1 / (id - 1) FROM t; SELECT 3' ],
	[ 3, 1, 'BEGIN', 'INSERT INTO child VALUES (1)', 'COMMIT' ]);

# 20 statements
append_to_file("$dir/bench.sql", q{
BEGIN;
\set id random(1, 100)
SELECT v FROM t WHERE id = :id;
UPDATE acc SET n = n + 1 WHERE id = :client_id;
SAVEPOINT a;
SELECT count(*) FROM t WHERE id < :id;
ROLLBACK TO a;
DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id;
FETCH 3 FROM c;
MOVE 3 IN c;
FETCH 3 FROM c;
CLOSE c;
DECLARE d CURSOR FOR SELECT * FROM t ORDER BY id;
FETCH 3 FROM d;
COMMIT;
SELECT catches();
SHOW work_mem;
BEGIN;
DECLARE e CURSOR FOR SELECT 1;
ROLLBACK;
INSERT INTO acc VALUES (:client_id) ON CONFLICT (id) DO UPDATE SET n = acc.n;
});
observe('CREATE TABLE acc (id int PRIMARY KEY, n int DEFAULT 0)');

foreach my $protocol ('simple', 'extended', 'prepared')
{
	my ($out, $err) = ('', '');
	my ($statements, $failed, $sent) = (0, 0, 0);

	observe('SELECT pg_stat_reset()');
	counted();
	my $bench = IPC::Run::start(
		[
			'pgbench', '-n', '-M', $protocol, '-c', 2, '-j', 2, '-t', $transactions, '-f',
			"$dir/bench.sql", '-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \undef, '>', \$out, '2>', \$err);
	my $client = Client->new($node);
	for my $n (1 .. 20 * @mix)
	{
		my ($count, $fails, @texts) = @{ $mix[ ($n * 7 + int($n / @mix)) % @mix ] };

		$statements += $count;
		$failed += $fails;
		foreach my $text (@texts)
		{
			if ($text =~ /;.*; / || $protocol eq 'simple' || $text =~ /^DO/)
			{
				$client->query($text);
			}
			else
			{
				$client->extended($text);
			}
		}
	}
	$client->quit;
	ok($bench->finish, "pgbench, $protocol") or diag($err);
	wait_gone($client->{pid});
	for (1 .. 500)
	{
		my ($there) = observe(
			q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'});
		last if $there == 0;
		select(undef, undef, undef, 0.02);
	}

	like($out, qr/transactions actually processed: (\d+)/, 'pgbench counts');
	my ($processed) = $out =~ /transactions actually processed: (\d+)/;
	is($processed, 2 * $transactions, "pgbench, $protocol: transactions");
	$statements += 20 * $processed;

	my ($seen, $written, $dropped, $skipped) = counted();
	is($seen, $statements, "all kinds at the same time, $protocol: statements");
	is($written + $dropped + $skipped, $seen, "all kinds at the same time, $protocol: what became of them");
	my ($recorded_failed) = observe(
		"SELECT count(sqlstate) FROM dbperf.slow_queries WHERE pid = $client->{pid}");
	is($recorded_failed, $failed, "all kinds at the same time, $protocol: failed ones");
	my ($updates) = observe('SELECT sum(n) FROM acc');
	observe('DELETE FROM acc');
	is(scalar @{ $client->{errors} }, $failed, "the client had as many errors");
}

# ---- the flood guard ----

observe('ALTER SYSTEM SET dbperf.slow_query_max_rate = 5');
observe('SELECT pg_reload_conf()');
my $client = Client->new($node);
counted();
for (1 .. 100)
{
	$client->query('SELECT 1');
	$client->extended('SELECT nothing');
	$client->extended('SELECT $1', 1);
}
$client->quit;
wait_gone($client->{pid});
my ($seen, $written, $dropped, $skipped) = counted();
is($seen, 300, 'flood guard: statements');
is($written + $dropped + $skipped, 300, 'flood guard: what became of them');
cmp_ok($written, '>=', 1, 'flood guard: some are recorded');
cmp_ok($skipped, '>=', 200, 'flood guard: most are not');

$observer->quit;
$node->stop;
done_testing();
