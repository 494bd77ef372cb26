/*-------------------------------------------------------------------------
 *
 * record_sql.c
 *		Shows the ring of slow statements: dbperf.slow_queries.
 *
 * A record is what a statement left behind when it ended, possibly in another
 * database, by a role that exists no longer, or before a restart.  Everything
 * that needs catalogs, encodings or the names of wait events is done here,
 * when somebody asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "catalog/pg_type.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "monitor/monitor_sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SLOW_QUERIES_COLUMNS 40

PG_FUNCTION_INFO_V1(dbperf_slow_queries);

/*
 * Sets the pointers into a record of len bytes that was read from the ring.
 * Returns false if its lengths do not fit together: then it is not a record
 * that this library wrote.
 */
bool
dbperf_record_parts(const char *record, Size len, RecordParts *parts)
{
	const SlowRecord *head = (const SlowRecord *) record;
	uint64			  total = sizeof(SlowRecord);

	if (len < sizeof(SlowRecord) || head->query_len < 0 || head->plan_len < 0 ||
		head->params_len < 0 || head->tags_len < 0 || head->relations_len < 0)
		return false;
	total += (uint64) head->query_len + (uint64) head->plan_len + (uint64) head->params_len +
			 (uint64) head->tags_len + (uint64) head->relations_len;
	if (total != len)
		return false;

	parts->head = head;
	parts->query = record + sizeof(SlowRecord);
	parts->plan = parts->query + head->query_len;
	parts->params = parts->plan + head->plan_len;
	parts->tags = parts->params + head->params_len;
	parts->relations = parts->tags + head->tags_len;
	return true;
}

/* Fills a text column from a part of a record. */
static void
put_text(SqlRows *rows, const char *s, int len, int encoding)
{
	dbperf_rows_value(rows, PointerGetDatum(dbperf_server_text(s, len, encoding)));
}

/* Fills the client's address; null if it came over a socket file. */
static void
put_address(SqlRows *rows, const SlowRecord *head)
{
	inet *addr;

	if (head->addr_family != AF_INET && head->addr_family != AF_INET6)
	{
		dbperf_rows_null(rows);
		return;
	}

	addr = palloc0(sizeof(inet));
	ip_family(addr) = head->addr_family == AF_INET ? PGSQL_AF_INET : PGSQL_AF_INET6;
	ip_bits(addr) = ip_maxbits(addr);
	memcpy(ip_addr(addr), head->addr, ip_addrsize(addr));
	SET_INET_VARSIZE(addr);
	dbperf_rows_value(rows, InetPGetDatum(addr));
}

/* Adds one member to a JSON object; the strings are not copied. */
static void
json_key(JsonbParseState **state, char *key, int len)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = key;
	value.val.string.len = len;
	(void) pushJsonbValue(state, WJB_KEY, &value);
}

/*
 * Fills the waits as an object of wait events and milliseconds.  Events that
 * have the same name are added up, since an object can have it only once.
 */
static void
put_waits(SqlRows *rows, const RecordWaits *waits)
{
	JsonbParseState *state = NULL;
	char			*names[RECORD_MAX_WAITS];
	double			 ms[RECORD_MAX_WAITS];
	int				 n = 0;

	for (int i = 0; i < Min(waits->nwaits, RECORD_MAX_WAITS); i++)
	{
		char *name = dbperf_wait_name(waits->waits[i].event);
		int	  j = 0;

		while (j < n && strcmp(names[j], name) != 0)
			j++;
		if (j == n)
		{
			names[n] = name;
			ms[n++] = 0;
		}
		ms[j] += (double) waits->waits[i].samples * waits->interval_us / 1000.0;
	}

	if (n == 0)
	{
		dbperf_rows_null(rows);
		return;
	}

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue value;

		json_key(&state, names[i], (int) strlen(names[i]));
		value.type = jbvNumeric;
		value.val.numeric =
			DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(ms[i])));
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
	}
	dbperf_rows_value(
		rows, JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL))));
}

/* Fills the processes that were seen to block the statement; null if none. */
static void
put_blockers(SqlRows *rows, const RecordWaits *waits)
{
	Datum pids[RECORD_MAX_BLOCKERS];
	int	  n = Min(waits->nblockers, RECORD_MAX_BLOCKERS);

	if (n == 0)
	{
		dbperf_rows_null(rows);
		return;
	}

	for (int i = 0; i < n; i++)
		pids[i] = Int32GetDatum(waits->blockers[i]);
	dbperf_rows_value(rows, PointerGetDatum(construct_array(pids, n, INT4OID, sizeof(int32), true,
															TYPALIGN_INT)));
}

/*
 * Fills the tags as an object; null if there are none.  A key or value that
 * is not terminated within the record ends the list.
 */
static void
put_tags(SqlRows *rows, const RecordParts *parts)
{
	JsonbParseState *state = NULL;
	const char		*p = parts->tags;
	const char		*end = p + parts->head->tags_len;
	int				 encoding = parts->head->encoding;

	if (p == end)
	{
		dbperf_rows_null(rows);
		return;
	}

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	while (p < end)
	{
		const char *key_end = memchr(p, '\0', end - p);
		const char *tag = key_end != NULL ? key_end + 1 : end;
		const char *tag_end = memchr(tag, '\0', end - tag);
		text	   *string;
		JsonbValue	value;

		if (tag_end == NULL)
			break;

		string = dbperf_server_text(p, key_end - p, encoding);
		json_key(&state, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));

		string = dbperf_server_text(tag, tag_end - tag, encoding);
		value.type = jbvString;
		value.val.string.val = VARDATA_ANY(string);
		value.val.string.len = VARSIZE_ANY_EXHDR(string);
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
		p = tag_end + 1;
	}
	dbperf_rows_value(
		rows, JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL))));
}

