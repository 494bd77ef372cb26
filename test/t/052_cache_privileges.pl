# Whoever asks the result cache gets their own rows or their own error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', CacheTest::conf());
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE app;
	CREATE ROLE owner;
	GRANT app TO alice, bob;
	GRANT USAGE ON SCHEMA dbperf TO PUBLIC});

my $cache = CacheTest->new($node);

my $table = q{
	CREATE TABLE items (id int PRIMARY KEY, who text, v int);
	INSERT INTO items SELECT g, CASE WHEN g % 2 = 0 THEN 'alice' ELSE 'bob' END, g FROM generate_series(1, 9) AS g};
my $query = q{SELECT count(*), sum(v) FROM items WHERE id > $1};

# A case in which a is alice and b is bob.
sub roles
{
	my ($name, %case) = @_;

	$cache->survives(
		$name,
		a     => 'SET SESSION AUTHORIZATION alice',
		b     => 'SET SESSION AUTHORIZATION bob',
		query => $query,
		args  => ['0'],
		%case,
		setup => "$table; " . ($case{setup} // ''));
	return;
}

#
# What may be read
#
subtest 'who may not read is not answered from what others stored' => sub {
	my %case = (setup => "$table; GRANT SELECT ON items TO bob", query => $query, args => ['0']);
	my $simple = CacheTest::form('simple', \%case);

	$cache->{wrong} = 0;
	$cache->prepare(\%case);
	$cache->all_served(\%case, 'before');
	$cache->run('a', 'SET SESSION AUTHORIZATION alice');
	$cache->run('b', 'SET SESSION AUTHORIZATION bob');
	foreach my $form ($simple, 'EXECUTE p(0)')
	{
		my ($answer, $hit) = $cache->exact('a', $form, 'alice');
		like($answer, qr/^ERROR 42501 permission denied for table items/, 'alice gets her error');
		ok(!$hit, 'and no hit');
		($answer, $hit) = $cache->serve('b', $form, 'bob');
		is($answer, '9|45', 'bob gets the rows');
		ok($hit, 'from the cache');
	}
	is($cache->{wrong}, 0, 'every answer is the truth');
};
roles('revoke of a table',
	setup => 'GRANT SELECT ON items TO alice, bob',
	change => 'REVOKE SELECT ON items FROM alice',
	same => qr/^b/);
roles('revoke of a column',
	setup => 'GRANT SELECT (id, v) ON items TO alice, bob',
	change => 'REVOKE SELECT (v) ON items FROM alice',
	same => qr/^b/);
roles('revoke of a column that only filters',
	setup => 'GRANT SELECT (id, v) ON items TO alice, bob',
	change => 'REVOKE SELECT (id) ON items FROM alice',
	same => qr/^b/);
roles('revoke of the schema',
	setup => 'GRANT SELECT ON items TO alice, bob; REVOKE ALL ON SCHEMA t FROM PUBLIC; GRANT USAGE ON SCHEMA t TO alice, bob',
	change => 'REVOKE USAGE ON SCHEMA t FROM alice',
	forms => ['simple'],
	same => qr/^b/);
roles('revoke from a role of which one is a member',
	setup => 'GRANT SELECT ON items TO app',
	change => 'REVOKE SELECT ON items FROM app');
roles('membership is revoked',
	setup => 'GRANT SELECT ON items TO app',
	change => 'REVOKE app FROM alice',
	undo => 'GRANT app TO alice',
	same => qr/^b/);
roles('a superuser becomes a plain role',
	setup => 'ALTER ROLE alice SUPERUSER; GRANT SELECT ON items TO bob',
	change => 'ALTER ROLE alice NOSUPERUSER',
	same => qr/^b/);
roles('the owner of the table changes',
	setup => 'ALTER TABLE items OWNER TO alice; GRANT SELECT ON items TO bob',
	change => 'ALTER TABLE items OWNER TO owner',
	same => qr/^b/);

#
# What may be executed
#
my $may_read = 'GRANT SELECT ON items TO PUBLIC';
foreach (
	[ 'a function', 'SELECT sum(abs(v)) FROM items', 'abs(int)' ],
	[ 'the function of an operator', 'SELECT sum(v - id) FROM items', 'int4mi(int, int)' ],
	[ 'an operator in a filter', 'SELECT count(*) FROM items WHERE v <> id + 1', 'int4ne(int, int)' ],
	[ 'an aggregate', 'SELECT variance(v) FROM items', 'variance(int)' ],
	[ 'a window function', 'SELECT id, ntile(2) OVER (ORDER BY id) FROM items', 'ntile(int)' ],
	[ 'a cast', 'SELECT sum(v::float8) FROM items', 'float8(int)' ],
	[ 'an element of an array', 'SELECT count(*) FROM items WHERE v >= ANY (ARRAY[id, id + 1])', 'int4ge(int, int)' ],
	[ 'a function in a subquery', 'SELECT id FROM items AS a WHERE EXISTS (SELECT FROM items AS b WHERE abs(b.v) = a.v) ORDER BY id',
		'abs(int)' ],
	[ 'a function in FROM', 'SELECT count(*) FROM items, generate_series(1, v)', 'generate_series(int, int)' ],
	[ 'a function in a view', 'SELECT sum(a) FROM absolute', 'abs(int)' ],
	[ 'an ordering operator in DISTINCT', 'SELECT DISTINCT v % 3 FROM items ORDER BY 1', 'int4mod(int, int)' ],
	[ 'a function in nullif', 'SELECT count(nullif(v, 3)) FROM items', 'int4eq(int, int)' ],
	[ 'a function in a filter of an aggregate', 'SELECT count(*) FILTER (WHERE abs(v) > 3) FROM items', 'abs(int)' ],
	[ 'a function in a column of a join', 'SELECT count(*) FROM items AS a JOIN items AS b ON abs(a.v) = b.v', 'abs(int)' ])
{
	my ($what, $sql, $function) = @$_;

	roles("revoke of $what",
		setup => "$may_read; CREATE VIEW absolute AS SELECT abs(v) AS a FROM items; GRANT SELECT ON absolute TO PUBLIC",
		query => $sql,
		change => "REVOKE EXECUTE ON FUNCTION pg_catalog.$function FROM PUBLIC; GRANT EXECUTE ON FUNCTION pg_catalog.$function TO bob",
		undo => "GRANT EXECUTE ON FUNCTION pg_catalog.$function TO PUBLIC; REVOKE EXECUTE ON FUNCTION pg_catalog.$function FROM bob",
		same => qr/^b/);
}
roles('revoke of a listed function',
	setup => "$may_read; CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN \$1 + 1; END';
		SELECT dbperf.cache_function('f(int)', true)",
	query => 'SELECT sum(f(v)) FROM items',
	change => 'REVOKE EXECUTE ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO bob',
	same => qr/^b/);

#
# Whose rows
#
my $policy = qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON items USING (who = current_user)};
roles('policy with current_user', setup => $policy,
	change => 'UPDATE items SET v = v + 1');
roles('policy with current_user, read by another role', setup => $policy,
	change => sub {
		$_[0]->run('a', 'SET SESSION AUTHORIZATION bob');
		$_[0]->run('b', 'SET SESSION AUTHORIZATION alice');
	},
	swaps => 1);
roles('policy with current_user, a superuser asks, too', setup => $policy,
	b => undef,
	change => 'UPDATE items SET v = v + 1');
roles('policy with session_user',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (who = session_user)},
	a => 'SET SESSION AUTHORIZATION alice; SET ROLE app',
	b => 'SET SESSION AUTHORIZATION bob; SET ROLE app',
	change => 'UPDATE items SET v = v + 1');
