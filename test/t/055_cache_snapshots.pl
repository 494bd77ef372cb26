# The result cache and snapshots: a statement is answered as of its own moment,
# and what was executed under an old one is not kept as if it were new.  Also the
# time between a writer's decision to commit and its being seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', CacheTest::conf());
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');

my $cache = CacheTest->new($node);

my $rows = 'INSERT INTO items SELECT g, g FROM generate_series(1, 20) AS g';
my $table = "CREATE TABLE items (id int PRIMARY KEY, v int); $rows";
my %case = (setup => $table, query => 'SELECT count(*), sum(v) FROM items WHERE id > $1', args => ['0']);
my $simple = CacheTest::form('simple', \%case);
my @forms = ($simple, 'EXECUTE p(0)');
my $raise = 'UPDATE items SET v = v + 1';

# A subtest that begins with a statement that is served to both readers.
sub served
{
	my ($name, $test) = @_;

	subtest $name => sub {
		$cache->{wrong} = 0;
		$cache->prepare(\%case);
		$cache->all_served(\%case, 'before');
		$test->();
		$cache->ask($_, 'ROLLBACK') foreach qw(a b writer);
		$cache->all_first(\%case, 'at the end');
		$cache->all_served(\%case, 'at the end');
		is($cache->{wrong}, 0, 'every answer is the truth');
	};
	return;
}

