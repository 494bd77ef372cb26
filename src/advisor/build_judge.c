/*-------------------------------------------------------------------------
 *
 * build_judge.c
 *		Measures what queries take before and after an index was built.
 *
 * While there is advice, what every query has taken so far is written down
 * once an hour, with the tables that it uses, and again right before and right
 * after a build.  The verdict itself is the SQL function judge_index_advice():
 * it only reads those rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/store.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define VISIT_TIMEOUT 1000 /* ms that one statement's analysis may take */
#define KEEP "interval '15 days'"

/* Pairs of a query and a table that it uses. */
typedef struct TableUse
{
	MemoryContext context;
	int			  count;
	int			  size;
	Datum		 *queries; /* int8 */
	Datum		 *tables;  /* oid */
} TableUse;

/* Note that the query uses the table. */
static void
add_use(TableUse *uses, int64 query, Oid table)
{
	MemoryContext old = MemoryContextSwitchTo(uses->context);

	if (uses->count == uses->size)
	{
		uses->size *= 2;
		uses->queries = repalloc(uses->queries, uses->size * sizeof(Datum));
		uses->tables = repalloc(uses->tables, uses->size * sizeof(Datum));
	}
	uses->queries[uses->count] = Int64GetDatum(query);
	uses->tables[uses->count] = ObjectIdGetDatum(table);
	uses->count++;
	MemoryContextSwitchTo(old);
}

/* What collect_tables() walks with. */
typedef struct CollectTables
{
	TableUse *uses;
	int64	  query;
} CollectTables;

/* Walker: the tables of a rewritten query, in all of its parts. */
static bool
collect_tables(Node *node, void *arg)
{
	CollectTables *collect = arg;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW)
			add_use(collect->uses, collect->query, entry->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_tables, arg, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, collect_tables, arg);
}

/* Visitor: note the tables of one statement. */
static void
note_tables(Subject *subject, const Analyzed *analyzed, void *arg)
{
	CollectTables collect = {arg, subject->id};

	(void) collect_tables((Node *) analyzed->queries, &collect);
}

/* Which tables the recorded queries use. */
static void
find_uses(TableUse *uses)
{
	Workload *workload = dbperf_workload_recorded();
	ListCell *cell;

	uses->context = CurrentMemoryContext;
	uses->count = 0;
	uses->size = 256;
	uses->queries = palloc(uses->size * sizeof(Datum));
	uses->tables = palloc(uses->size * sizeof(Datum));

	foreach (cell, workload->subjects)
	{
		Subject *subject = lfirst(cell);
		bool	 timed_out = false;

		CHECK_FOR_INTERRUPTS();
		if (subject->problem == NULL)
			(void) dbperf_subject_visit(subject, VISIT_TIMEOUT, note_tables, uses, &timed_out);
	}
}

/*
 * Measure all queries of this database whose tables can be found.  Somebody
 * who sees the whole workload must call it.
 */
void
dbperf_judge_measure(void)
{
	/* a query on a partition is one on its partitioned tables, too */
	static const char *const sql =
		"INSERT INTO dbperf.index_advice_measurements (queryid, taken_at, calls, total_ms, tables) "
		"SELECT l.queryid, now(), sum(l.calls), sum(l.total_ms), u.tables"
		"  FROM dbperf.query_latency() AS l,"
		"       (SELECT x.queryid, array_agg(DISTINCT format('%I.%I', n.nspname, c.relname)) AS tables"
		"          FROM unnest($1, $2) AS x (queryid, relid)"
		"               JOIN pg_class AS p ON p.oid = x.relid"
		"               CROSS JOIN LATERAL (SELECT p.oid AS relid UNION"
		"                    SELECT a.relid FROM pg_partition_ancestors(p.oid) AS a) AS t"
		"               JOIN pg_class AS c ON c.oid = t.relid"
		"               JOIN pg_namespace AS n ON n.oid = c.relnamespace"
		"         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbperf')"
		"         GROUP BY x.queryid) AS u "
		"WHERE l.queryid = u.queryid AND l.database_name = current_database()"
		"  AND l.period = 'lifetime' "
		"GROUP BY l.queryid, u.tables ON CONFLICT DO NOTHING";
	TableUse	 uses;
	StoreArgs	 args = {0};
	StoreSession session;

	find_uses(&uses);
	dbperf_store_arg(
		&args, INT8ARRAYOID,
		PointerGetDatum(construct_array(uses.queries, uses.count, INT8OID, sizeof(int64),
										FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	dbperf_store_arg(&args, OIDARRAYOID,
					 PointerGetDatum(construct_array(uses.tables, uses.count, OIDOID, sizeof(Oid),
													 true, TYPALIGN_INT)));
	dbperf_store_open(&session);
	(void) dbperf_store_execute(sql, &args);
	(void) dbperf_store_execute("DELETE FROM dbperf.index_advice_measurements "
								"WHERE taken_at < now() - " KEEP,
								NULL);
	dbperf_store_close(&session);
}

/*
 * Measure those queries again whose tables are known from the last time.
 */
void
dbperf_judge_snapshot(void)
{
	static const char *const sql =
		"INSERT INTO dbperf.index_advice_measurements (queryid, taken_at, calls, total_ms, tables) "
		"SELECT l.queryid, now(), l.calls, l.total_ms, m.tables"
		"  FROM (SELECT queryid, sum(calls) AS calls, sum(total_ms) AS total_ms"
		"          FROM dbperf.query_latency()"
		"         WHERE database_name = current_database() AND period = 'lifetime'"
		"         GROUP BY queryid) AS l,"
		"       LATERAL (SELECT tables FROM dbperf.index_advice_measurements"
		"                 WHERE queryid = l.queryid ORDER BY taken_at DESC LIMIT 1) AS m "
		"ON CONFLICT DO NOTHING";
	StoreSession session;

	dbperf_store_open(&session);
	(void) dbperf_store_execute(sql, NULL);
	dbperf_store_close(&session);
}

/*
 * Judge every applied index of the last days, again as long as calls come in.
 */
void
dbperf_judge_all(void)
{
	static const char *const sql =
		"UPDATE dbperf.index_advice AS a SET verdict = j.verdict, verdict_detail = j.detail,"
		" drop_ddl = CASE WHEN j.verdict = 'worse' THEN"
		"   format('DROP INDEX %s%I.%I;', CASE WHEN c.relkind = 'I' THEN '' ELSE 'CONCURRENTLY ' END,"
		"          a.schema_name, a.index_name) END "
		"FROM dbperf.index_advice AS b"
		"     CROSS JOIN LATERAL dbperf.judge_index_advice(b.id) AS j"
		"     LEFT JOIN pg_namespace AS n ON n.nspname = b.schema_name"
		"     LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = b.index_name "
		"WHERE b.id = a.id AND b.status = 'applied' AND b.index_name IS NOT NULL"
		"  AND (b.verdict IS NULL OR b.applied_at > now() - interval '8 days')"
		"  AND (a.verdict, a.verdict_detail) IS DISTINCT FROM (j.verdict, j.detail)";
	StoreSession session;

	dbperf_store_open(&session);
	(void) dbperf_store_execute(sql, NULL);
	dbperf_store_close(&session);
}