foreach my $who (qw(current_user session_user current_role user))
{
	roles("$who in the statement",
		setup => $may_read,
		query => "SELECT sum(v) FROM items WHERE who = $who AND id > \$1",
		change => 'UPDATE items SET v = v + 1');
	roles("$who is shown",
		setup => $may_read,
		query => "SELECT $who, sum(v) FROM items",
		change => 'UPDATE items SET v = v + 1');
}
roles('a role is renamed while its name is in the result',
	setup => $may_read,
	query => 'SELECT current_user, sum(v) FROM items',
	change => 'ALTER ROLE alice RENAME TO anna',
	undo => 'ALTER ROLE anna RENAME TO alice',
	same => qr/^b/);
roles('a role is renamed and another takes its name',
	setup => $policy,
	change => 'ALTER ROLE alice RENAME TO x; ALTER ROLE bob RENAME TO alice; ALTER ROLE x RENAME TO bob',
	undo => 'ALTER ROLE alice RENAME TO x; ALTER ROLE bob RENAME TO alice; ALTER ROLE x RENAME TO bob');
roles('policy with current_setting',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (who = current_setting('app.who'))},
	a => q{SET SESSION AUTHORIZATION alice; SET app.who = 'alice'},
	b => q{SET SESSION AUTHORIZATION alice; SET app.who = 'bob'},
	change => sub {
		$_[0]->run('a', q{SET app.who = 'bob'});
		$_[0]->run('b', q{SELECT set_config('app.who', 'alice', false)});
	},
	swaps => 1);
roles('policy with current_setting, of a transaction',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (who = current_setting('app.who', true))},
	a => q{SET SESSION AUTHORIZATION alice; SET app.who = 'alice'},
	b => q{SET SESSION AUTHORIZATION alice; SET app.who = 'bob'},
	change => sub { $_[0]->run('a', q{BEGIN; SET LOCAL app.who = 'nobody'}) },
	undo => sub { $_[0]->run('a', 'COMMIT') },
	same => qr/^b/);
