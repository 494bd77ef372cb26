# The result cache when things go wrong: backends that are killed, terminated,
# cancelled or timed out while they build, wait, or read what is stored; too
# little memory; restarts; standbys and their promotion.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', CacheTest::conf());
$node->append_conf('postgresql.conf', q{
restart_after_crash = on
dbperf.cache_size = '8MB'
dbperf.cache_wait = '20s'
});
$node->start;

# slow() waits for lock 7 when it is asked about row 20, so that an execution can be held up
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE SCHEMA t;
	CREATE TABLE items (id int PRIMARY KEY, v int);
	INSERT INTO items SELECT g, g FROM generate_series(1, 20) AS g;
	CREATE TABLE other (id int);
	CREATE TABLE big AS SELECT g AS id, repeat('x', 90) AS filler FROM generate_series(1, 5000) AS g;
	CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF $1 = 20 THEN
			PERFORM pg_advisory_lock_shared(7);
			PERFORM pg_advisory_unlock_shared(7);
		END IF;
		RETURN $1;
	END $$;
	SELECT dbperf.cache_function('slow(int)', true)});

my $cache = CacheTest->new($node);
my $slow = '/* dbperf: cache */ SELECT count(*), sum(slow(v)) FROM items';
my $quick = '/* dbperf: cache */ SELECT count(*), sum(v) FROM items';
my $rows = '/* dbperf: cache */ SELECT id, sum(v) FROM items GROUP BY id ORDER BY 2, 1';
my $expected = '20|210';

# Sends a statement without waiting for it.
sub begin
{
	my ($who, $sql) = @_;

	$cache->{$who}->{stdin} .= "$sql;\n\\if :ERROR\n\\echo ERROR :SQLSTATE\n\\endif\n\\echo done\n";
	$cache->{$who}->{run}->pump_nb;
	return;
}

# What it said.
sub end
{
	my ($who) = @_;
	my $out = $cache->{$who}->query_until(qr/done\n/, '');

	$cache->{$who}->{stderr} = '';
	$out =~ s/\n?done\n//;
	return $out;
}

sub backend
{
	my ($who) = @_;

	return $cache->ask($who, 'SELECT pg_backend_pid()');
}

sub poll
{
	my ($sql) = @_;

	return $node->poll_query_until('postgres', $sql);
}

# Holds an execution of slow() in the session up.  Returns its process.
sub hold
{
	my ($who) = @_;
	my $pid = backend($who);

	begin($who, $slow);
	ok(poll("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $pid"),
		'an execution is held up');
	return $pid;
}