/* Fills the columns from id to query_length. */
static void
put_identity(SqlRows *rows, int64 id, const RecordParts *parts, bool visible)
{
	const SlowRecord *head = parts->head;
	int				  encoding = head->encoding;

	dbperf_rows_value(rows, Int64GetDatum(id));
	dbperf_rows_value(rows, TimestampTzGetDatum(head->started_at));
	dbperf_rows_ms(rows, head->duration_ns);
	dbperf_rows_ms(rows, head->pre_execution_ns);
	dbperf_rows_ms(rows, head->planning_ns);
	dbperf_rows_database(rows, head->dbid);
	dbperf_rows_user(rows, head->userid);

	if (visible)
	{
		put_text(rows, head->application_name, sizeof(head->application_name), encoding);
		put_address(rows, head);
	}
	else
	{
		dbperf_rows_null(rows);
		dbperf_rows_null(rows);
	}

	dbperf_rows_value(rows, Int32GetDatum(head->pid));
	dbperf_rows_query_id(rows, visible ? head->queryid : 0);
	dbperf_rows_query_id(rows, visible ? head->plan_id : 0);
	dbperf_rows_value(rows, Int32GetDatum(head->level));
	dbperf_rows_query_id(rows, visible ? head->parent_queryid : 0);
	if (head->command[0] != '\0')
		put_text(rows, head->command, sizeof(head->command), encoding);
	else
		dbperf_rows_null(rows);

	if (visible)
		put_text(rows, parts->query, head->query_len, encoding);
	else
		dbperf_rows_hidden_query(rows);
	dbperf_rows_value(rows, Int32GetDatum(head->query_full_len));
}

/* Fills the columns parameters and plan. */
static void
put_parameters_and_plan(SqlRows *rows, const RecordParts *parts, bool visible)
{
	const SlowRecord *head = parts->head;

	dbperf_rows_parameters(rows, false, parts->params, head->params_len,
						   visible ? head->nparams : -1, head->encoding);
	if (visible && head->plan_len > 0)
		put_text(rows, parts->plan, head->plan_len, head->encoding);
	else
		dbperf_rows_null(rows);
}

/* Fills the columns from rows to cpu_ms, which everybody may see. */
static void
put_usage(SqlRows *rows, const SlowRecord *head)
{
	dbperf_rows_count(rows, head->rows);
	dbperf_rows_count(rows, head->shared_blks_hit);
	dbperf_rows_count(rows, head->shared_blks_read);
	dbperf_rows_count(rows, head->shared_blks_dirtied);
	dbperf_rows_count(rows, head->shared_blks_written);
	dbperf_rows_count(rows, head->local_blks_hit);
	dbperf_rows_count(rows, head->local_blks_read);
	dbperf_rows_count(rows, head->local_blks_dirtied);
	dbperf_rows_count(rows, head->local_blks_written);
	dbperf_rows_count(rows, head->temp_blks_read);
	dbperf_rows_count(rows, head->temp_blks_written);
	dbperf_rows_ms(rows, head->blk_read_ns);
	dbperf_rows_ms(rows, head->blk_write_ns);
	dbperf_rows_count(rows, head->wal_records);
	dbperf_rows_count(rows, (int64) head->wal_bytes);
	dbperf_rows_ms(rows, head->jit_ns);
	dbperf_rows_ms(rows, head->cpu_ns);
}

/* Fills the columns from waits to tags. */
static void
put_outcome(SqlRows *rows, const RecordParts *parts, bool visible)
{
	const SlowRecord *head = parts->head;

	if (visible)
	{
		put_waits(rows, &head->waits);
		put_blockers(rows, &head->waits);
	}
	else
	{
		dbperf_rows_null(rows);
		dbperf_rows_null(rows);
	}

	if (head->sqlstate != 0)
		dbperf_rows_string(rows, unpack_sql_state(head->sqlstate));
	else
		dbperf_rows_null(rows);

	if (visible)
		put_tags(rows, parts);
	else
		dbperf_rows_null(rows);
}

/*
 * slow_queries(first_id, last_id) returns setof record: what the ring holds
 * between these ids, newest first.  Records that are gone, were never written
 * or are damaged are left out; the ring counts them.  Of other roles'
 * statements the numbers are shown and what was sent is not.
 */
Datum
dbperf_slow_queries(PG_FUNCTION_ARGS)
{
	int64	first = PG_GETARG_INT64(0);
	int64	last = PG_GETARG_INT64(1);
	SqlRows rows;
	char   *record;
	Size	size;

	dbperf_rows_begin(&rows, fcinfo, SLOW_QUERIES_COLUMNS);
	size = dbperf_ring_max_record(dbperf_slow_ring);
	record = MemoryContextAllocHuge(rows.caller, size);

	/* Ids begin with 1, so the loop ends before they could become negative. */
	first = Max(first, (int64) dbperf_ring_oldest_id(dbperf_slow_ring));
	last = Min(last, (int64) dbperf_ring_next_id(dbperf_slow_ring) - 1);
	for (int64 id = last; id >= first; id--)
	{
		RecordParts parts;
		Size		len;
		bool		visible;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_ring_read(dbperf_slow_ring, (uint64) id, record, size, &len) != RING_READ ||
			!dbperf_record_parts(record, len, &parts))
			continue;

		visible = dbperf_may_see_role(parts.head->userid);
		put_identity(&rows, id, &parts, visible);
		put_parameters_and_plan(&rows, &parts, visible);
		put_usage(&rows, parts.head);
		put_outcome(&rows, &parts, visible);
		dbperf_rows_put(&rows);
	}

	pfree(record);
	dbperf_rows_end(&rows);
	return (Datum) 0;
}
