# What a build and its worker must not do with the functions of others, what is
# measured around it, and the verdict that the worker writes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
log_min_messages = log
dbperf.advisor_interval = 0
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');

sub sql
{
	my ($sql, @options) = @_;

	return $node->safe_psql('postgres', $sql, @options);
}

sub poll
{
	return $node->poll_query_until('postgres', $_[0]);
}

sub set
{
	sql("ALTER SYSTEM SET $_[0]");
	$node->reload;
	return;
}

# Has the advisor rest: no visit goes on that began before.
sub rest
{
	set('dbperf.advisor_interval = 0');
	sleep(1);
	poll(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'dbperf advisor'});
	return;
}

#
# A function in an index expression and in a predicate runs as its table's
# owner, whoever asks: in the build, and when the worker looks at advice
#
sql(q{
	CREATE ROLE alice LOGIN;
	CREATE SCHEMA alice AUTHORIZATION alice;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION alice.spy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		RAISE LOG 'spy runs as % of % with path %', current_user, session_user,
			current_setting('search_path');
		RETURN $1;
	END $$;
	CREATE TABLE alice.t AS SELECT g AS a, g AS b FROM generate_series(1, 3) AS g;
});
my $spying = q{INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns,
	identity, ddl) VALUES ('alice', 't', 'btree', '{x}', '%s', '') RETURNING id};
my $id = sql(sprintf($spying, 'ON alice.t USING btree (alice.spy(a)) WHERE (b >= alice.spy(1))'));
my $open = sql(sprintf($spying, 'ON alice.t USING btree (alice.spy(b)) WHERE (a >= alice.spy(1))'));
sql("SELECT dbperf.apply_index_advice($id)");
ok(poll("SELECT status = 'applied' FROM dbperf.index_advice WHERE id = $id"), 'it is built');
# a plan with the index would fold the predicate
sql('SELECT count(*) FROM dbperf.index_candidates()');
# a literal of such a type is checked as soon as the statement is analysed
sql(q{
	SET SESSION AUTHORIZATION alice;
	CREATE DOMAIN alice.spied AS int CHECK (alice.spy(value) > 0);
	CREATE TYPE alice.pair AS (x alice.spied);
	CREATE TABLE alice.u (a int, c alice.pair);
	RESET SESSION AUTHORIZATION;
	INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity,
		ddl) VALUES ('alice', 'u', 'btree', '{a}',
		$$ON alice.u USING btree (a) WHERE (c = '(1)'::alice.pair)$$, '');
});
my ($rc, $out, $err) = $node->psql('postgres',
	q{SELECT dbperf.apply_index_advice(id) FROM dbperf.index_advice WHERE table_name = 'u'});
isnt($rc, 0, 'a superuser cannot apply what runs such a function');
set(q{dbperf.advisor_interval = '1s'});
ok(poll('SELECT count(*) = 1 FROM dbperf.advisor_runs WHERE finished_at IS NOT NULL'),
	'the worker has looked at it');
set('dbperf.advisor_interval = 0');
my $log = slurp_file($node->logfile);
like($log, qr/spy runs as alice of postgres/, 'the function ran');
unlike($log, qr/spy runs as postgres/, 'and never as the superuser');
is(sql("SELECT status FROM dbperf.index_advice WHERE id = $open"), 'open', 'the other advice is open');

#
# Measured before and after the build, with the tables
#
sql(q{
	CREATE TABLE orders (id int PRIMARY KEY, customer int, note text);
	INSERT INTO orders SELECT g, g % 5000, repeat('x', 50) FROM generate_series(1, 100000) AS g;
	CREATE TABLE other (id int PRIMARY KEY);
	CREATE TABLE parts (a int) PARTITION BY RANGE (a);
	CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
	CREATE VIEW seen AS SELECT * FROM orders;
	ANALYZE;
	SELECT dbperf.query_latency_reset(), pg_stat_reset(), pg_stat_statements_reset();
});
sql('SELECT count(*) FROM orders WHERE customer = 17;
	SELECT count(*) FROM other;
	SELECT count(*) FROM part1;
	SELECT count(*) FROM seen WHERE note IS NULL AND id IN (SELECT id FROM other);
	UPDATE orders SET note = note WHERE id = 5;');
set(q{dbperf.advisor_interval = '1s'});
ok( poll(q{SELECT count(*) = 1 FROM dbperf.index_advice WHERE table_name = 'orders'
		   AND key_columns = '{customer}'}), 'advice');
ok(poll('SELECT count(*) > 0 FROM dbperf.index_advice_measurements'), 'measurements');
rest();
is( sql(q{SELECT string_agg(DISTINCT tables::text, ' ' ORDER BY tables::text)
		  FROM dbperf.index_advice_measurements WHERE NOT 'alice.t' = ANY (tables)}),
	'{public.orders,public.other} {public.orders} {public.other} {public.part1,public.parts}',
	'with the tables that the queries use, behind views and above partitions');
$id = sql(q{SELECT id FROM dbperf.index_advice WHERE table_name = 'orders' AND key_columns = '{customer}'});
my $count = sql('SELECT count(DISTINCT queryid) FROM dbperf.index_advice_measurements');
sql("SELECT dbperf.apply_index_advice($id)");
ok(poll("SELECT status = 'applied' FROM dbperf.index_advice WHERE id = $id"), 'it is built');
is( sql("SELECT count(*) FILTER (WHERE m.taken_at = a.build_started_at) || ' ' ||
				count(*) FILTER (WHERE m.taken_at = a.applied_at)
		 FROM dbperf.index_advice_measurements AS m, dbperf.index_advice AS a WHERE a.id = $id"),
	"$count $count",
	'measured right before and right after the build');

#
# The verdict
#
sub judge
{
	my ($ms_after, $where) = @_;

	# three days ago; two days of measurements on both sides, none in the last hour
	sql("
		TRUNCATE dbperf.index_advice_measurements;
		UPDATE dbperf.index_advice SET build_started_at = now() - interval '3 days',
			applied_at = now() - interval '3 days', verdict = NULL, verdict_detail = NULL
		WHERE id = $id;
		INSERT INTO dbperf.index_advice_measurements
		SELECT 1, t, 10 * row_number() OVER (ORDER BY t),
			sum(CASE WHEN t > now() - interval '3 days' THEN 10 * $ms_after ELSE 100 END)
				OVER (ORDER BY t), '{public.orders}'
		FROM generate_series(now() - interval '5 days', now() - interval '1 day', '1 hour') AS t;");
	set(q{dbperf.advisor_interval = '1s'});
	ok(poll("SELECT verdict IS NOT NULL FROM dbperf.index_advice WHERE id = $id"), 'a verdict');
	rest();
	return sql("SELECT verdict, drop_ddl, status FROM dbperf.index_advice WHERE id = $id");
}

is(judge(2), 'improved||applied', 'improved');
is(judge(10), 'neutral||applied', 'neutral');
is(judge(30), 'worse|DROP INDEX CONCURRENTLY public.orders_customer_idx;|applied', 'worse');
is(sql(q{SELECT count(*) FROM pg_class WHERE relname = 'orders_customer_idx'}), '1', 'nothing is dropped');
like(
	sql("SELECT verdict_detail FROM dbperf.index_advice WHERE id = $id"),
	qr/take 3\.000 times as long .* too few other queries/,
	'with the figures');
is(judge(5), 'improved||applied', 'a verdict can change');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
