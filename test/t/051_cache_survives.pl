# What the result cache must survive: every way in which rows change.  Each case
# is served from the cache first, changed, and compared with executing it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical', extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', CacheTest::conf());
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');

my $cache = CacheTest->new($node);

my $table = q{
	CREATE TABLE items (id int PRIMARY KEY, v int, note text);
	INSERT INTO items SELECT g, g, 'note ' || g FROM generate_series(1, 20) AS g};
my $query = q{SELECT count(*), sum(v), max(note) FROM items WHERE id > $1};

# A case on the table above.
sub written
{
	my ($name, $change, %more) = @_;

	$cache->survives(
		$name,
		setup  => $table . ($more{objects} ? "; $more{objects}" : ''),
		query  => $query,
		args   => ['0'],
		change => $change,
		by     => 'both',
		%more);
	return;
}

my $copy = q{COPY items FROM PROGRAM 'echo 1000,7,z'};

#
# Statements
#
written('insert', q{INSERT INTO items SELECT max(id) + 1, 7, 'z' FROM items});
written('update', 'UPDATE items SET v = v + 1 WHERE id = 3');
written('delete', 'DELETE FROM items WHERE id = (SELECT max(id) FROM items)');
written('update of a value that is stored apart',
	q{UPDATE items SET note = (SELECT 'z' || string_agg(md5(random()::text), '')
	  FROM generate_series(1, 3000)) WHERE id = 3});
written('truncate', 'TRUNCATE items', by => 'writer');
written('insert on conflict',
	'INSERT INTO items VALUES (3, 0) ON CONFLICT (id) DO UPDATE SET v = items.v + 10');
written('merge', q{
	MERGE INTO items USING (VALUES (3)) AS s (id) ON items.id = s.id
	WHEN MATCHED THEN UPDATE SET v = v + 10});
written('copy', "$copy (FORMAT csv)", by => 'writer');
written('copy freeze', "BEGIN; TRUNCATE items; $copy (FORMAT csv, FREEZE); COMMIT",
	by => 'writer');
written('a transaction of several statements',
	q{BEGIN; DELETE FROM items WHERE id = 4; INSERT INTO items VALUES (4, 99, 'q'); COMMIT});
written('common table expression',
	'WITH w AS (UPDATE items SET v = v + 1 WHERE id = 3 RETURNING id) SELECT * FROM w');
written('do block', 'DO $$ BEGIN UPDATE items SET v = v + 1; END $$');
written('do block with an error that is caught', q{
	DO $$ BEGIN
		UPDATE items SET v = v + 1;
		BEGIN UPDATE items SET v = 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
	END $$});
written('function', 'SELECT raise(2)',
	objects => 'CREATE FUNCTION raise(int) RETURNS void LANGUAGE sql AS $$ UPDATE t.items SET v = v + $1 $$');
written('procedure that commits', 'CALL raise()', objects => q{
	CREATE PROCEDURE raise() LANGUAGE plpgsql AS $$ BEGIN
		UPDATE t.items SET v = v + 1 WHERE id = 1; COMMIT;
		UPDATE t.items SET v = v + 1 WHERE id = 2; ROLLBACK;
		UPDATE t.items SET v = v + 1 WHERE id = 3;
	END $$});
written('cursor', q{
	BEGIN; DECLARE c CURSOR FOR SELECT * FROM items FOR UPDATE; FETCH c;
	UPDATE items SET v = v + 1 WHERE CURRENT OF c; COMMIT});
written('dynamic sql', q{DO $$ BEGIN EXECUTE 'UPDATE t.items SET v = v + 1'; END $$});
written('trigger', 'INSERT INTO log VALUES (1)', objects => q{
	CREATE TABLE log (n int);
	CREATE FUNCTION on_log() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE t.items SET v = v + 1; RETURN NEW; END $$;
	CREATE TRIGGER on_log AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION on_log()});
written('deferred trigger', 'INSERT INTO log VALUES (1)', objects => q{
	CREATE TABLE log (n int);
	CREATE FUNCTION on_log() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE t.items SET v = v + 1; RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER on_log AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION on_log()});
written('rule', 'INSERT INTO log VALUES (1)', objects => q{
	CREATE TABLE log (n int);
	CREATE RULE on_log AS ON INSERT TO log DO ALSO UPDATE items SET v = v + 1});
