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
#include "monitor/latency_int.h"
#include "monitor/monitor.h"
#include "monitor/monitor_int.h"
#include "monitor/monitor_sql.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

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
 * Takes so many parameters out of their blob, whose form stands in monitor_int.h.
 */
static void
read_params(MonitoredQuery *query, int nparams, const char *blob, int blob_len, int encoding)
{
	const char *p = blob;
	const char *end = blob + blob_len;
	int			room = Min(nparams, blob_len / (int) (sizeof(Oid) + sizeof(int32)));

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
			query->param_values[n] = text_to_cstring(dbperf_server_text(p, len, encoding));
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
	query->has_path = true;
	for (int i = 0; i < Min(head->npath, SAMPLE_MAX_SEARCH_PATH); i++)
		query->search_path = lappend_oid(query->search_path, head->path[i]);
	read_params(query, head->nparams, text + head->query_len, head->params_len, head->encoding);
	pfree(head);
}

/*
 * Takes the statement of a record for that of its query, if that is among these.
 * Returns the query, or NULL.
 */
static MonitoredQuery *
take_record(List *queries, const RecordParts *parts)
{
	const SlowRecord *head = parts->head;
	ListCell		 *lc;

	if (head->dbid != MyDatabaseId || head->queryid == 0)
		return NULL;
	foreach (lc, queries)
	{
		MonitoredQuery *query = lfirst(lc);

		if (query->queryid != head->queryid || query->userid != head->userid ||
			query->toplevel != (head->level == 0))
			continue;
		query->sampled_at = query->first_seen;
		query->text =
			text_to_cstring(dbperf_server_text(parts->query, head->query_len, head->encoding));
		query->redacted = REDACTS_LITERALS();
		query->cut = head->query_full_len > head->query_len;
		read_params(query, head->nparams, parts->params, head->params_len, head->encoding);
		return query;
	}
	return NULL;
}

/*
 * Looks among the recorded statements for queries that have no sample, which only an
 * execution without an error leaves: a query that always runs into a time limit is
 * one to be analysed.
 */
static void
read_records(List *queries)
{
	Size  size = dbperf_ring_max_record(dbperf_slow_ring);
	char *record;
	int64 oldest = (int64) dbperf_ring_oldest_id(dbperf_slow_ring);

	if (queries == NIL)
		return;
	record = palloc_extended(size, MCXT_ALLOC_HUGE);
	for (int64 id = (int64) dbperf_ring_next_id(dbperf_slow_ring) - 1; id >= oldest; id--)
	{
		MonitoredQuery *query = NULL;
		RecordParts		parts;
		Size			len;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_ring_read(dbperf_slow_ring, (uint64) id, record, size, &len) == RING_READ &&
			dbperf_record_parts(record, len, &parts))
			query = take_record(queries, &parts);
		if (query != NULL)
			queries = list_delete_ptr(queries, query);
		if (queries == NIL)
			break;
	}
	pfree(record);
}

/*
 * When the last execution of a query ended, with whatever plan.
 */
static TimestampTz
last_seen(const LatencySummary *summary)
{
	uint64		now = (uint64) dbperf_now_ns();
	TimestampTz now_ts = GetCurrentTimestamp();
	TimestampTz last = summary->first_seen;
	uint32		slots[LATENCY_MAX_PLANS + 1];
	int			nslots = dbperf_latency_slots(&summary->key, slots);

	for (int i = 0; i < nslots; i++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[slots[i]];
		int64		 seen = dbperf_latency_seen_ns(slot, now, now_ts);

		last = Max(last, now_ts + (seen - (int64) now) / 1000);
	}
	return last;
}

List *
dbperf_monitored_queries(void)
{
	List		   *queries = NIL;
	List		   *without = NIL;
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
		query->first_seen = summary->first_seen;
		query->last_seen = last_seen(summary);
		read_sample(query, &summary->key);
		queries = lappend(queries, query);
		if (query->text == NULL)
			without = lappend(without, query);
	}
	pfree(summary);
	read_records(without);
	return queries;
}