# In all forms, this is what the session is told, and it is true.
sub told
{
	my ($who, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $form (@forms)
	{
		is(($cache->exact($who, $form, $what))[0], "20|$expected", "$who: $what") for 1 .. 2;
	}
	return;
}

#
# Transactions
#
served(
	'repeatable read, snapshot before the write',
	sub {
		$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
		$cache->run('writer', $raise);
		told('a', 210, 'the old rows');
		told('b', 230, 'the new rows');
		told('a', 210, 'still the old rows');
		$cache->run('writer', $raise);
		told('a', 210, 'the old rows after one more write');
		told('b', 250, 'the newest rows');
		$cache->run('a', 'COMMIT');
		told('a', 250, 'the newest rows after commit');
	});
served(
	'repeatable read, what it executes is not kept for others',
	sub {
		$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
		$cache->run('writer', $raise);
		$cache->ask('a', $_) foreach @forms;
		told('b', 230, 'the new rows');
	});
served(
	'repeatable read, nothing is written',
	sub {
		$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		ok(($cache->serve('a', $_, 'repeatable read'))[1], 'served') foreach @forms;
		$cache->run('writer', 'CREATE TABLE noise (n int); INSERT INTO noise VALUES (1)');
		told('a', 210, 'after a write to another table');
	});
served(
	'repeatable read begins after the write',
	sub {
		$cache->run('writer', $raise);
		$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		told('a', 230, 'the new rows');
		ok(($cache->serve('a', $simple, 'repeatable read'))[1], 'served');
	});
served(
	'read committed, each statement has its own moment',
	sub {
		$cache->run('a', 'BEGIN');
		told('a', 210, 'the old rows');
		$cache->run('writer', $raise);
		told('a', 230, 'the new rows');
	});
served(
	'a transaction sees its own rows, others do not',
	sub {
		$cache->run('a', "BEGIN; $raise");
		told('a', 230, 'its own rows');
		told('b', 210, 'the old rows');
		$cache->run('a', "SAVEPOINT s; $raise");
		told('a', 250, 'its own rows in a savepoint');
		$cache->run('a', 'ROLLBACK TO s');
		told('a', 230, 'its own rows after a savepoint was rolled back');
		told('b', 210, 'the old rows');
		$cache->run('a', 'COMMIT');
		told('b', 230, 'the new rows');
	});
served(
	'a transaction that is rolled back',
	sub {
		$cache->run('a', "BEGIN; $raise");
		told('a', 230, 'its own rows');
		$cache->run('a', 'ROLLBACK');
		told('a', 210, 'the old rows');
		told('b', 210, 'the old rows');
	});
served(
	'only a savepoint has written, and was rolled back',
	sub {
		$cache->run('a', "BEGIN; SAVEPOINT s; $raise");
		told('a', 230, 'its own rows');
		$cache->run('a', 'ROLLBACK TO s');
		told('a', 210, 'the old rows');
		$cache->run('writer', $raise);
		told('a', 230, 'the other session\'s rows');
	});
served(
	'an open transaction of another session',
	sub {
		$cache->run('writer', "BEGIN; $raise");
		told('a', 210, 'the old rows');
		$cache->run('writer', 'SAVEPOINT s; INSERT INTO items VALUES (100, 100)');
		told('b', 210, 'the old rows');
		$cache->run('writer', 'ROLLBACK TO s; COMMIT');
		told('a', 230, 'the new rows');
	});
served(
	'repeatable read, and what does not respect snapshots',
	sub {
		foreach my $change ('TRUNCATE items', 'ALTER TABLE items ALTER COLUMN v TYPE bigint',
			'ALTER TABLE items ADD COLUMN w float DEFAULT random()', 'VACUUM FULL items')
		{
			$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
			$cache->run('writer', "DELETE FROM items; $rows; $change");
			# the server itself may show no rows
			$cache->exact('a', $simple, "a, $change") for 1 .. 3;
			$cache->exact('b', $simple, "b, $change") for 1 .. 3;
			$cache->exact('a', $simple, "a, $change") for 1 .. 3;
			$cache->run('a', 'COMMIT');
			$cache->exact('a', $simple, "a, after $change") for 1 .. 3;
		}
		$cache->run('writer', 'DROP TABLE items;' . $table);
	});
served(
	'a lock is waited for',
	sub {
		$cache->run('writer', 'BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
		$cache->run($_, q{SET lock_timeout = '100ms'}) foreach qw(a b);
		foreach my $form (@forms)
		{
			like($cache->ask('a', $form), qr/^ERROR 55P03/, 'as without a cache');
		}
		$cache->run('writer', 'COMMIT');
		$cache->run($_, 'RESET lock_timeout') foreach qw(a b);
	});
served(
	'serializable',
	sub {
		$cache->run('a', 'BEGIN ISOLATION LEVEL SERIALIZABLE');
		told('a', 210, 'the old rows');
		$cache->run('writer', $raise);
		told('a', 210, 'still the old rows');
		told('b', 230, 'the new rows');
	});
served(
	'write skew is still found',
	sub {
		$cache->run($_, 'BEGIN ISOLATION LEVEL SERIALIZABLE') foreach qw(a b);
		$cache->ask($_, $simple) foreach qw(a b);
		$cache->run('a', 'UPDATE items SET v = v + 1 WHERE id = 1');
		$cache->run('b', 'UPDATE items SET v = v + 1 WHERE id = 2');
		$cache->run('a', 'COMMIT');
		# b fails after it has said that it commits
		like($cache->ask('b', 'COMMIT'), qr/^ERROR 40001/, 'one of them fails');
		is($cache->ask('a', $simple), '20|211', 'the other one\'s rows');
	});
served(
	'imported snapshot',
	sub {
		my $exported = $cache->run('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');

		$cache->run('monitor', 'UPDATE t.items SET v = v + 1');
		$cache->run('a', "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$exported'");
		told('a', 210, 'the old rows');
		told('b', 230, 'the new rows');
		told('a', 210, 'still the old rows');
	});
served(
	'imported snapshot, stored by the importer',
	sub {
		my $exported = $cache->run('writer', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');

		$cache->run('monitor', 'SELECT dbperf.cache_flush(); UPDATE t.items SET v = v + 1');
		$cache->run('a', "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$exported'");
		$cache->ask('a', $_) foreach @forms, @forms;
		told('b', 230, 'the new rows');
	});

#
# Statements within statements
#
my $nested = q{
	CREATE FUNCTION total() RETURNS text %s LANGUAGE plpgsql AS $$
	DECLARE r text; BEGIN
		%s
		SELECT /* dbperf: cache */ count(*)::text || '|' || sum(v)::text INTO STRICT r FROM t.items WHERE id > 0;
		RETURN r;
	END $$};
my $await = 'PERFORM pg_advisory_lock_shared(7); PERFORM pg_advisory_unlock_shared(7);';

foreach my $volatility ('STABLE', 'VOLATILE')
{
	served(
		"a $volatility function that was called before the write",
		sub {
			my $function = sprintf($nested, $volatility, $await);
			my $expected = $volatility eq 'STABLE' ? 210 : 230;

			$cache->run('writer', $function);
			is($cache->ask($_, 'SELECT total()'), '20|210', 'before') foreach qw(a b a b);
			$cache->run('writer', 'BEGIN; SELECT pg_advisory_lock(7); UPDATE items SET v = v + 1');
			$cache->{a}->{stdin} .= "SELECT total();\n\\echo done\n";
			$cache->{a}->{run}->pump_nb;
			ok( $node->poll_query_until('postgres',
					q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}),
				'it waits');
			$cache->run('writer', 'COMMIT');
			# another session finds the new rows and stores them
			is($cache->ask('b', $simple), '20|230', 'the new rows for another') for 1 .. 3;
			$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
			like($cache->{a}->query_until(qr/done/, ''), qr/^20\|$expected$/m,
				"the function sees what a $volatility one must see");
			is($cache->ask('b', 'SELECT total()'), '20|230', 'the new rows');
			is($cache->ask('a', 'SELECT total()'), '20|230', 'the new rows') for 1 .. 2;
		});
}
served(
	'a function that writes between two reads',
	sub {
		$cache->run('writer', q{
			CREATE FUNCTION twice() RETURNS text LANGUAGE plpgsql AS $$
			DECLARE a text; b text; BEGIN
				SELECT /* dbperf: cache */ sum(v) INTO STRICT a FROM t.items;
				UPDATE t.items SET v = v + 1;
				SELECT /* dbperf: cache */ sum(v) INTO STRICT b FROM t.items;
				RETURN a || ' ' || b;
			END $$});
		is($cache->ask('a', 'SELECT twice()'), (210 + 20 * $_) . ' ' . (230 + 20 * $_), "run $_") foreach 0 .. 4;
		is($cache->ask('a', 'BEGIN; SELECT twice(); ROLLBACK'), '310 330', 'rolled back');
		told('b', 310, 'the rows of those that committed');
	});
served(
	'what is read in part is not kept as the whole',
	sub {
		my $rows = '/* dbperf: cache */ SELECT id FROM items WHERE id < 6';

		$cache->run('writer', q{
			CREATE FUNCTION first() RETURNS int LANGUAGE plpgsql AS $$
			DECLARE r int; BEGIN
				SELECT /* dbperf: cache */ id INTO r FROM items WHERE id < 6; RETURN r;
			END $$;
			CREATE FUNCTION third() RETURNS int LANGUAGE plpgsql AS $$
			DECLARE r int; n int := 0; BEGIN
				FOR r IN SELECT /* dbperf: cache */ id FROM items WHERE id < 6 LOOP
					n := n + 1; EXIT WHEN n = 3; END LOOP;
				RETURN n;
			END $$;
			CREATE FUNCTION part() RETURNS SETOF int LANGUAGE sql AS
			$$ /* dbperf: cache */ SELECT id FROM items WHERE id < 6 $$});
		foreach my $part (
			[ 'SELECT first()', '1' ],
			[ 'SELECT third()', '3' ],
			[ 'SELECT part() LIMIT 2', "1\n2" ],
			[ "BEGIN; DECLARE c CURSOR FOR $rows; FETCH 2 FROM c; COMMIT", "1\n2" ],
			[ "BEGIN; DECLARE c CURSOR FOR $rows; MOVE 4 IN c; FETCH c; COMMIT", "5" ],
			[ "BEGIN; DECLARE c CURSOR FOR $rows; FETCH 9 FROM c; MOVE ABSOLUTE 0 IN c; FETCH 2 FROM c; COMMIT",
				"1\n2\n3\n4\n5\n1\n2" ],
			[ "BEGIN; DECLARE c SCROLL CURSOR FOR $rows; FETCH LAST FROM c; FETCH PRIOR FROM c; COMMIT", "5\n4" ],
			[ "BEGIN; DECLARE c CURSOR WITH HOLD FOR $rows; FETCH 1 FROM c; COMMIT; FETCH 2 FROM c; CLOSE c", "1\n2\n3" ],
			[ "BEGIN; DECLARE c CURSOR FOR $rows; CLOSE c; COMMIT", '' ])
		{
			$cache->run('monitor', 'SELECT dbperf.cache_flush()');
			is($cache->ask('a', $part->[0]), $part->[1], "$part->[0]");
			is($cache->ask('a', $part->[0]), $part->[1], "$part->[0]");
			is($cache->ask('b', $rows), "1\n2\n3\n4\n5", 'others get the whole') for 1 .. 2;
			# and in part from what is stored
			is($cache->ask('a', $part->[0]), $part->[1], "$part->[0], again") for 1 .. 2;
		}
	});

#
# Cursors on what is stored
#
served(
	'a cursor shows what was there when it was opened',
	sub {
		my $rows = '/* dbperf: cache */ SELECT id, sum(v) FROM items WHERE id < 6 GROUP BY id ORDER BY 2, 1';
		my $hits;

		# cursors have plans of their own, and are served if these end with a sort
		$cache->run('a', "BEGIN; DECLARE c SCROLL CURSOR FOR $rows; FETCH ALL FROM c; CLOSE c");
		$hits = $cache->hits;
		$cache->run('a', "DECLARE c SCROLL CURSOR FOR $rows");
		is($cache->ask('a', 'FETCH 2 FROM c'), "1|1\n2|2", 'the first rows');
		$cache->run('writer', 'UPDATE items SET v = 0; SELECT dbperf.cache_flush()');
		# what is removed is used again for others
		$cache->ask('b', "/* dbperf: cache */ SELECT $_, repeat('x', 1000), v FROM items") foreach 1 .. 40;
		is($cache->ask('a', 'FETCH 2 FROM c'), "3|3\n4|4", 'the next rows');
		is($cache->ask('a', 'FETCH BACKWARD 9 FROM c'), "3|3\n2|2\n1|1", 'backward');
		is($cache->ask('a', 'FETCH LAST FROM c'), '5|5', 'the last row');
		is($cache->ask('a', 'FETCH c'), '', 'no more');
		is($cache->ask('a', 'FETCH FIRST FROM c'), '1|1', 'and from the first');
		$cache->run('a', 'CLOSE c');
		cmp_ok($cache->hits, '>', $hits, 'from the cache');
		is($cache->ask('a', $rows), "1|0\n2|0\n3|0\n4|0\n5|0", 'beside it are the new rows');
		$cache->run('a', 'COMMIT');
	});
served(
	'a cursor that outlives its transaction',
	sub {
		my $rows = '/* dbperf: cache */ SELECT id, sum(v) FROM items WHERE id < 6 GROUP BY id ORDER BY 2, 1';

		$cache->run('a', "BEGIN; DECLARE c CURSOR FOR $rows; FETCH ALL FROM c; COMMIT");
		my $hits = $cache->hits;
		$cache->run('a', "BEGIN; DECLARE c CURSOR WITH HOLD FOR $rows");
		is($cache->ask('a', 'FETCH 2 FROM c'), "1|1\n2|2", 'the first rows');
		$cache->run('writer', 'UPDATE items SET v = 0');
		$cache->run('a', 'COMMIT');
		cmp_ok($cache->hits, '>', $hits, 'from the cache');
		is($cache->ask('a', 'FETCH 2 FROM c'), "3|3\n4|4", 'the next rows');
		$cache->run('a', 'CLOSE c');
	});

served(
	'a cursor, and writes of its own transaction',
	sub {
		my $rows = '/* dbperf: cache */ SELECT id, sum(v) FROM items WHERE id < 6 GROUP BY id ORDER BY 2, 1';
		my $new = "1|0\n2|0\n3|0\n4|0\n5|0";

		foreach my $filled (0, 1)
		{
			$cache->run('writer', 'UPDATE items SET v = id; SELECT dbperf.cache_flush()');
			$cache->run('b', "BEGIN; DECLARE c SCROLL CURSOR FOR $rows; FETCH ALL FROM c; COMMIT") if $filled;
			$cache->run('a', "BEGIN; DECLARE c SCROLL CURSOR FOR $rows");
			is($cache->ask('a', 'FETCH 2 FROM c'), "1|1\n2|2", "filled $filled: the first rows");
			$cache->run('a', 'UPDATE items SET v = 0');
			is($cache->ask('a', 'FETCH ALL FROM c'), "3|3\n4|4\n5|5", 'the others, as they were');
			is($cache->ask('a', $rows), $new, 'another execution has the new ones') for 1 .. 2;
			is($cache->ask('b', $rows), "1|1\n2|2\n3|3\n4|4\n5|5", 'another session the old ones') for 1 .. 2;
			is($cache->ask('a', 'FETCH BACKWARD ALL FROM c'), "5|5\n4|4\n3|3\n2|2\n1|1", 'backward');
			$cache->run('a', 'COMMIT');
			is($cache->ask($_, $rows), $new, "$_ has the new ones") foreach qw(b a b a);
			is($cache->ask('b', "BEGIN; DECLARE c SCROLL CURSOR FOR $rows; FETCH ALL FROM c; COMMIT"), $new, 'in a cursor, too');
		}
	});
served(
	'a cursor that is executed while others write',
	sub {
		my $rows = '/* dbperf: cache */ SELECT id, sum(v) FROM items WHERE id < 6 GROUP BY id ORDER BY 2, 1';
		my $cursor = "BEGIN; DECLARE c SCROLL CURSOR FOR $rows";

		$cache->run('a', "$cursor; FETCH 2 FROM c");
		$cache->run('writer', 'UPDATE items SET v = 0');
		is($cache->ask('a', 'FETCH ALL FROM c'), "3|3\n4|4\n5|5", 'its rows are the old ones');
		is($cache->ask('a', 'FETCH FIRST FROM c; COMMIT'), '1|1', 'also a second time');
		is($cache->ask('b', "$cursor; FETCH ALL FROM c; COMMIT"), "1|0\n2|0\n3|0\n4|0\n5|0", 'others have the new ones')
		  for 1 .. 2;
	});
served(
	'a loop over what is stored that commits',
	sub {
		$cache->run('writer', q{
			CREATE TABLE seen (id int, v int);
			CREATE PROCEDURE walk() LANGUAGE plpgsql AS $$
			DECLARE r record; BEGIN
				FOR r IN SELECT /* dbperf: cache */ id, sum(v) AS v FROM t.items WHERE id < 6 GROUP BY id ORDER BY 2, 1 LOOP
					INSERT INTO t.seen VALUES (r.id, r.v);
					UPDATE t.items SET v = v + 100;
					COMMIT;
				END LOOP;
			END $$});
		foreach my $run (0 .. 3)
		{
			$cache->run('a', 'CALL walk()');
			is($cache->ask('b', 'SELECT sum(v) FROM seen; TRUNCATE seen'), 15 + 5 * 500 * $run, "run $run: rows of one moment");
			told('b', 210 + 20 * 500 * ($run + 1), 'all rows are seen');
		}
	});
served(
	'a transition table',
	sub {
		$cache->run('writer', q{
			CREATE TABLE log (n int, total int);
			CREATE FUNCTION on_items() RETURNS trigger LANGUAGE plpgsql AS $$
			DECLARE a int; b int; BEGIN
				SELECT /* dbperf: cache */ count(*), sum(v) INTO STRICT a, b FROM changed;
				INSERT INTO t.log VALUES (a, b);
				RETURN NULL;
			END $$;
			CREATE TRIGGER on_items AFTER UPDATE ON items REFERENCING NEW TABLE AS changed
				FOR EACH STATEMENT EXECUTE FUNCTION on_items()});
		$cache->run('a', "UPDATE items SET v = 1 WHERE id <= $_") foreach 1 .. 4;
		is($cache->run('a', q{SELECT string_agg(n || ',' || total, ' ' ORDER BY n) FROM log}),
			'1,1 2,2 3,3 4,4', 'is read each time');
	});

#
# Statements that contain others
#
served(
	'explain, copy, create table as, insert',
	sub {
		like($cache->ask('a', "EXPLAIN (COSTS OFF) $simple"), qr/dbperf cache/, 'explain shows the node');
		my $hits = $cache->hits;
		$cache->ask('a', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $simple");
		is($cache->hits, $hits, 'explain analyze executes');
		foreach my $round (1 .. 3)
		{
			my $truth = 190 + 20 * $round;

			is($cache->ask('a', "COPY (SELECT /* dbperf: cache */ sum(v) FROM items) TO stdout"), $truth, 'copy') for 1 .. 2;
			$cache->run('a', 'CREATE TABLE made AS SELECT /* dbperf: cache */ sum(v) FROM items');
			is($cache->run('a', 'TABLE made; DROP TABLE made'), $truth, 'create table as');
			$cache->run('a', 'SELECT /* dbperf: cache */ sum(v) INTO made FROM items');
			is($cache->run('a', 'TABLE made'), $truth, 'select into');
			$cache->run('a', 'INSERT INTO made /* dbperf: cache */ SELECT sum(v) FROM items');
			is($cache->run('a', 'SELECT * FROM made; DROP TABLE made'), "$truth\n$truth", 'insert');
			$cache->run('writer', $raise);
		}
	});

#
# Parameters: those that are equal need not be the same
#
subtest 'parameters' => sub {
	my %by = (
		numeric => [ '1.0', '1.00', '1', 'NULL', q{'NaN'} ],
		float8 => [ q{'0'}, q{'-0'}, q{'NaN'}, 'NULL' ],
		text => [ q{'a'}, q{'a '}, q{''}, 'NULL', q{repeat('x', 100)}, q{repeat('x', 3000)}, q{repeat('y', 3000)} ],
		'char(3)' => [ q{'a'}, q{'ab'} ],
		'int[]' => [ q{'{1,2}'}, q{'[0:1]={1,2}'}, q{'{}'}, q{'{NULL}'}, 'NULL' ],
		jsonb => [ q{'{"a": 1.0}'}, q{'{"a": 1.00}'} ],
		interval => [ q{'24 hours'}, q{'1 day'} ],
		timestamptz => [ q{'2020-01-01 00:00+00'}, q{'2020-01-01 01:00+01'} ]);

	$cache->{wrong} = 0;
	$cache->prepare(\%case);
	foreach my $type (sort keys %by)
	{
		$cache->run('a', "PREPARE q($type) AS /* dbperf: cache */ SELECT count(*), max(\$1::text), count(\$1) FROM items")
		  if @{ $by{$type} };
		foreach my $round (1 .. 2)
		{
			$cache->exact('a', "EXECUTE q($_)", "$type $_") foreach @{ $by{$type} }, reverse @{ $by{$type} };
		}
		if (@{ $by{$type} })
		{
			ok(($cache->serve('a', "EXECUTE q($by{$type}[0])", $type))[1], "$type: served");
			$cache->run('a', 'DEALLOCATE q');
		}
	}
	is($cache->{wrong}, 0, 'every answer is the truth');
};

#
# Between the decision to commit and its being seen: a writer that waits for a
# standby that is not there has done the one and not the other
#
sub hang
{
	my ($who, $sql) = @_;

	$cache->{$who}->{stdin} .= "SET synchronous_commit = on;\n$sql;\n\\echo hung\n";
	$cache->{$who}->{run}->pump_nb;
	return;
}

sub hanging
{
	my ($event, $n) = @_;

	return $node->poll_query_until('postgres',
		"SELECT count(*) = " . ($n // 1) . " FROM pg_stat_activity WHERE wait_event = '$event'");
}

sub standbys
{
	my ($names) = @_;

	$cache->run('monitor', "ALTER SYSTEM SET synchronous_standby_names = '$names'; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = '$names'");
	# the checkpointer is the one who tells the others
	$cache->run('monitor', 'CHECKPOINT');
	return;
}

foreach my $end ('released', 'cancelled', 'terminated')
{
	served(
		"a writer that hangs while it commits, then is $end",
		sub {
			standbys('nobody');
			hang('writer', $raise);
			ok(hanging('SyncRep'), 'it hangs');
			my $invisible = $cache->truth('monitor', 'SELECT sum(v) FROM t.items');
			is($invisible, 210, 'its rows are not seen yet');
			told('a', 210, 'the old rows');
			told('b', 210, 'the old rows');
			$cache->run('a', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
			told('a', 210, 'the old rows');
			standbys('') if $end eq 'released';
			$cache->run('monitor', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'})
			  if $end eq 'cancelled';
			$cache->run('monitor', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'})
			  if $end eq 'terminated';
			ok( $node->poll_query_until('postgres', 'SELECT sum(v) = 230 FROM t.items'),
				'its rows are seen');
			told('b', 230, 'the new rows');
			told('a', 210, 'the old rows in repeatable read');
			if ($end eq 'terminated')
			{
				eval { $cache->{writer}->quit };
				$cache->{writer} = $cache->session;
			}
			else
			{
				$cache->{writer}->query_until(qr/hung/, '');
			}
			standbys('');
		});
}
served(
	'a writer that fails after its decision to commit',
	sub {
		my $second = $cache->session;

		standbys('nobody');
		$cache->{second} = $second;
		# the first holds the lock of NOTIFY while it hangs, so that the second hangs before
		hang('writer', 'BEGIN; CREATE TABLE noise (n int); NOTIFY x; COMMIT');
		ok(hanging('SyncRep'), 'the first hangs');
		hang('second', "BEGIN; $raise; NOTIFY x; COMMIT");
		ok( $node->poll_query_until('postgres',
				q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND NOT granted}),
			'the second waits for it');
		told('a', 210, 'the old rows');
		$cache->run('monitor',
			q{SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'object' AND NOT granted});
		$second->query_until(qr/hung/, '');
		told('a', 210, 'the old rows');
		ok(($cache->serve('a', $simple, 'after the failure'))[1], 'served, though the first still hangs');
		standbys('');
		$cache->{writer}->query_until(qr/hung/, '');
		$second->quit;
		delete $cache->{second};
		$cache->{writer}->{stderr} = '';
	});

$cache->finish;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed');
done_testing();
