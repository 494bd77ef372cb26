# What the result cache must survive: changes of definitions, of types and of
# settings.  Each case is served first, changed, and compared with executing it.

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
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');

my $cache = CacheTest->new($node);

my $table = q{
	CREATE TABLE items (id int PRIMARY KEY, v int, note text);
	INSERT INTO items SELECT g, g, 'note ' || g FROM generate_series(1, 6) AS g};

#
# ALTER TABLE, in all ways that change what a SELECT returns
#
foreach (
	[ 'add column', 'SELECT * FROM items', 'ALTER TABLE items ADD COLUMN more int' ],
	[ 'add column with a default', 'SELECT * FROM items', 'ALTER TABLE items ADD COLUMN more int DEFAULT 5' ],
	[ 'add column with a volatile default', 'SELECT * FROM items',
		'ALTER TABLE items ADD COLUMN more float DEFAULT random()' ],
	[ 'drop column', 'SELECT * FROM items', 'ALTER TABLE items DROP COLUMN note' ],
	[ 'drop and add the same column', 'SELECT id, note FROM items', q{
		ALTER TABLE items DROP COLUMN note; ALTER TABLE items ADD COLUMN note text DEFAULT 'new'} ],
	[ 'alter type', 'SELECT v / 4 FROM items', 'ALTER TABLE items ALTER COLUMN v TYPE numeric' ],
	[ 'alter type using', 'SELECT id, v FROM items', 'ALTER TABLE items ALTER COLUMN v TYPE int USING v + 100' ],
	[ 'alter type to one that is stored alike', 'SELECT id, note FROM items ORDER BY note',
		'ALTER TABLE items ALTER COLUMN note TYPE varchar; UPDATE items SET note = 1' ],
	[ 'alter collation', 'SELECT note FROM items ORDER BY note',
		q{INSERT INTO items VALUES (7, 7, 'Note 7'); ALTER TABLE items ALTER COLUMN note TYPE text COLLATE "C"} ],
	[ 'swap two columns by renaming', 'SELECT id, v FROM items', q{
		BEGIN; ALTER TABLE items RENAME COLUMN id TO x; ALTER TABLE items RENAME COLUMN v TO id;
		ALTER TABLE items RENAME COLUMN x TO v; UPDATE items SET id = id + 10; COMMIT} ],
	[ 'rename a column of a row', 'SELECT row_to_json(items) FROM items', 'ALTER TABLE items RENAME COLUMN v TO w' ],
	[ 'rename a column of an aggregated row', 'SELECT json_agg(i) FROM items AS i',
		'ALTER TABLE items RENAME COLUMN v TO w' ],
	[ 'rename a column of a row in a subquery', 'SELECT to_jsonb(s) FROM (SELECT i FROM items AS i) AS s',
		'ALTER TABLE items RENAME COLUMN v TO w' ],
	[ 'rename a column of a row in a view', 'SELECT row_to_json(i) FROM rows AS i',
		'ALTER TABLE items RENAME COLUMN v TO w',
		'CREATE VIEW rows AS SELECT items AS whole FROM items' ],
	[ 'add a column to a row', 'SELECT row_to_json(items) FROM items', 'ALTER TABLE items ADD COLUMN more int DEFAULT 3' ],
	[ 'drop a column of a row', 'SELECT row_to_json(items) FROM items', 'ALTER TABLE items DROP COLUMN v' ],
	[ 'row as text', 'SELECT items::text FROM items', 'ALTER TABLE items DROP COLUMN v' ],
	[ 'generated column', 'SELECT * FROM items', q{
		ALTER TABLE items DROP COLUMN note;
		ALTER TABLE items ADD COLUMN note int GENERATED ALWAYS AS (v * 2) STORED} ],
	[ 'drop expression', 'SELECT count(g), sum(g) FROM items',
		'ALTER TABLE items ALTER COLUMN g DROP EXPRESSION; UPDATE items SET g = 0',
		'ALTER TABLE items ADD COLUMN g int GENERATED ALWAYS AS (v * 2) STORED' ],
	[ 'rename the table', 'SELECT sum(v) FROM items', q{
		ALTER TABLE items RENAME TO old; CREATE TABLE items AS SELECT id, v + 1 AS v FROM old} ],
	[ 'swap two tables', 'SELECT sum(v) FROM items', q{
		BEGIN; ALTER TABLE items RENAME TO x; ALTER TABLE other RENAME TO items; ALTER TABLE x RENAME TO other; COMMIT},
		'CREATE TABLE other AS SELECT id, v + 1 AS v FROM items' ],
	[ 'drop and create', 'SELECT sum(v) FROM items', "DROP TABLE items; $table; UPDATE items SET v = 0" ],
	[ 'drop and create, empty', 'SELECT count(*) FROM items', 'DROP TABLE items; CREATE TABLE items (id int)' ],
	[ 'drop', 'SELECT count(*) FROM items', 'DROP TABLE items' ],
	[ 'move to another schema', 'SELECT count(*) FROM items', q{
		CREATE SCHEMA away; ALTER TABLE items SET SCHEMA away}, undef, 'DROP SCHEMA away CASCADE' ],
	[ 'a table becomes a view', 'SELECT sum(v) FROM items',
		'ALTER TABLE items RENAME TO old; CREATE VIEW items AS SELECT v + 1 AS v FROM old' ],
	[ 'a view becomes another', 'SELECT sum(v) FROM seen',
		'CREATE OR REPLACE VIEW seen AS SELECT v FROM items WHERE id > 3',
		'CREATE VIEW seen AS SELECT v FROM items' ],
	[ 'a column of a view is renamed', 'SELECT row_to_json(seen) FROM seen',
		'ALTER VIEW seen RENAME COLUMN v TO w', 'CREATE VIEW seen AS SELECT id, v FROM items' ],
	[ 'a column below a view is renamed', 'SELECT row_to_json(seen) FROM seen ORDER BY id',
		'ALTER TABLE items RENAME COLUMN v TO w; UPDATE items SET w = 0', 'CREATE VIEW seen AS SELECT id, v FROM items' ],
	[ 'attribute of a composite type is renamed', 'SELECT row_to_json(c) FROM pairs',
		'ALTER TYPE pair RENAME ATTRIBUTE y TO z',
		'CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs AS SELECT (1, 2)::pair AS c' ],
	[ 'attribute of a composite type in a row', 'SELECT row_to_json(p) FROM pairs AS p',
		'ALTER TYPE pair RENAME ATTRIBUTE y TO z',
		'CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs AS SELECT (1, 2)::pair AS c' ],
	[ 'attribute of a composite type in an array', 'SELECT to_json(c) FROM pairs AS p',
		'ALTER TYPE pair RENAME ATTRIBUTE y TO z',
		'CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs AS SELECT ARRAY[(1, 2)::pair] AS c' ],
	[ 'attribute of a composite type below a domain', 'SELECT to_json(c) FROM pairs AS p',
		'ALTER TYPE pair RENAME ATTRIBUTE y TO z',
		q{CREATE TYPE pair AS (x int, y int); CREATE DOMAIN dpair AS pair;
		  CREATE TABLE pairs (c dpair); INSERT INTO pairs VALUES ((1, 2))} ],
	[ 'attribute is added to a composite type', 'SELECT c FROM pairs', 'ALTER TYPE pair ADD ATTRIBUTE z int CASCADE',
		'CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs (c pair); INSERT INTO pairs VALUES ((1, 2))' ],
	[ 'attribute is dropped from a composite type', 'SELECT c::text, row_to_json(c) FROM pairs',
		'ALTER TYPE pair DROP ATTRIBUTE x CASCADE',
		'CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs (c pair); INSERT INTO pairs VALUES ((1, 2))' ],
	[ 'rename a column of an array of rows', 'SELECT to_json(array_agg(i)) FROM items AS i',
		'ALTER TABLE items RENAME COLUMN v TO w' ],
	[ 'rename a column of a row in an object', q{SELECT jsonb_build_object('x', i) FROM items AS i},
		'ALTER TABLE items RENAME COLUMN v TO w' ],
	[ 'rename a column of a row of another table', 'SELECT row_to_json(h) FROM holders AS h',
		'ALTER TABLE items RENAME COLUMN v TO w', 'CREATE TABLE holders AS SELECT i FROM items AS i' ],
	[ 'rename a column of a partition', 'SELECT row_to_json(p) FROM parts AS p',
		'ALTER TABLE parts RENAME COLUMN v TO w',
		'CREATE TABLE parts (id int, v int) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts DEFAULT;
		 INSERT INTO parts VALUES (1, 1)' ],
	[ 'no partition matches, then one is attached', 'SELECT count(*) FROM parts WHERE id = 5',
		'ALTER TABLE parts ATTACH PARTITION part5 FOR VALUES IN (5)',
		'CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
		 CREATE TABLE part5 AS SELECT 5 AS id' ],
	[ 'index', 'SELECT v FROM items WHERE v > 2 ORDER BY v', 'CREATE INDEX ON items (v); UPDATE items SET v = v + 1' ],
	[ 'statistics', 'SELECT id % 2, sum(v) FROM items GROUP BY 1 ORDER BY 1', 'ANALYZE items; UPDATE items SET v = 0' ])
{
	my ($name, $query, $change, $setup, $undo) = @$_;

	$cache->survives(
		"alter: $name",
		setup  => $table . ($setup ? "; $setup" : ''),
		query  => $query,
		change => $change,
		undo   => $undo);
}

# a prepared form may fail in the native way; the answer must be that one
$cache->survives(
	'alter: the result of a prepared statement changes',
	setup  => $table,
	query  => 'SELECT * FROM items WHERE id > $1',
	args   => ['0'],
	change => 'ALTER TABLE items ADD COLUMN more int');

#
# Types
#
foreach (
	[ 'enum label as text', q{SELECT c::text FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label', q{SELECT c FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label in json', q{SELECT row_to_json(moods) FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label in an aggregate', q{SELECT string_agg(c::text, ',') FROM moods},
		q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label by format', q{SELECT format('%s', c) FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label by concat', q{SELECT concat(c, '!') FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label in an array as text', q{SELECT (ARRAY[c])::text FROM moods},
		q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'enum label in a row as text', q{SELECT moods::text FROM moods}, q{ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'} ],
	[ 'two enum labels are swapped', q{SELECT n FROM moods WHERE c::text = 'ok'}, q{
		BEGIN; ALTER TYPE mood RENAME VALUE 'ok' TO 'x'; ALTER TYPE mood RENAME VALUE 'bad' TO 'ok';
		ALTER TYPE mood RENAME VALUE 'x' TO 'bad'; COMMIT} ],
	[ 'enum label from text', q{SELECT count(*) FROM moods WHERE c = word::mood},
		q{BEGIN; ALTER TYPE mood RENAME VALUE 'ok' TO 'x'; ALTER TYPE mood RENAME VALUE 'bad' TO 'ok'; COMMIT} ],
	[ 'enum range', q{SELECT n, enum_range(c) FROM moods}, q{ALTER TYPE mood ADD VALUE 'best'} ],
	[ 'enum last', q{SELECT n, enum_last(c) FROM moods}, q{ALTER TYPE mood ADD VALUE 'best'} ],
	[ 'enum value before', q{SELECT n FROM moods WHERE c > 'bad'},
		q{ALTER TYPE mood ADD VALUE 'best' AFTER 'ok'; INSERT INTO moods VALUES (3, 'best', 'x')} ])
{
	$cache->survives(
		"type: $_->[0]",
		setup => q{CREATE TYPE mood AS ENUM ('bad', 'ok'); CREATE TABLE moods (n int, c mood, word text);
			INSERT INTO moods VALUES (1, 'ok', 'ok'), (2, 'bad', 'bad')},
		query  => $_->[1],
		change => $_->[2]);
}

my $domain = q{CREATE DOMAIN small AS int CHECK (VALUE < 100);
	CREATE TABLE nums (n int, s small); INSERT INTO nums VALUES (1, 1), (50, 50)};
$cache->survives(
	'type: constraint of a domain that is cast to',
	setup  => $domain,
	query  => 'SELECT n::small FROM nums',
	change => 'ALTER DOMAIN small ADD CONSTRAINT less CHECK (VALUE < 40) NOT VALID',
	refused => 1);
$cache->survives(
	'type: constraint of a domain in an array that is cast to',
	setup  => $domain,
	query  => 'SELECT (ARRAY[n])::small[] FROM nums',
	change => 'ALTER DOMAIN small ADD CONSTRAINT less CHECK (VALUE < 40) NOT VALID',
	refused => 1);
$cache->survives(
	'type: constraint of a domain made from json',
	setup  => "$domain; CREATE TYPE smalls AS (s small)",
	query  => q{SELECT (jsonb_populate_record(NULL::smalls, jsonb_build_object('s', n))).* FROM nums},
	change => 'ALTER DOMAIN small ADD CONSTRAINT less CHECK (VALUE < 40) NOT VALID',
	refused => 1);
$cache->survives(
	'type: a column of a domain',
	setup  => $domain,
	query  => 'SELECT s FROM nums',
	change => 'ALTER DOMAIN small ADD CONSTRAINT less CHECK (VALUE < 40) NOT VALID; UPDATE nums SET s = 3');
$cache->survives(
	'type: a cast is replaced',
	setup => q{CREATE TYPE pair AS (x int, y int); CREATE TABLE pairs AS SELECT (1, 2)::pair AS c;
		CREATE FUNCTION first(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.x';
		CREATE CAST (pair AS int) WITH FUNCTION first(pair); SELECT dbperf.cache_function('first(pair)', true)},
	query  => 'SELECT c::int FROM pairs',
	change => q{DROP CAST (pair AS int);
		CREATE FUNCTION second(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.y';
		CREATE CAST (pair AS int) WITH FUNCTION second(pair); SELECT dbperf.cache_function('second(pair)', true)},
	forms  => ['simple']); # the server itself keeps prepared plans
$cache->survives(
	'type: an operator is replaced',
	setup => qq{$table; CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT \$1 + \$2';
		CREATE OPERATOR <+> (FUNCTION = plus, LEFTARG = int, RIGHTARG = int);
		SELECT dbperf.cache_function('plus(int, int)', true)},
	query  => 'SELECT sum(v <+> 1) FROM items',
	change => q{DROP OPERATOR <+> (int, int);
		CREATE FUNCTION minus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
		CREATE OPERATOR <+> (FUNCTION = minus, LEFTARG = int, RIGHTARG = int);
		SELECT dbperf.cache_function('minus(int, int)', true)});

#
# Functions
#
foreach my $language ('sql', 'plpgsql')
{
	my ($begin, $end) = $language eq 'sql' ? ('SELECT', '') : ('BEGIN RETURN', '; END');
	my $define = sub {
		my ($body, $what) = @_;

		return "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE $language "
		  . ($what // 'IMMUTABLE') . " AS \$f\$ $begin $body $end \$f\$";
	};

	foreach (
		[ 'is replaced', $define->('$1 + 1'), $define->('$1 + 2') ],
		[ 'is dropped and made again', $define->('$1 + 1'), 'DROP FUNCTION f(int); ' . $define->('$1 + 2') ],
		[ 'becomes volatile', $define->('$1 + 1'), $define->('$1 + 2', 'VOLATILE') ],
		[ 'is replaced and fails', $define->('$1 + 1'), $define->('$1 / 0') ],
		[ 'is dropped', $define->('$1 + 1'), 'DROP FUNCTION f(int)' ],
		[ 'in another schema hides it', $define->('$1 + 1'),
			'SELECT 1; ' . ($define->('$1 + 2') =~ s/FUNCTION f/FUNCTION t.g/r)
			. '; ALTER FUNCTION f(int) RENAME TO old; ALTER FUNCTION g(int) RENAME TO f' ])
	{
		$cache->survives(
			"function in $language $_->[0]",
			setup  => "$table; $_->[1]; SELECT dbperf.cache_function('f(int)', true)",
			query  => 'SELECT sum(f(v)) FROM items',
			change => $_->[2],
			gone   => $_->[0] eq 'becomes volatile');
	}
}
$cache->survives(
	'an aggregate is replaced',
	setup  => "$table; CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
	query  => 'SELECT total(v) FROM items',
	change => q{CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4mi, STYPE = int, INITCOND = '0')});
$cache->never(
	'a function in SQL that reads a table',
	setup => qq{$table; CREATE TABLE other AS TABLE items;
		CREATE FUNCTION reads(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) + \$1 FROM t.other'},
	query  => 'SELECT sum(reads(v)) FROM items',
	change => 'UPDATE other SET v = v + 1');
$cache->never(
	'a function that says it is immutable and reads a table',
	setup => qq{$table; CREATE TABLE other AS TABLE items;
		CREATE FUNCTION reads(int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
		'BEGIN RETURN (SELECT sum(v) + \$1 FROM t.other); END'},
	query  => 'SELECT sum(reads(v)) FROM items',
	change => 'UPDATE other SET v = v + 1',
	reason => qr/reads/);

# what these say is not in the tables alone
foreach (
	'SELECT now(), sum(v) FROM items',
	'SELECT current_timestamp, sum(v) FROM items',
	'SELECT localtime, sum(v) FROM items',
	'SELECT count(*) FROM items WHERE current_timestamp IS NOT NULL',
	'SELECT statement_timestamp() IS NULL, sum(v) FROM items',
	'SELECT clock_timestamp() IS NULL FROM items',
	'SELECT pg_backend_pid(), sum(v) FROM items',
	'SELECT pg_current_xact_id_if_assigned(), sum(v) FROM items',
	'SELECT pg_current_snapshot() IS NULL, sum(v) FROM items',
	'SELECT pg_trigger_depth(), sum(v) FROM items',
	'SELECT inet_client_addr(), sum(v) FROM items',
	'SELECT version(), sum(v) FROM items',
	'SELECT current_query(), sum(v) FROM items',
	q{SELECT to_regclass('items') FROM items},
	q{SELECT has_table_privilege('items', 'SELECT') FROM items},
	q{SELECT pg_get_expr(NULL, 0), sum(v) FROM items},
	q{SELECT obj_description('items'::regclass, 'pg_class') FROM items},
	q{SELECT format_type('int'::regtype, v) FROM items},
	q{SELECT age('2020-01-01'::timestamp), sum(v) FROM items},
	q{SELECT pg_relation_size('items'), sum(v) FROM items},
	q{SELECT query_to_xml('SELECT 1', true, true, '') IS NULL FROM items},
	q{SELECT ts_stat('SELECT to_tsvector(''a'')') FROM items},
	q{SELECT (when_::timestamptz) FROM docs},
	q{SELECT (when_::tstzrange) FROM docs},
	q{SELECT (list::timestamptz[]) FROM docs},
	q{SELECT (pair::stamped) FROM docs},
	q{SELECT (when_::stamp) FROM docs},
	q{SELECT (jsonb_populate_record(NULL::stamped, j)).ts FROM docs},
	q{SELECT x.ts FROM docs, jsonb_to_record(j) AS x (ts timestamptz)},
	q{SELECT x.ts FROM docs, jsonb_to_recordset(jsonb_build_array(j)) AS x (ts timestamptz)},
	q{SELECT x.ts FROM docs, XMLTABLE('/r' PASSING CAST('<r>now</r>' AS xml) COLUMNS ts timestamptz PATH '.') AS x},
	q{SELECT r::text FROM refs},
	q{SELECT r::regclass::text FROM refs},
	q{SELECT refs::text FROM refs},
	q{SELECT row_to_json(refs) FROM refs},
	q{SELECT concat(r, '!') FROM refs},
	q{SELECT format('%s', r) FROM refs},
	q{SELECT to_jsonb(r) FROM refs},
	q{SELECT jsonb_build_object('r', r) FROM refs},
	q{SELECT array_to_string(ARRAY[r], ',') FROM refs},
	q{SELECT (ARRAY[r])::text FROM refs},
	q{SELECT quote_literal(r) FROM refs},
	q{SELECT string_agg(r::text, ',') FROM refs},
	q{SELECT json_agg(r) FROM refs},
	q{SELECT json_object_agg(r, 1) FROM refs},
	q{SELECT o::text FROM refs},
	q{SELECT y::text FROM refs},
	q{SELECT (f::text) FROM refs})
{
	$cache->never(
		"never: $_",
		setup => qq{$table; CREATE TYPE stamped AS (ts timestamptz); CREATE DOMAIN stamp AS timestamptz;
			CREATE TABLE docs (when_ text, list text, pair text, j jsonb);
			INSERT INTO docs VALUES ('now', '{now}', '(now)', '{"ts": "now"}');
			UPDATE docs SET when_ = '[now,)' WHERE @{[ /tstzrange/ ? 'true' : 'false' ]};
			CREATE TYPE named AS (a int); CREATE FUNCTION named() RETURNS int LANGUAGE sql AS 'SELECT 1';
			DROP ROLE IF EXISTS named, renamed; CREATE ROLE named;
			CREATE TABLE refs (r regclass, o regrole, y regtype, f regproc);
			INSERT INTO refs VALUES ('items', 'named', 'named', 'named')},
		query  => $_,
		moves  => 1,
		change => q{ALTER TABLE items RENAME TO other; CREATE TABLE items AS TABLE other;
			ALTER ROLE named RENAME TO renamed; ALTER TYPE named RENAME TO renamed;
			ALTER FUNCTION named RENAME TO renamed});
}
$cache->survives(
	'names that are shown, but are not in the result',
	setup  => qq{$table; CREATE TABLE refs (r regclass); INSERT INTO refs VALUES ('items')},
	query  => 'SELECT r FROM refs',
	change => 'ALTER TABLE items RENAME TO other');
$cache->never(
	'a default argument of a listed function',
	setup => qq{$table; CREATE FUNCTION defaulted(int, float DEFAULT random()) RETURNS float
		LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN \$2; END';
		SELECT dbperf.cache_function('defaulted(int, float)', true)},
	query => 'SELECT max(defaulted(v)) > 2 FROM items');
$cache->survives(
	'a default argument of a listed function changes',
	setup => qq{$table; CREATE FUNCTION defaulted(int, int DEFAULT 1) RETURNS int
		LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN \$1 + \$2; END';
		SELECT dbperf.cache_function('defaulted(int, int)', true)},
	query  => 'SELECT sum(defaulted(v)) FROM items',
	change => q{CREATE OR REPLACE FUNCTION defaulted(int, int DEFAULT 2) RETURNS int
		LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2; END'});
#
# Text search
#
$cache->survives(
	'a text search configuration changes',
	setup => qq{$table; CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
		UPDATE items SET note = 'The running dogs'},
	query  => q{SELECT to_tsvector('words', note) FROM items WHERE id = 1},
	change => 'ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH simple');
$cache->survives(
	'a text search dictionary changes',
	setup => qq{$table; CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, ACCEPT = true);
		CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
		ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH dict, english_stem;
		UPDATE items SET note = 'The running dogs'},
	query  => q{SELECT to_tsvector('words', note) FROM items WHERE id = 1},
	change => 'ALTER TEXT SEARCH DICTIONARY dict (ACCEPT = false)');

$cache->survives(
	'a text search dictionary changes that is asked itself',
	setup  => qq{$table; CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, STOPWORDS = english)},
	query  => q{SELECT ts_lexize('dict', 'the'), sum(v) FROM items},
	forms  => ['simple'], # a prepared plan keeps what the planner has worked out
	change => 'ALTER TEXT SEARCH DICTIONARY dict (STOPWORDS)');

#
# Names: which table is it?
#
$cache->survives(
	'a new table earlier in search_path',
	setup  => qq{$table; CREATE SCHEMA IF NOT EXISTS first},
	session => 'SET search_path = first, t',
	query  => 'SELECT sum(v) FROM items',
	forms  => ['simple'], # the server itself keeps prepared plans
	change => 'CREATE TABLE first.items AS SELECT 1000 AS v',
	undo   => 'DROP SCHEMA first CASCADE');
$cache->survives(
	'two sessions with another search_path',
	setup  => qq{$table; CREATE SCHEMA first; CREATE TABLE first.items AS SELECT 1000 AS v},
	a      => 'SET search_path = first',
	b      => 'SET search_path = t',
	query  => 'SELECT sum(v) FROM items',
	change => 'UPDATE items SET v = v + 1; UPDATE first.items SET v = v + 1',
	undo   => 'DROP SCHEMA first CASCADE');
$cache->survives(
	'search_path changes in a session',
	setup  => qq{$table; CREATE SCHEMA first; CREATE TABLE first.items AS SELECT 1000 AS v},
	query  => 'SELECT sum(v) FROM items',
	change => sub { $_[0]->run($_, 'SET search_path = first') foreach qw(a b) },
	undo   => 'DROP SCHEMA first CASCADE');
subtest 'a temporary table hides the table' => sub {
	my %case = (setup => $table, query => 'SELECT sum(v) FROM items');

	$cache->{wrong} = 0;
	$cache->prepare(\%case);
	$cache->all_served(\%case, 'before');
	$cache->run('a', 'CREATE TEMP TABLE items AS SELECT 5 AS v');
	is($cache->ask('a', CacheTest::form('simple', \%case)), '5', 'its owner sees the temporary one') for 1 .. 3;
	is($cache->ask('b', CacheTest::form('simple', \%case)), '21', 'others do not') for 1 .. 3;
	$cache->run('a', 'DROP TABLE pg_temp.items');
	$cache->all_served(\%case, 'after');
	is($cache->{wrong}, 0, 'every answer is the truth');
};

#
# A copy of a database has the same tables under the same OIDs
#
subtest 'another database' => sub {
	my $sum = '/* dbperf: cache */ SELECT sum(v) FROM items';

	$cache->prepare({ query => 'SELECT sum(v) FROM items', setup => $table });
	ok(($cache->serve('a', $sum, 'original'))[1], 'served');
	$cache->finish;
	$node->safe_psql('template1', 'CREATE DATABASE twin TEMPLATE postgres');
	$node->safe_psql('twin', 'UPDATE t.items SET v = v + 100');
	$cache = CacheTest->new($node);
	my $other = CacheTest->new($node, 'twin');
	my ($answer, $hit) = $cache->serve('a', $sum, 'original');
	ok($hit && $answer eq '21', 'the original is served');
	($answer, $hit) = $other->serve('a', $sum, 'copy');
	ok($hit && $answer eq '621', 'the copy has its own rows');
	$other->run('writer', 'UPDATE items SET v = 0');
	is($other->ask('b', $sum), '0', 'a write in the copy');
	is($cache->ask('b', $sum), '21', 'does not show in the original');
	$other->finish;

	# the OIDs are used again
	$cache->finish;
	$node->safe_psql('template1', 'DROP DATABASE twin');
	$node->safe_psql('template1', 'CREATE DATABASE twin TEMPLATE postgres');
	$other = CacheTest->new($node, 'twin');
	($answer, $hit) = $other->serve('a', $sum, 'new copy');
	ok($hit && $answer eq '21', 'a new copy has the rows of its template');
	my $named = '/* dbperf: cache */ SELECT current_catalog, sum(v) FROM items';
	is($other->ask('a', $named), 'twin|21', 'its name') for 1 .. 2;
	$other->finish;
	$node->safe_psql('postgres', 'ALTER DATABASE twin RENAME TO sibling');
	$other = CacheTest->new($node, 'sibling');
	is($other->ask('a', $named), 'sibling|21', 'its new name') for 1 .. 2;
	$other->finish;
	$node->safe_psql('postgres', 'DROP DATABASE sibling');
	$cache = CacheTest->new($node);
};

#
# Without a hint
#
$cache->survives(
	'auto',
	mode    => 'auto',
	setup   => $table,
	session => q{SET dbperf.cache_admission = repeated},
	query   => 'SELECT sum(v) FROM items WHERE id > $1',
	args    => ['0'],
	change  => 'UPDATE items SET v = v + 1');
$cache->survives(
	'a listed table',
	hint   => '/* none */ ',
	setup  => "$table; SELECT dbperf.cache_table('items', true)",
	query  => 'SELECT sum(v) FROM items WHERE id > $1',
	args   => ['0'],
	change => 'UPDATE items SET v = v + 1');
$cache->survives(
	'a table becomes one that is never cached',
	setup  => $table,
	query  => 'SELECT sum(v) FROM items WHERE id > $1',
	args   => ['0'],
	same   => 1,
	gone   => 1,
	change => "SELECT dbperf.cache_table('t.items', false)");

#
# Settings: each session gets what its own settings say
#
foreach (
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT ts::text, date_trunc('day', ts), extract(hour FROM ts) FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT count(*) FROM kinds WHERE ts::date = '2020-01-01'} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT to_char(ts, 'HH24 TZ') FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT row_to_json(k) FROM (SELECT ts FROM kinds) AS k} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT count(*) FROM kinds WHERE ts > d + interval '10 hours'} ],
	[ 'DateStyle', 'ISO, YMD', 'German', q{SELECT d::text, ts::text FROM kinds} ],
	[ 'DateStyle', 'ISO, MDY', 'ISO, DMY', q{SELECT word::date FROM kinds}, 1 ],
	[ 'IntervalStyle', 'postgres', 'iso_8601', q{SELECT i::text FROM kinds} ],
	[ 'IntervalStyle', 'postgres', 'sql_standard', q{SELECT (word2::interval)::text, word2::interval = i FROM kinds} ],
	[ 'extra_float_digits', '1', '-10', q{SELECT f::text FROM kinds} ],
	[ 'bytea_output', 'hex', 'escape', q{SELECT b::text FROM kinds} ],
	[ 'default_text_search_config', 'english', 'simple', q{SELECT to_tsvector(sentence) FROM kinds} ],
	[ 'default_text_search_config', 'english', 'simple',
		q{SELECT count(*) FROM kinds WHERE sentence @@ 'dog'} ],
	[ 'xmloption', 'content', 'document', q{SELECT xml::xml IS NULL FROM kinds}, 1 ],
	[ 'array_nulls', 'on', 'off', q{SELECT (arr::text[])[1] IS NULL FROM kinds} ],
	[ 'quote_all_identifiers', 'off', 'on', q{SELECT quote_ident(ident) FROM kinds} ],
	[ 'lc_monetary', 'C', 'POSIX', q{SELECT m::text FROM kinds} ],
	[ 'search_path', 't', 'pg_catalog, t', q{SELECT current_schema, sum(f) FROM t.kinds}, 1 ],
	[ 'search_path', 't', 'pg_catalog, t', q{SELECT current_schemas(true), sum(f) FROM t.kinds GROUP BY 1}, 1 ],
	[ 'client_encoding', 'UTF8', 'LATIN1', q{SELECT accent FROM kinds} ],
	[ 'default_transaction_isolation', 'read committed', 'repeatable read',
		q{SELECT current_setting('transaction_isolation'), sum(f) FROM kinds} ],
	[ 'application_name', 'one', 'two', q{SELECT current_setting('application_name') FROM kinds} ],
	[ 'application_name', 'one', 'two', q{SELECT current_setting(named) FROM kinds}, 1 ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT row_to_json(kinds) ->> 'ts' FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT kinds::text LIKE '%20:00:00%' FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT array_to_string(ARRAY[ts], ',') FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT tstzrange(ts, NULL)::text FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT max(ts)::text, string_agg(ts::text, ',') FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT jsonb_build_object('ts', ts), to_jsonb(ts), concat(ts), format('%s', ts) FROM kinds} ],
	[ 'TimeZone', 'UTC', 'Asia/Tokyo', q{SELECT jsonb_path_query_tz(to_jsonb(word4), '$.datetime() < "2020-01-02 06:00:00+00".datetime()') FROM kinds}, 1 ],
	[ 'enable_seqscan', 'on', 'off', q{SELECT id FROM moved WHERE id > 0 LIMIT 3} ],
	[ 'app.who', '1', '2', q{SELECT sum(f) FROM kinds WHERE current_setting('app.who') = '1'} ],
	[ 'app.who', '1', '2', q{SELECT current_setting('app.who', true) FROM kinds} ],
	[ 'timezone_abbreviations', 'Default', 'India', q{SELECT word3::timestamptz FROM kinds}, 1 ])
{
	my ($setting, $one, $two, $query, $refused) = @$_;

	$cache->survives(
		"setting: $setting, $query",
		setup => q{
			CREATE TABLE kinds (ts timestamptz, d date, i interval, f float8, b bytea, m money,
				word text, word2 text, word3 text, sentence text, xml text, arr text, ident text, named text, accent text, word4 text);
			INSERT INTO kinds VALUES ('2020-01-01 20:00 UTC', '2020-01-02', '-1 day 2 hours', 0.1 + 0.2, '\x41ff',
				12.5, '02/03/2020', '-1 2:00:00', '2020-01-01 12:00 IST', 'the dogs run', '<a/><b/>', '{NULL}',
				'lower', 'application_name', U&'caf\00e9', '2020-01-02 00:00:00');
			CREATE TABLE moved AS SELECT g AS id FROM generate_series(1, 1000) AS g;
			ALTER TABLE moved ADD PRIMARY KEY (id); UPDATE moved SET id = id WHERE id < 3;
			ANALYZE moved},
		a      => "SET $setting = '$one'",
		b      => "SET $setting = '$two'",
		query  => $query,
		change => sub {
			my ($self) = @_;

			# ... and when a session changes its mind
			$self->run('a', "SET $setting = '$two'");
			$self->run('b', "SET $setting = '$one'");
		},
		same  => 1,
		swaps => 1,
		refused => $refused);
}

#
# What the planner works out is as old as the plan
#
foreach (
	[ 'bytea_output', 'hex', 'escape', q{SELECT '\x41ff'::bytea::text, sum(v) FROM items} ],
	[ 'extra_float_digits', '1', '0', q{SELECT (0.3::float8 - 0.1::float8)::text, sum(v) FROM items} ],
	[ 'bytea_output', 'hex', 'escape', q{SELECT count(*) FROM items WHERE v < length('\x41ff'::bytea::text)} ])
{
	my ($setting, $one, $two, $query) = @$_;

	subtest "a plan of other settings: $query" => sub {
		my %case = (setup => $table, query => $query, a => "SET $setting = '$one'", b => "SET $setting = '$two'");

		$cache->{wrong} = 0;
		$cache->prepare(\%case);
		$cache->all_served(\%case, 'before');
		# a's plan has what was right with the old setting, as without a cache
		$cache->run('a', "SET $setting = '$two'");
		$cache->run('writer', 'SELECT dbperf.cache_flush()');
		$cache->exact('a', 'EXECUTE p', 'a, prepared') for 1 .. 2;
		foreach my $who (qw(b a))
		{
			ok(($cache->serve($who, CacheTest::form('simple', \%case), "$who, simple"))[1], "$who: served");
		}
		is($cache->{wrong}, 0, 'every answer is the truth');
	};
}

$cache->finish;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashed');
done_testing();