written('updatable view', 'UPDATE small SET v = v + 1',
	objects => 'CREATE VIEW small AS SELECT id, v FROM items WHERE id < 5');
written('view with an instead of trigger', 'UPDATE odd SET v = v + 1', objects => q{
	CREATE VIEW odd AS SELECT id, sum(v) AS v FROM items GROUP BY id;
	CREATE FUNCTION on_odd() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE t.items SET v = NEW.v WHERE id = NEW.id; RETURN NEW; END $$;
	CREATE TRIGGER on_odd INSTEAD OF UPDATE ON odd FOR EACH ROW EXECUTE FUNCTION on_odd()});
written('replica role', q{SET session_replication_role = replica; UPDATE items SET v = v + 1;
	RESET session_replication_role});
written('a select that writes', 'SELECT raise(id) FROM (VALUES (1), (2)) AS s (id)', objects => q{
	CREATE FUNCTION raise(int) RETURNS int LANGUAGE plpgsql AS
	$$ BEGIN UPDATE t.items SET v = v + 1 WHERE id = $1; RETURN 1; END $$});

#
# Rows that go with others
#
my $family = q{
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE %s ON UPDATE CASCADE);
	INSERT INTO parent SELECT generate_series(1, 10);
	INSERT INTO child SELECT g, g FROM generate_series(1, 10) AS g};

foreach my $action ('CASCADE', 'SET NULL')
{
	$cache->survives(
		"foreign key, on delete $action",
		setup  => sprintf($family, $action),
		query  => 'SELECT count(*), count(parent), sum(parent) FROM child WHERE id > $1',
		args   => ['0'],
		change => 'DELETE FROM parent WHERE id = (SELECT max(id) FROM parent)',
		by     => 'both');
}
$cache->survives(
	'foreign key, on update cascade',
	setup  => sprintf($family, 'CASCADE'),
	query  => 'SELECT parent FROM child ORDER BY 1',
	change => 'UPDATE parent SET id = 100 WHERE id = 1');
$cache->survives(
	'truncate cascade',
	setup  => sprintf($family, 'CASCADE'),
	query  => 'SELECT count(*) FROM child WHERE id > $1',
	args   => ['0'],
	change => 'TRUNCATE parent CASCADE');

#
# Partitions and inheritance
#
my $partitioned = q{
	CREATE TABLE items (id int, v int) PARTITION BY RANGE (id);
	CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (100);
	CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
	CREATE TABLE items_3 PARTITION OF items_2 FOR VALUES IN (101, 102);
	CREATE TABLE items_4 PARTITION OF items_2 DEFAULT;
	INSERT INTO items SELECT g, g FROM generate_series(1, 199) AS g;
	CREATE TABLE more (id int, v int);
	INSERT INTO more VALUES (300, 1000)};

