/*-------------------------------------------------------------------------
 *
 * slow_statements.c
 *		The recorded statements that have a plan, for modules that analyse them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "monitor/monitor_int.h"
#include "monitor/monitor_sql.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define NS_IN_MS 1000000.0

/* A text of a record in the database's encoding. */
static char *
record_text(const char *s, int len, int encoding)
{
	text *converted = dbperf_server_text(s, len, encoding);
	char *result = text_to_cstring(converted);

	pfree(converted);
	return result;
}

/* The tables of a record's plan. */
static List *
record_relations(const RecordParts *parts)
{
	int	  n = Min(parts->head->relations_len / (int) sizeof(Oid), RECORD_MAX_RELATIONS);
	List *relations = NIL;

	for (int i = 0; i < n; i++)
	{
		Oid relid;

		memcpy(&relid, parts->relations + i * sizeof(Oid), sizeof(Oid));
		relations = lappend_oid(relations, relid);
	}
	return relations;
}

/* A record as those who analyse it want it. */
static SlowStatement *
record_statement(int64 id, const RecordParts *parts)
{
	const SlowRecord *head = parts->head;
	SlowStatement	 *statement = palloc0(sizeof(SlowStatement));

	statement->id = id;
	statement->queryid = head->queryid;
	statement->plan_id = head->plan_id;
	statement->userid = head->userid;
	statement->started_at = head->started_at;
	statement->duration_ms = head->duration_ns / NS_IN_MS;
	statement->planning_ms = head->planning_ns / NS_IN_MS;
	statement->jit_ms = head->jit_ns / NS_IN_MS;
	statement->work_mem_kb = head->work_mem_kb;
	statement->temp_blks_read = (double) head->temp_blks_read;
	statement->temp_blks_written = (double) head->temp_blks_written;
	statement->shared_blks_hit = (double) head->shared_blks_hit;
	statement->shared_blks_read = (double) head->shared_blks_read;
	statement->failed = head->sqlstate != 0;
	statement->query = record_text(parts->query, head->query_len, head->encoding);
	statement->plan = record_text(parts->plan, head->plan_len, head->encoding);
	statement->relations = record_relations(parts);
	return statement;
}

List *
dbperf_slow_statements(int64 first_id, int64 last_id)
{
	Size  size = dbperf_ring_max_record(dbperf_slow_ring);
	char *record = palloc_extended(size, MCXT_ALLOC_HUGE);
	List *statements = NIL;

	/* ids begin with 1, so the loop ends before they could become negative */
	first_id = Max(first_id, (int64) dbperf_ring_oldest_id(dbperf_slow_ring));
	last_id = Min(last_id, (int64) dbperf_ring_next_id(dbperf_slow_ring) - 1);
	for (int64 id = last_id; id >= first_id; id--)
	{
		RecordParts parts;
		Size		len;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_ring_read(dbperf_slow_ring, (uint64) id, record, size, &len) != RING_READ ||
			!dbperf_record_parts(record, len, &parts) || parts.head->plan_len == 0 ||
			parts.head->dbid != MyDatabaseId || !dbperf_may_see_role(parts.head->userid))
			continue;
		statements = lappend(statements, record_statement(id, &parts));
	}
	pfree(record);
	return statements;
}

/*
 * Why there is a statement of this id, or not.  Needs dbperf_require_shmem().
 */
SlowStatementState
dbperf_slow_statement_state(int64 id)
{
	Size			   size = dbperf_ring_max_record(dbperf_slow_ring);
	char			  *record;
	RecordParts		   parts;
	Size			   len;
	SlowStatementState state = SLOW_STATEMENT_SHOWN;

	if (id < 1 || id >= (int64) dbperf_ring_next_id(dbperf_slow_ring))
		return SLOW_STATEMENT_UNKNOWN;
	record = palloc_extended(size, MCXT_ALLOC_HUGE);
	if (dbperf_ring_read(dbperf_slow_ring, (uint64) id, record, size, &len) != RING_READ ||
		!dbperf_record_parts(record, len, &parts))
		state = SLOW_STATEMENT_GONE;
	else if (!dbperf_may_see_role(parts.head->userid))
		state = SLOW_STATEMENT_HIDDEN;
	else if (parts.head->dbid != MyDatabaseId)
		state = SLOW_STATEMENT_OTHER_DATABASE;
	else if (parts.head->plan_len == 0)
		state = SLOW_STATEMENT_NO_PLAN;
	pfree(record);
	return state;
}
