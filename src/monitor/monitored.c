/*-------------------------------------------------------------------------
 *
 * monitored.c
 *		What the monitor knows of the current database's queries, for modules
 *		that analyse them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/monitor.h"
#include "monitor/monitor_int.h"
#include "utils/builtins.h"

/*
 * Whether a recorded value is what the statement had: not something that
 * params.c wrote in its place, or cut.
 */
static bool
value_is_real(const char *value)
{
	size_t len = strlen(value);

	if (strcmp(value, "<redacted>") == 0 || strcmp(value, "<not available>") == 0)
		return false;
	if (len >= 3 && strcmp(value + len - 3, "...") == 0)
		return false;
	return !(value[0] == '<' && len > 7 && strcmp(value + len - 7, " bytes>") == 0);
}

/*
 * Takes the parameters of a sample out of their blob, whose form stands in
 * monitor_int.h.
 */
static void
read_params(MonitoredQuery *query, const SampleHead *head, const char *blob)
{
	const char *p = blob;
	const char *end = blob + head->params_len;
	int			room = Min(head->nparams, head->params_len / (int) (sizeof(Oid) + sizeof(int32)));

	if (room <= 0)
		return;
	query->param_types = palloc(room * sizeof(Oid));
	query->param_values = palloc0(room * sizeof(char *));
	query->param_known = palloc(room * sizeof(bool));
	while (query->nparams < room && end - p >= (ptrdiff_t) (sizeof(Oid) + sizeof(int32)))
	{
		int	  n = query->nparams;
		int32 len;

		memcpy(&query->param_types[n], p, sizeof(Oid));
		memcpy(&len, p + sizeof(Oid), sizeof(int32));
		p += sizeof(Oid) + sizeof(int32);
		if (len > end - p)
			break;
		query->param_known[n] = OidIsValid(query->param_types[n]);
		if (len >= 0)
		{
			query->param_values[n] = text_to_cstring(dbperf_server_text(p, len, head->encoding));
			query->param_known[n] &= value_is_real(query->param_values[n]);
			p += len;
		}
		query->nparams++;
	}
}

/*
 * Adds a query's sample, if it has one.
 */
static void
read_sample(MonitoredQuery *query, const LatencyKey *key)
{
	SampleHead *head = dbperf_sample_of_query(key);
	const char *text;

	if (head == NULL)
		return;
	text = (const char *) head + sizeof(SampleHead);
	query->sampled_at = head->taken_at;
	query->text = text_to_cstring(dbperf_server_text(text, head->query_len, head->encoding));
	query->redacted = head->redacted != 0;
	query->cut = head->query_full_len > head->query_len;
	for (int i = 0; i < Min(head->npath, SAMPLE_MAX_SEARCH_PATH); i++)
		query->search_path = lappend_oid(query->search_path, head->path[i]);
	read_params(query, head, text + head->query_len);
	pfree(head);
}

List *
dbperf_monitored_queries(void)
{
	List		   *queries = NIL;
	LatencySummary *summary = palloc(sizeof(LatencySummary));

	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		MonitoredQuery *query;

		CHECK_FOR_INTERRUPTS();
		if (!dbperf_latency_read(n, PERIOD_LIFETIME, summary) || summary->other ||
			summary->key.dbid != MyDatabaseId || summary->key.queryid == 0 ||
			!dbperf_may_see_role(summary->key.userid))
			continue;
		query = palloc0(sizeof(MonitoredQuery));
		query->queryid = summary->key.queryid;
		query->userid = summary->key.userid;
		query->toplevel = summary->key.toplevel != 0;
		query->calls = (double) summary->calls;
		query->total_ms = (double) summary->total_ns / 1000000.0;
		read_sample(query, &summary->key);
		queries = lappend(queries, query);
	}
	pfree(summary);
	return queries;
}