foreach (
	[ 'leaf', 'parent', 'UPDATE items_3 SET v = v + 1' ],
	[ 'parent', 'leaf', 'UPDATE items SET v = v + 1', 'items_3' ],
	[ 'middle', 'leaf', 'UPDATE items_2 SET v = v + 1', 'items_3' ],
	[ 'leaf', 'middle', 'UPDATE items_4 SET v = v + 1', 'items_2' ],
	[ 'parent (insert)', 'leaf', 'INSERT INTO items VALUES (101, 0)', 'items_3' ],
	[ 'parent (row moves away)', 'leaf', 'UPDATE items SET id = 5 WHERE id = 101', 'items_3' ],
	[ 'parent (row arrives)', 'leaf', 'UPDATE items SET id = 102 WHERE id = 6', 'items_3' ],
	[ 'parent (truncate)', 'leaf', 'TRUNCATE items', 'items_3' ],
	[ 'leaf (truncate)', 'parent', 'TRUNCATE items_3' ],
	[ 'leaf (copy)', 'parent', "COPY items_3 FROM PROGRAM 'echo 101,7' (FORMAT csv)" ])
{
	my ($written, $read, $change, $name) = @$_;

	$cache->survives(
		"$written is written while the $read is cached",
		setup  => $partitioned,
		query  => 'SELECT count(*), sum(v) FROM ' . ($name // 'items') . ' WHERE id > $1',
		args   => ['1'],
		change => $change);
}
foreach (
	[ 'attach', 'ALTER TABLE items ATTACH PARTITION more FOR VALUES FROM (200) TO (400)' ],
	[ 'detach', 'ALTER TABLE items DETACH PARTITION items_1' ],
	[ 'detach concurrently', 'ALTER TABLE items DETACH PARTITION items_1 CONCURRENTLY' ],
	[ 'detach in the middle', 'ALTER TABLE items_2 DETACH PARTITION items_3' ],
	[ 'drop of a partition', 'DROP TABLE items_3' ],
	[ 'attach, then a write', [
			'ALTER TABLE items ATTACH PARTITION more FOR VALUES FROM (200) TO (400)',
			'UPDATE more SET v = 2000' ] ],
	[ 'detach and attach again, with other rows', [
			'ALTER TABLE items DETACH PARTITION items_1', 'UPDATE items_1 SET v = 0',
			'ALTER TABLE items ATTACH PARTITION items_1 FOR VALUES FROM (0) TO (100)' ] ],
	[ 'a new partition', [
			'CREATE TABLE items_5 PARTITION OF items FOR VALUES FROM (200) TO (400)',
			'INSERT INTO items VALUES (201, 5)' ] ])
{
	$cache->survives(
		$_->[0],
		setup  => $partitioned,
		query  => 'SELECT count(*), sum(v) FROM items WHERE id > $1',
		args   => ['1'],
		change => $_->[1]);
}
my $inherited = q{
	CREATE TABLE items (id int, v int);
	CREATE TABLE heir () INHERITS (items);
	CREATE TABLE other (id int, v int);
	INSERT INTO items VALUES (1, 1);
	INSERT INTO heir VALUES (2, 2);
	INSERT INTO other VALUES (3, 3)};
foreach (
	[ 'inherit', 'ALTER TABLE other INHERIT items' ],
	[ 'no inherit', 'ALTER TABLE heir NO INHERIT items' ],
	[ 'write to an heir', 'UPDATE heir SET v = 5' ],
	[ 'inherit, then a write', [ 'ALTER TABLE other INHERIT items', 'UPDATE other SET v = 9' ] ])
{
	$cache->survives(
		$_->[0],
		setup  => $inherited,
		query  => 'SELECT count(*), sum(v) FROM items WHERE id > $1',
		args   => ['0'],
		change => $_->[1]);
}

#
# Materialized views
#
my $materialized = "$table; CREATE MATERIALIZED VIEW mat AS SELECT id, v FROM items;
	CREATE UNIQUE INDEX ON mat (id)";
foreach my $how ('', 'CONCURRENTLY')
{
	$cache->survives(
		"refresh $how",
		setup  => $materialized,
		query  => 'SELECT count(*), sum(v) FROM mat WHERE id > $1',
		args   => ['0'],
		change => [ 'UPDATE items SET v = v + 1', "REFRESH MATERIALIZED VIEW $how mat" ]);
}
$cache->survives(
	'a write below a materialized view',
	setup  => $materialized,
	query  => 'SELECT count(*), sum(v) FROM mat WHERE id > $1',
	args   => ['0'],
	same   => 1,
	change => 'UPDATE items SET v = v + 1');
$cache->survives(
	'refresh with no data',
	setup  => $materialized,
	query  => 'SELECT count(*), sum(v) FROM mat WHERE id > $1',
	args   => ['0'],
	change => 'REFRESH MATERIALIZED VIEW mat WITH NO DATA');

#
# Where rows come from
#
foreach (
	[ 'view', 'SELECT count(*), sum(v) FROM view1 WHERE id > $1' ],
	[ 'join', 'SELECT count(*), sum(a.v) FROM other AS a JOIN items AS b USING (id) WHERE b.v < $1 + 15' ],
	[ 'subquery in the target list', 'SELECT a.id, (SELECT sum(v) FROM items WHERE id > a.id + $1) FROM other AS a ORDER BY 1' ],
	[ 'subquery that runs once', 'SELECT count(*) FROM other WHERE v < (SELECT sum(v) FROM items) - 210 + $1' ],
	[ 'exists', 'SELECT count(*) FROM other AS a WHERE EXISTS (SELECT FROM items AS b WHERE b.id = a.id AND b.v = a.v + $1)' ],
	[ 'common table expression', 'WITH w AS MATERIALIZED (SELECT * FROM items) SELECT count(*), sum(v) FROM w WHERE id > $1' ],
	[ 'recursive', 'WITH RECURSIVE w AS (SELECT 1 AS n, 0 AS v UNION ALL SELECT n + 1, items.v FROM w JOIN items ON items.id = n WHERE n < 10 + $1) SELECT * FROM w' ],
	[ 'union', 'SELECT v FROM other WHERE v > $1 UNION SELECT v FROM items ORDER BY 1' ],
	[ 'lateral', 'SELECT * FROM other AS a, LATERAL (SELECT sum(v) FROM items AS b WHERE b.id < a.id + $1) AS s ORDER BY 1' ],
	[ 'window', 'SELECT id, sum(v) OVER (ORDER BY id) FROM items WHERE id > $1' ],
	[ 'limit', 'SELECT id, v FROM items ORDER BY v DESC, id LIMIT $1 + 3' ],
	[ 'grouping sets', 'SELECT id % 3, count(*), sum(v) FROM items WHERE id > $1 GROUP BY GROUPING SETS ((), (id % 3)) ORDER BY 1' ],
	[ 'index only scan', 'SELECT id FROM items WHERE id > $1 ORDER BY id' ],
	[ 'security barrier view', 'SELECT count(*), sum(v) FROM view2 WHERE id > $1' ])
{
	$cache->survives(
		"read through a $_->[0]",
		setup => "$table; CREATE TABLE other AS TABLE items; ANALYZE other;
			CREATE VIEW view1 AS SELECT * FROM items WHERE v > 2;
			CREATE VIEW view2 WITH (security_barrier) AS SELECT * FROM items WHERE v > 2",
		query  => $_->[1],
		args   => ['0'],
		change => 'UPDATE items SET v = v + 1; INSERT INTO items VALUES (30, 99)');
}

#
# What is not tracked
#
written('writer without counters', 'SET track_counts = off; UPDATE items SET v = v + 1; RESET track_counts');
written('writer without counters for one transaction',
	'BEGIN; SET LOCAL track_counts = off; UPDATE items SET v = v + 1; COMMIT');
written('counters off and on again in a transaction', q{
	BEGIN; SET LOCAL track_counts = off; UPDATE items SET v = v + 1;
	SET LOCAL track_counts = on; COMMIT});
written('counters off within a do block', q{
	DO $$ BEGIN
		PERFORM set_config('track_counts', 'off', true);
		UPDATE items SET v = v + 1;
		PERFORM set_config('track_counts', 'on', true);
	END $$});
written('counters off by a function\'s own setting', 'SELECT raise()', objects => q{
	CREATE FUNCTION raise() RETURNS void LANGUAGE plpgsql SET track_counts = off AS
	$$ BEGIN UPDATE t.items SET v = v + 1; END $$});
written('counters off by the setting of a function in SQL', 'SELECT raise()', objects => q{
	CREATE FUNCTION raise() RETURNS void LANGUAGE sql SET track_counts = off AS
	$$ UPDATE t.items SET v = v + 1 $$});
written('counters off by the setting of a trigger', 'INSERT INTO log VALUES (1)', objects => q{
	CREATE TABLE log (n int);
	CREATE FUNCTION on_log() RETURNS trigger LANGUAGE plpgsql SET track_counts = off AS
	$$ BEGIN UPDATE t.items SET v = v + 1; RETURN NEW; END $$;
	CREATE TRIGGER on_log AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION on_log()});
written('counters off for copy',
	"SET track_counts = off; $copy (FORMAT csv); RESET track_counts", by => 'writer');
written('counters off for truncate', 'SET track_counts = off; TRUNCATE items; RESET track_counts', by => 'writer');
written('counters off for a cascade', 'SET track_counts = off; DELETE FROM up WHERE id = 20; RESET track_counts',
	by => 'writer', objects => q{
	CREATE TABLE up AS SELECT id FROM items;
	ALTER TABLE up ADD PRIMARY KEY (id);
	ALTER TABLE items ADD FOREIGN KEY (id) REFERENCES up ON DELETE CASCADE});
written('counters off within a savepoint that is rolled back', q{
	BEGIN; SAVEPOINT s; SET LOCAL track_counts = off; UPDATE items SET v = v + 100; ROLLBACK TO s;
	UPDATE items SET v = v + 1; COMMIT});
written('counters off in a savepoint, an earlier statement rolled back', q{
	BEGIN; SET LOCAL track_counts = off; UPDATE items SET v = v + 1; SAVEPOINT s;
	SET LOCAL track_counts = on; ROLLBACK TO s; SET LOCAL track_counts = on; COMMIT});
written('counters off for a prepared transaction', [
		'BEGIN; SET LOCAL track_counts = off; UPDATE items SET v = v + 1',
		q{PREPARE TRANSACTION 'uncounted'}, q{COMMIT PREPARED 'uncounted'} ]);
written('refresh without counters', q{SET track_counts = off; REFRESH MATERIALIZED VIEW mat},
	setup => "$table; CREATE MATERIALIZED VIEW mat AS SELECT id, random() AS v FROM items",
	query => 'SELECT sum(v) FROM mat WHERE id > $1', by => 'writer');

#
# More tables in a transaction than are listed
#
my $many = join('; ', map { "CREATE TABLE many$_ (n int)" } 1 .. 90);
my $writes = join('; ', map { "INSERT INTO many$_ VALUES (1)" } 1 .. 90);
written('more than 64 tables, ours last', "BEGIN; $writes; UPDATE items SET v = v + 1; COMMIT", objects => $many);
written('more than 64 tables, ours first', "BEGIN; UPDATE items SET v = v + 1; $writes; COMMIT",
	objects => $many, by => 'writer');
written('more than 64 tables, prepared', [
		"BEGIN; $writes; UPDATE items SET v = v + 1", q{PREPARE TRANSACTION 'many'}, q{COMMIT PREPARED 'many'} ],
	objects => $many, by => 'writer');

#
# Subtransactions
#
written('savepoint that is released', 'BEGIN; SAVEPOINT s; UPDATE items SET v = v + 1; RELEASE s; COMMIT');
written('savepoint in a savepoint', q{
	BEGIN; SAVEPOINT a; SAVEPOINT b; UPDATE items SET v = v + 1; RELEASE b; SAVEPOINT c;
	UPDATE items SET v = 0; ROLLBACK TO c; RELEASE a; COMMIT});
written('write before a savepoint that is rolled back', q{
	BEGIN; UPDATE items SET v = v + 1; SAVEPOINT a; UPDATE items SET v = 0; ROLLBACK TO a; COMMIT});
written('truncate in a savepoint', 'BEGIN; SAVEPOINT a; TRUNCATE items; RELEASE a; COMMIT', by => 'writer');
written('savepoint that is rolled back', 'BEGIN; SAVEPOINT a; UPDATE items SET v = 0; ROLLBACK TO a; COMMIT',
	same => 1);
written('roll back', 'BEGIN; UPDATE items SET v = 0; ROLLBACK', same => 1);
written('a statement that fails',
	[ sub { $_[0]->ask('writer', 'UPDATE items SET v = 1 / (id - 20)') } ]->[0], same => 1);
written('exception block', q{
	DO $$ BEGIN
		BEGIN UPDATE items SET v = v + 1; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN
			UPDATE items SET v = v + 5; END;
	END $$});

#
# Prepared transactions
#
written('prepared transaction', [
		'BEGIN; UPDATE items SET v = v + 1', q{PREPARE TRANSACTION 'one'}, q{COMMIT PREPARED 'one'} ]);
written('prepared transaction that is rolled back', [
		'BEGIN; UPDATE items SET v = 0', q{PREPARE TRANSACTION 'one'}, q{ROLLBACK PREPARED 'one'} ], same => 1);
written('prepared transaction, with savepoints', [
		'BEGIN; SAVEPOINT a; UPDATE items SET v = v + 1; RELEASE a', q{PREPARE TRANSACTION 'one'},
		q{COMMIT PREPARED 'one'} ]);

foreach my $end (qw(COMMIT ROLLBACK))
{
	foreach my $between ('nothing', 'another session', 'a restart', 'a crash')
	{
		my %case = (setup => $table, query => $query, args => ['0']);

		subtest "prepared transaction, $between, $end" => sub {
			$cache->{wrong} = 0;
			$cache->prepare(\%case);
			my $before = $cache->all_served(\%case, 'before');

			$cache->run('writer', 'BEGIN; UPDATE items SET v = v + 1');
			$cache->run('writer', q{PREPARE TRANSACTION 'late'});
			$cache->all_first(\%case, 'while prepared');
			if ($between =~ /restart|crash/)
			{
				$cache->finish;
				$node->stop($between eq 'a crash' ? 'immediate' : 'fast');
				$node->start;
				$cache = CacheTest->new($node);
				foreach my $who (qw(a b))
				{
					$cache->run($who, "PREPARE p AS /* dbperf: cache */ $query");
				}
			}
			$cache->all_first(\%case, 'while prepared') for 1 .. 2;
			$cache->run($between eq 'another session' ? 'monitor' : 'writer', "$end PREPARED 'late'");
			$cache->all_first(\%case, 'after it ended');
			my $after = $cache->all_served(\%case, 'after it ended');
			my $seen = $before->{'a simple'} ne $after->{'a simple'};
			is($seen, $end eq 'COMMIT', 'its rows are seen if it committed');
			is($cache->{wrong} // 0, 0, 'every answer is the truth');
		};
	}
}

#
# Vacuum and what else rewrites a table
#
my $unsorted = q{SELECT * FROM items WHERE id > $1};
foreach (
	[ 'vacuum full', 'VACUUM FULL items', 1 ],
	[ 'vacuum', 'VACUUM items', 1 ],
	[ 'vacuum freeze', 'VACUUM FREEZE items', 1 ],
	[ 'cluster', 'CLUSTER items USING by_v', 0 ],
	[ 'set tablespace', 'ALTER TABLE items SET TABLESPACE elsewhere', 1 ],
	[ 'set unlogged', 'ALTER TABLE items SET UNLOGGED', 1 ])
{
	$cache->survives(
		$_->[0],
		setup => "$table; CREATE INDEX by_v ON items ((-v)); DELETE FROM items WHERE id = 5"
		  . ($_->[0] =~ /tablespace/
			? q{; SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''} : ''),
		query  => $unsorted,
		args   => ['0'],
		change => $_->[1],
		undo   => $_->[0] =~ /tablespace/ ? [ 'DROP TABLE items', 'DROP TABLESPACE elsewhere' ] : undef,
		same   => $_->[2]);
}

#
# Logical replication: what is applied fires no hook of the executor
#
my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical', extra => [ '-E', 'UTF8', '--locale=C' ]);
$publisher->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\n");
$publisher->start;
$publisher->safe_psql('postgres', "CREATE SCHEMA t; SET search_path = t; $table; CREATE PUBLICATION pub FOR ALL TABLES");
foreach (
	[ 'update', 'UPDATE t.items SET v = v + 1' ],
	[ 'insert', q{INSERT INTO t.items VALUES (21, 5, 'z')} ],
	[ 'delete', 'DELETE FROM t.items WHERE id = 21' ],
	[ 'truncate', 'TRUNCATE t.items' ],
	[ 'a large transaction', q{INSERT INTO t.items SELECT g, g, 'x' FROM generate_series(1, 3000) AS g} ])
{
	my ($what, $sql) = @$_;

	$cache->survives(
		"logical replication: $what",
		setup => [
			'CREATE TABLE items (id int PRIMARY KEY, v int, note text)',
			'CREATE SUBSCRIPTION sub CONNECTION $c$' . $publisher->connstr('postgres') . '$c$ PUBLICATION pub',
			sub_synced() ],
		query  => $query,
		args   => ['0'],
		change => sub {
			$publisher->safe_psql('postgres', $sql);
			$publisher->wait_for_catchup('sub');
		},
		undo => 'DROP SUBSCRIPTION sub');
}
$publisher->stop;

# SQL that waits until the subscription has copied its tables.
sub sub_synced
{
	return q{
		DO $$ BEGIN
			WHILE EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')) LOOP
				PERFORM pg_sleep(0.02);
				COMMIT;
			END LOOP;
		END $$};
}

$cache->finish;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed');
done_testing();