roles('policy with current_setting of an unset name',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (current_setting('app.nothing', true) IS NULL OR who = 'bob')},
	change => q{SELECT 1; UPDATE items SET v = v + 1});
roles('policy with a table of rights',
	setup => qq{$may_read; CREATE TABLE rights (who text, item int);
		INSERT INTO rights SELECT who, id FROM items; GRANT SELECT ON rights TO PUBLIC;
		ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON items USING (EXISTS (SELECT FROM rights AS r WHERE r.who = current_user AND r.item = id))},
	change => 'DELETE FROM rights WHERE item IN (2, 3)');
roles('policy is changed', setup => $policy,
	change => 'ALTER POLICY own ON items USING (who <> current_user)');
roles('policy is added', setup => $policy,
	change => 'CREATE POLICY more ON items TO alice USING (id = 1)',
	same => qr/^b/);
roles('policy is dropped', setup => $policy,
	change => 'DROP POLICY own ON items');
roles('row security is enabled', setup => $may_read,
	change => 'ALTER TABLE items ENABLE ROW LEVEL SECURITY');
roles('row security is disabled', setup => $policy,
	change => 'ALTER TABLE items DISABLE ROW LEVEL SECURITY');
roles('row security is forced', setup => "$policy; ALTER TABLE items OWNER TO alice",
	change => 'ALTER TABLE items FORCE ROW LEVEL SECURITY',
	same => qr/^b/);
roles('row security is bypassed', setup => $policy,
	change => 'ALTER ROLE alice BYPASSRLS',
	undo => 'ALTER ROLE alice NOBYPASSRLS',
	forms => ['simple'],
	same => qr/^b/);
roles('row security is not bypassed any more', setup => "$policy; ALTER ROLE alice BYPASSRLS",
	change => 'ALTER ROLE alice NOBYPASSRLS',
	forms => ['simple'],
	same => qr/^b/);
roles('row_security = off', setup => $policy,
	change => sub { $_[0]->run('a', 'SET row_security = off') },
	same => qr/^b/);
roles('policy for a role, membership is revoked',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY group_ ON items TO app USING (true)},
	change => 'REVOKE app FROM alice',
	undo => 'GRANT app TO alice',
	forms => ['simple'],
	same => qr/^b/);
roles('policy that asks for the membership',
	setup => qq{$may_read; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY group_ ON items USING (pg_has_role(current_user, 'app', 'member'))},
	change => 'REVOKE app FROM alice',
	undo => 'GRANT app TO alice',
	refused => 1,
	same => qr/^b/);
roles('policy that asks for a privilege',
	setup => qq{$may_read; CREATE TABLE key (); GRANT SELECT ON key TO alice, bob;
		ALTER TABLE items ENABLE ROW LEVEL SECURITY;
		CREATE POLICY group_ ON items USING (has_table_privilege('t.key', 'SELECT'))},
	change => 'REVOKE SELECT ON key FROM alice',
	refused => 1,
	same => qr/^b/);

#
# SET ROLE within a session
#
subtest 'set role' => sub {
	my %case = (setup => "$table; $policy", query => $query, args => ['0'],
		session => 'SET SESSION AUTHORIZATION postgres');
	my %expected = (alice => '4|20', bob => '5|25', postgres => '9|45', app => '0|');

	$cache->{wrong} = 0;
	$cache->prepare(\%case);
	foreach my $round (1 .. 3)
	{
		foreach my $role (qw(alice bob postgres app bob alice))
		{
			$cache->run('a', "SET ROLE $role");
			foreach my $form (CacheTest::form('simple', \%case), 'EXECUTE p(0)')
			{
				my ($answer, $hit) = $cache->serve('a', $form, $role);
				is($answer, $expected{$role}, "$role sees its own");
				ok($hit, 'from the cache');
			}
		}
	}
	$cache->run('a', 'RESET ROLE');
	is($cache->{wrong}, 0, 'every answer is the truth');
};