# Has another session wait for it.  Returns its process.
sub wait_for_it
{
	my ($who) = @_;
	my $pid = backend($who);

	begin($who, $slow);
	# it neither executes, nor waits for the lock
	ok( poll("SELECT wait_event_type <> 'Lock' AND wait_event <> 'ClientRead' FROM pg_stat_activity
			WHERE pid = $pid AND state = 'active' AND wait_event IS NOT NULL"),
		'another session waits for it');
	return $pid;
}

sub begin_case
{
	$cache->run('monitor', 'SELECT dbperf.cache_flush()');
	$cache->run('writer', 'SELECT pg_advisory_lock(7)');
	return;
}

# All sessions work, nothing is left behind.
sub end_case
{
	$cache->ask('writer', 'SELECT pg_advisory_unlock_all()');
	foreach my $who (qw(a b))
	{
		foreach my $sql ($slow, $quick)
		{
			my ($answer, $hit) = $cache->serve($who, $sql, $who);
			is($answer, $expected, "$who: the result");
			ok($hit, "$who: served");
		}
	}
	nothing_left();
	return;
}

# Without pins, a flush frees everything.
sub nothing_left
{
	$cache->run('monitor', 'SELECT dbperf.cache_flush()');
	is($cache->ask('monitor', 'SELECT count(*) FROM dbperf.cache_entries'), '0', 'no entry is left after a flush');
	is($cache->ask('monitor', 'SELECT entries, bytes_used FROM dbperf.cache_stats'), '0|0', 'and no memory is used');
	return;
}

# The server restarts after a crash: new sessions.
sub after_crash
{
	my ($offset) = @_;

	# the server may take a while to notice
	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
	eval { $cache->finish };
	poll('SELECT true');
	$cache = CacheTest->new($node);
	is($cache->ask('monitor', 'SELECT entries FROM dbperf.cache_stats'), '0', 'the cache is empty');
	return;
}

#
# The builder fails
#
foreach my $how ('cancelled', 'terminated', 'timed out')
{
	subtest "the builder: $how" => sub {
		begin_case();
		$cache->run('a', q{SET statement_timeout = '8s'}) if $how eq 'timed out';
		my $builder = hold('a');
		my $waiter = wait_for_it('b');
		my $began = time();

		$cache->run('monitor', "SELECT pg_cancel_backend($builder)") if $how eq 'cancelled';
		$cache->run('monitor', "SELECT pg_terminate_backend($builder)") if $how eq 'terminated';
		if ($how eq 'terminated')
		{
			eval { $cache->{a}->quit };
			$cache->{a} = $cache->session;
		}
		else
		{
			like(end('a'), qr/^ERROR 57014/, 'the builder has its error');
			$cache->run('a', 'RESET statement_timeout');
		}
		# the waiter becomes the builder, and is held up in its turn
		ok(poll("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $waiter"),
			'the waiter executes');
		cmp_ok(time() - $began, '<', 15, 'long before its patience ends');
		$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
		is(end('b'), $expected, 'the waiter has its result');
		end_case();
	};
}
subtest 'the builder finishes' => sub {
	my $hits = $cache->hits;

	begin_case();
	hold('a');
	wait_for_it('b');
	$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
	is(end('a'), $expected, 'the builder has its result');
	is(end('b'), $expected, 'the waiter, too');
	is($cache->hits, $hits + 1, 'it was served');
	end_case();
};
subtest 'one builds, two wait' => sub {
	my $third = $cache->session;

	$cache->{third} = $third;
	begin_case();
	my $before = $cache->ask('monitor', 'SELECT hits, misses FROM dbperf.cache_stats');
	hold('a');
	wait_for_it($_) foreach qw(b third);
	# another statement does not wait, nor does who is not to
	is($cache->ask('monitor', "SET dbperf.cache_mode = hint; SET search_path = t;\n$quick"), $expected,
		'another statement does not wait');
	is( $cache->ask('writer', "SET dbperf.cache_wait = 0; SET lock_timeout = '20s';\n"
			. "SELECT pg_advisory_unlock(7);\n$slow"), "t\n$expected", 'without patience it is executed');
	is(end($_), $expected, "$_ has the result") foreach qw(a b third);
	my $after = $cache->ask('monitor', 'SELECT hits, misses FROM dbperf.cache_stats');
	my ($hits, $misses) = map { (split /\|/, $after)[$_] - (split /\|/, $before)[$_] } 0, 1;
	cmp_ok($hits, '>=', 2, 'both were served');
	cmp_ok($misses, '<=', 3, 'and only one has executed it for others');
	$cache->run('writer', 'RESET dbperf.cache_wait; RESET lock_timeout');
	$third->quit;
	delete $cache->{third};
	end_case();
};
subtest 'the tables are written while one builds and one waits' => sub {
	begin_case();
	hold('a');
	wait_for_it('b');
	$cache->run('monitor', 'UPDATE t.items SET v = v + 1');
	$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
	is(end('a'), $expected, 'the builder has the old result');
	is(end('b'), $expected, 'the waiter as well: its snapshot is from before');
	is($cache->ask($_, $slow), '20|230', "$_ has the new one") foreach qw(a b a b);
	$cache->run('monitor', 'UPDATE t.items SET v = v - 1');
	end_case();
};
subtest 'another table is written while one builds and one waits' => sub {
	my $hits = $cache->hits;

	begin_case();
	hold('a');
	wait_for_it('b');
	$cache->run('monitor', 'INSERT INTO t.other VALUES (1)');
	$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
	is(end('a'), $expected, 'the builder has its result');
	is(end('b'), $expected, 'the waiter, too');
	is($cache->hits, $hits + 1, 'it was served: what was written does not matter to it');
	end_case();
};
subtest 'the waiter loses patience' => sub {
	begin_case();
	$cache->run('b', q{SET dbperf.cache_wait = '200ms'});
	hold('a');
	my $pid = backend('b');
	begin('b', $slow);
	ok(poll("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $pid"),
		'it executes itself');
	$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
	is(end('a'), $expected, 'the builder has its result');
	is(end('b'), $expected, 'the waiter, too');
	$cache->run('b', 'RESET dbperf.cache_wait');
	end_case();
};

#
# The waiter fails
#
foreach my $how ('cancelled', 'terminated', 'timed out')
{
	subtest "the waiter: $how" => sub {
		begin_case();
		$cache->run('b', q{SET statement_timeout = '8s'}) if $how eq 'timed out';
		hold('a');
		my $waiter = wait_for_it('b');
		my $began = time();

		$cache->run('monitor', "SELECT pg_cancel_backend($waiter)") if $how eq 'cancelled';
		if ($how eq 'terminated')
		{
			$cache->run('monitor', "SELECT pg_terminate_backend($waiter)");
			ok(poll("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $waiter"), 'the waiter is gone');
			eval { $cache->{b}->quit };
			$cache->{b} = $cache->session;
		}
		else
		{
			like(end('b'), qr/^ERROR 57014/, 'the waiter has its error');
		}
		cmp_ok(time() - $began, '<', 10, 'at once');
		$cache->run('b', 'RESET statement_timeout');
		$cache->run('writer', 'SELECT pg_advisory_unlock(7)');
		is(end('a'), $expected, 'the builder has its result');
		end_case();
	};
}

#
# Who reads what is stored
#
foreach my $how ('closed', 'rolled back', 'error', 'terminated')
{
	subtest "a cursor on what is stored: $how" => sub {
		# cursors have plans of their own, and are served if these end with a sort
		$cache->run('a', "BEGIN; DECLARE c CURSOR FOR $rows; FETCH ALL FROM c; COMMIT");
		my $hits = $cache->hits;
		my $pid = backend('a');
		$cache->run('a', "BEGIN; DECLARE c CURSOR FOR $rows; FETCH 2 FROM c");
		$cache->run('monitor', 'SELECT dbperf.cache_flush()');
		is($cache->ask('monitor', 'SELECT entries, bytes_used > 0 FROM dbperf.cache_stats'),
			'0|t', 'its rows are still there after a flush');
		is($cache->ask('a', 'FETCH 1 FROM c'), '3|3', 'it goes on');
		$cache->run('a', 'CLOSE c; COMMIT') if $how eq 'closed';
		$cache->run('a', 'ROLLBACK') if $how eq 'rolled back';
		$cache->ask('a', 'SELECT 1 / 0; ROLLBACK') if $how eq 'error';
		if ($how eq 'terminated')
		{
			$cache->run('monitor', "SELECT pg_terminate_backend($pid)");
			ok(poll("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'it is gone');
			eval { $cache->{a}->quit };
			$cache->{a} = $cache->session;
		}
		cmp_ok($cache->hits, '>', $hits, 'it was served') if $how eq 'closed';
		nothing_left();
	};
}
subtest 'a failing savepoint around a cursor on what is stored' => sub {
	$cache->run('a', "BEGIN; DECLARE c CURSOR FOR $rows; FETCH ALL FROM c; COMMIT");
	$cache->run('a', "BEGIN; SAVEPOINT s; DECLARE c CURSOR FOR $rows; FETCH 2 FROM c");
	$cache->ask('a', 'SELECT 1 / 0');
	$cache->run('a', 'ROLLBACK TO s');
	nothing_left();
	is($cache->ask('a', $quick), $expected, 'the transaction goes on');
	$cache->run('a', 'COMMIT');
	nothing_left();
};
subtest 'time out while it is read' => sub {
	my $many = '/* dbperf: cache */ SELECT a.id, a.filler FROM big AS a';
	my ($whole, $failed) = (0, 0);

	ok(($cache->serve('a', $many, 'many rows'))[1], 'served');
	foreach my $ms (1 .. 25)
	{
		my $out = $cache->ask('a', "SET statement_timeout = $ms;\n$many;\nSELECT count(*) FROM big");
		if ($out =~ /ERROR 57014/) { $failed++; }
		elsif ($out =~ /^5000$/m) { $whole++; }
	}
	# it has the limit itself
	1 while $cache->ask('a', 'RESET statement_timeout') =~ /^ERROR/m;
	note("$failed timed out, $whole did not");
	is($failed + $whole, 25, 'either the whole, or an error');
	my ($answer, $hit) = $cache->serve('b', $many, 'many rows');
	is(() = $answer =~ /\n/g, 4999, 'the whole for others');
	nothing_left();
};

#
# kill -9
#
foreach my $who ('builder', 'waiter', 'reader', 'committer')
{
	subtest "kill -9: $who" => sub {
		my $pid;

		begin_case();
		if ($who eq 'builder' || $who eq 'waiter')
		{
			$pid = hold('a');
			my $waiter = wait_for_it('b');
			$pid = $waiter if $who eq 'waiter';
		}
		elsif ($who eq 'reader')
		{
			$cache->run('a', "BEGIN; DECLARE c CURSOR FOR $rows; FETCH ALL FROM c; CLOSE c");
			$cache->run('a', "DECLARE c CURSOR FOR $rows; FETCH 2 FROM c");
			$pid = backend('a');
		}
		else
		{
			# it has decided to commit, and is not seen yet
			$cache->run('monitor', q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
			poll(q{SELECT current_setting('synchronous_standby_names') = 'nobody'});
			# the checkpointer is the one who tells the others
			$cache->run('monitor', 'CHECKPOINT');
			$pid = backend('a');
			begin('a', 'SET synchronous_commit = on; UPDATE items SET v = v');
			ok(poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}), 'it hangs');
			is($cache->ask('b', $quick), $expected, 'others read');
			$cache->run('monitor', 'ALTER SYSTEM RESET synchronous_standby_names');
		}
		my $offset = -s $node->logfile;
		kill 'KILL', $pid;
		after_crash($offset);
		end_case();
	};
}

#
# Memory
#
subtest 'many distinct statements' => sub {
	$cache->run('monitor', 'SELECT dbperf.cache_stats_reset()');
	foreach my $from (map { 400 * $_ } 0 .. 9)
	{
		my $to = $from + 399;

		$cache->run('a', qq{
			DO \$\$
			DECLARE n bigint;
			BEGIN
				FOR i IN $from .. $to LOOP
					EXECUTE format('/* dbperf: cache */ SELECT id + %s, filler FROM big WHERE id <= 20', i) INTO n;
					IF n <> i + 1 THEN RAISE 'wrong: % %', i, n; END IF;
					EXECUTE format('/* dbperf: cache */ SELECT array_agg(id + %s), max(filler) FROM big WHERE id <= 300', i);
				END LOOP;
			END \$\$});
	}
	my $stats = $cache->ask('monitor',
		'SELECT evictions > 0, bytes_used <= bytes_limit, entries > 0, stores > 1000 FROM dbperf.cache_stats');
	is($stats, 't|t|t|t', 'some were thrown out, and the limit was kept');
	is($cache->ask('a', $quick), $expected, 'others go on') for 1 .. 2;
	nothing_left();
};
subtest 'results that do not fit' => sub {
	# larger than an entry may be
	my $large = '/* dbperf: cache */ SELECT count(x) FROM (SELECT a.filler AS x FROM big AS a OFFSET 0) AS s';
	my $wide = '/* dbperf: cache */ SELECT a.id, a.filler, b.id FROM big AS a CROSS JOIN (SELECT id FROM items WHERE id <= 4) AS b';
	my $truth = $cache->truth('a', "SELECT md5(string_agg(s::text, '' ORDER BY s)) FROM (" . substr($wide, 20) . ') AS s');

	foreach my $limit ('1MB', '100MB')
	{
		$cache->run('a', "SET dbperf.cache_max_entry_size = '$limit'");
		foreach my $round (1 .. 3)
		{
			my $out = $cache->ask('a', $wide);
			is(() = $out =~ /\n/g, 19999, "limit $limit: all rows");
		}
		is( $cache->ask('a', "SELECT md5(string_agg(s::text, '' ORDER BY s)) FROM (" . substr($wide, 20) . ') AS s'),
			$truth, 'the same ones');
	}
	is($cache->ask('monitor', 'SELECT refused > 0, bytes_used <= bytes_limit FROM dbperf.cache_stats'),
		't|t', 'they were refused');
	$cache->run('a', 'RESET dbperf.cache_max_entry_size');
	is($cache->ask('a', $large), '5000', 'others go on') for 1 .. 2;
	nothing_left();
};
subtest 'everything is pinned' => sub {
	my $sessions = 0;

	# cursors on entries of a megabyte each, until the arena is full
	$cache->run('a', 'BEGIN');
	foreach my $i (1 .. 14)
	{
		my $sql = "/* dbperf: cache */ SELECT id + $i AS n, max(filler) FROM big GROUP BY id ORDER BY 2, 1";
		$cache->ask('b', "BEGIN; DECLARE c CURSOR FOR $sql; FETCH ALL FROM c; COMMIT");
		$cache->run('a', "DECLARE c$i CURSOR FOR $sql; FETCH 1 FROM c$i");
	}
	$cache->run('monitor', 'SELECT dbperf.cache_flush()');
	is($cache->ask('monitor', 'SELECT entries, bytes_used > bytes_limit / 2 FROM dbperf.cache_stats'),
		'0|t', 'most of the memory is pinned');
	is(() = $cache->ask('b', '/* dbperf: cache */ SELECT id - 1, filler FROM big') =~ /\n/g, 4999, 'others execute');
	is($cache->ask('b', $quick), $expected, 'others execute') for 1 .. 2;
	is($cache->ask('a', "FETCH LAST FROM c$_") =~ /^(\d+)\|/ && $1, 5000 + $_, "cursor $_ has its rows")
	  foreach 1 .. 14;
	is($cache->ask('monitor', 'SELECT bytes_used <= bytes_limit FROM dbperf.cache_stats'), 't', 'the limit was kept');
	$cache->run('a', 'COMMIT');
	nothing_left();
};

#
# Restart, other sizes
#
subtest 'restart' => sub {
	ok(($cache->serve('a', $quick, 'before'))[1], 'served');
	$cache->finish;
	$node->restart;
	$cache = CacheTest->new($node);
	is($cache->ask('monitor', 'SELECT entries, hits FROM dbperf.cache_stats'), '0|0', 'everything begins anew');
	ok(($cache->serve('a', $quick, 'after'))[1], 'served');
};
subtest 'without the extension' => sub {
	my $all = '20|210';

	$node->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
	my $out = $node->safe_psql('bare', qq{
		CREATE SCHEMA t; CREATE TABLE t.items AS SELECT g AS id, g AS v FROM generate_series(1, 20) AS g;
		$quick; $quick; $quick; UPDATE t.items SET v = v + 1; $quick; $quick});
	is($out, "20|210\n20|210\n20|210\n20|230\n20|230", 'in a database without it');

	ok(($cache->serve('a', $quick, 'before'))[1], 'served');
	$cache->run($_, "PREPARE q AS $quick") foreach qw(a b);
	is($cache->ask($_, 'EXECUTE q'), $all, 'prepared') foreach qw(a b);
	$cache->run('writer', 'DROP EXTENSION dbperf');
	foreach my $who (qw(a b))
	{
		is($cache->ask($who, $_), $all, "$who, after it was dropped: $_") foreach $quick, 'EXECUTE q', $slow;
	}
	$cache->run('writer', 'UPDATE items SET v = v + 1');
	foreach my $who (qw(a b))
	{
		is($cache->ask($who, $_), '20|230', "$who, after a write: $_") foreach $quick, 'EXECUTE q', $slow;
	}
	$cache->run('writer', q{UPDATE items SET v = v - 1; CREATE EXTENSION dbperf;
		SELECT dbperf.cache_function('slow(int)', true)});
	ok(($cache->serve('a', $_, 'again'))[1], 'served again') foreach $quick, $slow;
};
subtest 'few places for relations' => sub {
	$cache->finish;
	$node->append_conf('postgresql.conf', 'dbperf.cache_relations = 64');
	$node->restart;
	$cache = CacheTest->new($node);
	ok(($cache->serve('a', $quick, 'before'))[1], 'served');
	$cache->run('writer', join('; ', map { "CREATE TABLE many$_ (n int); INSERT INTO many$_ VALUES (1)" } 1 .. 50));
	$cache->run('writer', 'UPDATE items SET v = v + 1');
	is($cache->ask('b', $quick), '20|230', 'the new rows');
	my ($answer, $hit) = $cache->serve('a', $quick, 'after');
	is($answer, '20|230', 'the new rows');
	ok($hit, 'served');
	$cache->run('writer', 'UPDATE items SET v = v - 1');
};
subtest 'no cache' => sub {
	$cache->finish;
	$node->append_conf('postgresql.conf', 'dbperf.cache_size = 0');
	$node->restart;
	$cache = CacheTest->new($node);
	is($cache->ask('a', $_), $expected, 'statements are executed') foreach $quick, $quick, $slow;
	unlike($cache->ask('monitor', "SELECT * FROM dbperf.$_"), qr/^ERROR (XX|08)/, "$_ answers or says why not")
	  foreach qw(cache_stats cache_queries cache_entries);
	unlike($cache->ask('monitor', "SELECT dbperf.$_()"), qr/^ERROR (XX|08)/, "$_ answers or says why not")
	  foreach qw(cache_flush cache_stats_reset);
	unlike($cache->why('a', $quick), qr/^ERROR (XX|08)/, 'cache_explain, too');
	$cache->finish;
	$node->append_conf('postgresql.conf', q{dbperf.cache_size = '8MB'});
	$node->restart;
	$cache = CacheTest->new($node);
};

#
# A standby, and its promotion
#
subtest 'standby' => sub {
	my $standby = PostgreSQL::Test::Cluster->new('standby');

	$node->backup('backup');
	$standby->init_from_backup($node, 'backup', has_streaming => 1);
	$standby->start;
	$cache->run('writer', 'BEGIN; UPDATE items SET v = v + 1000 WHERE id = 1');
	$cache->run('writer', q{PREPARE TRANSACTION 'late'});
	$node->wait_for_catchup($standby);

	my $other = CacheTest->new($standby);
	is($other->ask('a', $quick), $expected, 'the rows') for 1 .. 4;
	$cache->run('monitor', 'UPDATE t.items SET v = v + 1 WHERE id > 1');
	$node->wait_for_catchup($standby);
	is($other->ask('a', $quick), '20|229', 'the new rows') for 1 .. 4;
	is($other->hits, '0', 'a standby does not serve');
	is($other->ask('monitor', 'SELECT entries FROM dbperf.cache_stats'), '0', 'and keeps nothing');

	# sessions outlive the promotion
	$standby->promote;
	my ($answer, $hit) = $other->serve('a', $quick, 'promoted');
	is($answer, '20|229', 'the rows after promotion');
	$other->run('writer', q{COMMIT PREPARED 'late'});
	($answer, $hit) = $other->serve('a', $quick, 'promoted');
	is($answer, '20|1229', 'those of the transaction that was prepared before');
	ok($hit, 'a promoted server serves');
	$other->run('writer', 'UPDATE items SET v = 0');
	is($other->ask('b', $quick), '20|0', 'and sees what is written');
	$other->finish;
	$standby->stop;
	unlike(slurp_file($standby->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed');
	$cache->run('writer', q{ROLLBACK PREPARED 'late'});
};

$cache->finish;
$node->stop;
my $crashes = () = slurp_file($node->logfile) =~ /was terminated by signal/g;
my $killed = () = slurp_file($node->logfile) =~ /was terminated by signal 9/g;
is($crashes, $killed, 'no crash but those of the test');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'nothing crashed');
done_testing();
