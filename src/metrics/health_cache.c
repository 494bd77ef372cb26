/*-------------------------------------------------------------------------
 *
 * health_cache.c
 *		The target cache_hit_ratio: answers that the result cache gave.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "metrics/health.h"
#include "utils/builtins.h"

/* A longer text is looked up by its id. */
#define MAX_TEXT 1000

static const char sums[] =
	"SELECT (sum(q.hits) / nullif(sum(q.hits) + sum(q.misses), 0))::float8, sum(q.hits)::float8,"
	" sum(q.misses)::float8, sum(q.bypassed)::float8, sum(q.saved_ms)"
	" FROM dbperf.cache_queries() AS q WHERE q.database_name = current_database()";

/* The query whose misses cost most. */
static const char worst_query[] =
	"SELECT q.queryid, q.misses::float8, q.mean_miss_ms, q.hit_ratio"
	" FROM dbperf.cache_queries() AS q"
	" WHERE q.database_name = current_database() AND q.misses > 0 AND q.queryid IS NOT NULL"
	" ORDER BY q.misses * coalesce(q.mean_miss_ms, 0) DESC, q.queryid LIMIT 1";

/* Executions that passed the cache by, and why the most of them did. */
static const char bypassed_query[] =
	"SELECT q.queryid, q.bypassed::float8, q.last_bypass_reason"
	" FROM dbperf.cache_queries() AS q"
	" WHERE q.database_name = current_database() AND q.queryid IS NOT NULL"
	"   AND q.last_bypass_reason IS NOT NULL"
	" ORDER BY q.bypassed DESC, q.queryid LIMIT 1";

/*
 * The text of a query if the caller itself has sent it.  cache_explain() plans a
 * text as its caller, so one of another role is not proposed: planning can run
 * functions that the other role has written.
 */
static const char sample[] = "SELECT s.query FROM dbperf.query_samples() AS s"
							 " WHERE s.queryid = $1 AND s.database_name = current_database()"
							 "   AND s.user_name = current_user"
							 "   AND octet_length(s.query) = s.query_length"
							 " ORDER BY s.taken_at DESC LIMIT 1";

static const char since[] =
	"SELECT to_char(s.stats_reset, 'YYYY-MM-DD HH24:MI') FROM dbperf.cache_stats() AS s";

/* What tells why the cache does with a query what it does. */
static void
next_for_query(HealthTarget *target, const char *queryid)
{
	Oid	  types[] = {INT8OID};
	Datum values[] = {DirectFunctionCall1(int8in, CStringGetDatum(queryid))};
	char *text = NULL;

	if (dbperf_health_ask(sample, 1, types, values) > 0)
		text = dbperf_health_text(0, 1);
	if (text != NULL && strlen(text) <= MAX_TEXT)
		dbperf_health_next(target, "SELECT * FROM dbperf.cache_explain(%s);",
						   quote_literal_cstr(text));
	else
		dbperf_health_next(target, "SELECT * FROM dbperf.cache_queries WHERE queryid = %s;",
						   queryid);
}

/* Names the query that keeps the ratio down. */
static void
blame(HealthTarget *target)
{
	double misses = 0;
	double ms = 0;
	char  *queryid;

	if (dbperf_health_ask(worst_query, 0, NULL, NULL) == 0)
	{
		dbperf_health_next(target,
						   "SELECT * FROM dbperf.cache_queries ORDER BY misses DESC LIMIT 10;");
		return;
	}
	queryid = dbperf_health_text(0, 1);
	(void) dbperf_health_number(0, 2, &misses);
	(void) dbperf_health_number(0, 3, &ms);
	dbperf_health_evidence(target, "most is lost with query %s: %.0f misses of %s", queryid, misses,
						   dbperf_health_ms(ms));
	next_for_query(target, queryid);
}

/* The cache was not asked: why. */
static void
explain_nothing(HealthTarget *target)
{
	if (dbperf_health_setting_is("dbperf.cache_size", "0"))
	{
		dbperf_health_evidence(target, "the result cache has no memory: dbperf.cache_size is 0; "
									   "to change that takes a restart of the server");
		dbperf_health_next(target, "ALTER SYSTEM SET dbperf.cache_size = '64MB';");
	}
	else if (dbperf_health_setting_is("dbperf.cache_mode", "off"))
	{
		dbperf_health_evidence(target, "the result cache is off");
		dbperf_health_next(target, "ALTER SYSTEM SET dbperf.cache_mode = 'auto'; "
								   "SELECT pg_reload_conf();");
	}
	else if (dbperf_health_ask(bypassed_query, 0, NULL, NULL) > 0)
	{
		char *queryid = dbperf_health_text(0, 1);

		dbperf_health_evidence(target,
							   "no statement of this database could use the result cache; the last "
							   "reason of query %s: %s",
							   queryid, dbperf_health_text(0, 3));
		next_for_query(target, queryid);
	}
	else
		dbperf_health_evidence(target,
							   "no statement of this database has asked the result cache yet");
}

/*
 * The share of this database's executions that the cache answered, of all that
 * asked it.
 */
void
dbperf_health_cache(HealthTarget *target)
{
	double hits = 0;
	double misses = 0;
	double saved_ms = 0;
	char  *reset;

	target->known =
		dbperf_health_ask(sums, 0, NULL, NULL) > 0 && dbperf_health_number(0, 1, &target->value);
	if (!target->reasons)
		return;
	if (!target->known)
	{
		explain_nothing(target);
		return;
	}
	(void) dbperf_health_number(0, 2, &hits);
	(void) dbperf_health_number(0, 3, &misses);
	(void) dbperf_health_number(0, 5, &saved_ms);
	reset = dbperf_health_ask(since, 0, NULL, NULL) > 0 ? dbperf_health_text(0, 1) : NULL;
	dbperf_health_evidence(target, "%.0f hits and %.0f misses since %s, %.1f s saved", hits, misses,
						   reset != NULL ? reset : "the start", saved_ms / 1000);
	if (dbperf_health_setting_is("dbperf.cache_mode", "off"))
		dbperf_health_evidence(target, "the result cache is off now");
	if (!dbperf_target_is_met(target))
		blame(target);
}