#
# Functions that run as somebody else
#
subtest 'security definer' => sub {
	my %case = (
		setup => qq{$table; GRANT SELECT ON items TO owner; ALTER TABLE items ENABLE ROW LEVEL SECURITY;
			CREATE POLICY own ON items USING (who = CASE current_user WHEN 'owner' THEN 'alice' ELSE 'bob' END);
			CREATE FUNCTION definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
			'DECLARE r text; BEGIN SELECT /* dbperf: cache */ count(*)::text || '','' || sum(v)::text INTO STRICT r FROM t.items; RETURN r; END';
			CREATE FUNCTION invoker() RETURNS text LANGUAGE plpgsql AS
			'DECLARE r text; BEGIN SELECT /* dbperf: cache */ count(*)::text || '','' || sum(v)::text INTO STRICT r FROM t.items; RETURN r; END';
			ALTER FUNCTION definer() OWNER TO owner},
		query => 'SELECT count(*) FROM items',
		session => 'SET search_path = t');
	my $direct = q{/* dbperf: cache */ SELECT count(*)::text || ',' || sum(v)::text FROM t.items};

	$cache->prepare(\%case);
	foreach my $change ('SELECT 1', 'UPDATE items SET v = v + 1', 'GRANT SELECT ON items TO bob', 'UPDATE items SET v = v + 1')
	{
		$cache->run('writer', $change);
		my $added = $cache->run('writer', q{SELECT sum(v) - 20 FROM items WHERE who = 'alice'});
		my $bobs = $cache->run('writer', q{SELECT sum(v) FROM items WHERE who = 'bob'});
		foreach my $round (1 .. 3)
		{
			foreach my $role (qw(owner bob alice))
			{
				$cache->run('a', "SET ROLE $role");
				is($cache->ask('a', 'SELECT definer()'), '4,' . ($added + 20), "$role: as the owner of the function");
				my $expected = $role eq 'owner' ? '4,' . ($added + 20) : "5,$bobs";
				my $may = $role eq 'owner' || ($role eq 'bob' && $cache->run('monitor',
						q{SELECT has_table_privilege('bob', 't.items', 'SELECT')}) eq 't');
				my $error = qr/^ERROR 42501 permission denied/;
				foreach my $statement ('SELECT invoker()', $direct)
				{
					like($cache->ask('a', $statement), $may ? qr/^$expected$/ : $error, "$role: $statement");
				}
			}
		}
	}
	my $hits = $cache->hits;
	$cache->ask('a', 'SELECT definer()') for 1 .. 3;
	cmp_ok($cache->hits, '>=', $hits + 2, 'a statement within a function is served');
};

#
# Views
#
roles('view, as its owner',
	setup => 'GRANT SELECT ON items TO owner; CREATE VIEW seen AS SELECT * FROM items; ALTER VIEW seen OWNER TO owner;
		GRANT SELECT ON seen TO alice, bob',
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => 'REVOKE SELECT ON items FROM owner');
roles('view, its own privilege',
	setup => 'GRANT SELECT ON items TO owner; CREATE VIEW seen AS SELECT * FROM items; ALTER VIEW seen OWNER TO owner;
		GRANT SELECT ON seen TO alice, bob',
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => 'REVOKE SELECT ON seen FROM alice',
	same => qr/^b/);
roles('view with security_invoker',
	setup => 'GRANT SELECT ON items TO alice, bob; CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM items;
		GRANT SELECT ON seen TO alice, bob',
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => 'REVOKE SELECT ON items FROM alice',
	same => qr/^b/);
roles('view becomes one with security_invoker',
	setup => 'GRANT SELECT ON items TO bob; CREATE VIEW seen AS SELECT * FROM items; GRANT SELECT ON seen TO alice, bob',
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => 'ALTER VIEW seen SET (security_invoker)',
	same => qr/^b/);
roles('view over a table with a policy, as its owner',
	setup => "$policy; CREATE VIEW seen AS SELECT * FROM items; ALTER VIEW seen OWNER TO owner;
		GRANT SELECT ON seen TO alice, bob",
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => q{UPDATE items SET v = v + 1});
roles('view with security_invoker over a table with a policy',
	setup => "$policy; CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM items; GRANT SELECT ON seen TO alice, bob",
	query => 'SELECT sum(v) FROM seen WHERE id > $1',
	change => sub {
		$_[0]->run('a', 'SET SESSION AUTHORIZATION bob');
		$_[0]->run('b', 'SET SESSION AUTHORIZATION alice');
	},
	swaps => 1);

#
# The cache's own views and functions
#
subtest 'what a plain role may ask the cache' => sub {
	my $alice = $cache->session(extra_params => [ '-U', 'alice' ]);

	foreach my $view (qw(cache_stats cache_queries cache_entries))
	{
		unlike($cache->ask($alice, "SELECT count(*) FROM dbperf.$view"), qr/rows of bob/, "$view shows no rows");
	}
	foreach my $call ('cache_flush()', 'cache_stats_reset()', q{cache_table('t.items', true)}, 'cache_query(1, true)')
	{
		like($cache->ask($alice, "SELECT dbperf.$call"), qr/^ERROR 42501/, "$call is not for everybody");
	}
	# what may not be read cannot be found out by having it explained
	$cache->run('writer', "DROP SCHEMA t CASCADE; CREATE SCHEMA t; $table");
	like($cache->why($alice, 'SELECT sum(v) FROM t.items'), qr/ERROR 42501/,
		'cache_explain needs the privileges of the statement');
	$alice->quit;
};

$cache->finish;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed');
done_testing();
