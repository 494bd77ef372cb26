/*-------------------------------------------------------------------------
 *
 * node_status_sql.c
 *		SQL functions that show the nodes, and what they answered.
 *
 * They read shared memory only, so they answer at once whatever the nodes do,
 * and in every database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "cluster/cluster_int.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define STATUS_COLUMNS 14
#define ANSWER_COLUMNS 4

#define FRESH_ROUNDS 3		  /* an answer is of use for that many rounds */
#define FRESH_UNPOLLED 180000 /* ms, where there are no rounds on schedule */

PG_FUNCTION_INFO_V1(dbperf_node_status);
PG_FUNCTION_INFO_V1(dbperf_node_answers);

/*
 * What is known of all nodes, palloc'd, and the encoding of its texts.
 */
NodeFacts *
dbperf_copy_facts(int *num, int *encoding)
{
	NodeFacts *facts = palloc(dbperf_cluster->max_nodes * sizeof(NodeFacts));

	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	*num = dbperf_cluster->num_nodes;
	*encoding = dbperf_cluster->encoding;
	for (int i = 0; i < *num; i++)
		memcpy(&facts[i], &dbperf_cluster->nodes[i].facts, sizeof(NodeFacts));
	LWLockRelease(CLUSTER_LOCK);
	return facts;
}

/*
 * Whether a node has answered so lately that its answer still counts.
 */
bool
dbperf_node_is_fresh(const NodeFacts *facts)
{
	int64 limit = dbperf_node_poll_interval > 0
					  ? FRESH_ROUNDS * (int64) dbperf_node_poll_interval * 1000
					  : FRESH_UNPOLLED;

	return facts->state == NODE_REACHED &&
		   GetCurrentTimestamp() - facts->answered <= limit * INT64CONST(1000);
}

/* ---- node_status() ---- */

static Datum
text_datum(const char *s, int encoding)
{
	return PointerGetDatum(dbperf_server_text(s, (int) strlen(s), encoding));
}

/* A text, or null if it is empty. */
static void
put_text(Datum *value, bool *isnull, const char *s, int encoding)
{
	*isnull = s[0] == '\0';
	if (!*isnull)
		*value = text_datum(s, encoding);
}

static void
put_time(Datum *value, bool *isnull, TimestampTz time)
{
	*isnull = time == 0;
	*value = TimestampTzGetDatum(time);
}

/* The state of a node, in a word. */
static const char *
state_text(const NodeFacts *facts)
{
	switch (facts->state)
	{
		case NODE_REACHED:
			return dbperf_node_is_fresh(facts) ? "reached" : "stale";
		case NODE_UNREACHED:
			return "unreached";
		default:
			return "not asked";
	}
}

static void
put_status(ReturnSetInfo *rsinfo, const NodeFacts *facts, int encoding)
{
	Datum values[STATUS_COLUMNS] = {0};
	bool  nulls[STATUS_COLUMNS] = {false};
	bool  known = facts->answered != 0;

	values[0] = text_datum(facts->name, encoding);
	values[1] = text_datum(facts->server, encoding);
	values[2] = text_datum(facts->role, encoding);
	values[3] = CStringGetTextDatum(state_text(facts));
	values[4] = CStringGetTextDatum(facts->in_recovery ? "standby" : "primary");
	nulls[4] = !known;
	values[5] = BoolGetDatum(facts->system_id == GetSystemIdentifier());
	nulls[5] = !known;
	put_text(&values[6], &nulls[6], facts->database, encoding);
	put_text(&values[7], &nulls[7], facts->server_version, encoding);
	put_text(&values[8], &nulls[8], facts->dbperf_version, encoding);
	values[9] = Float8GetDatum(facts->lag_seconds);
	nulls[9] = !known || facts->lag_seconds < 0;
	values[10] = Int64GetDatum(facts->lag_bytes);
	nulls[10] = !known || facts->lag_bytes < 0;
	put_time(&values[11], &nulls[11], facts->asked);
	put_time(&values[12], &nulls[12], facts->answered);
	put_text(&values[13], &nulls[13], facts->error, encoding);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * node_status()
 */
Datum
dbperf_node_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	NodeFacts	  *facts;
	int			   num;
	int			   encoding;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, STATUS_COLUMNS);
	facts = dbperf_copy_facts(&num, &encoding);
	for (int i = 0; i < num; i++)
		put_status(rsinfo, &facts[i], encoding);
	return (Datum) 0;
}

/* ---- node_answers() ---- */

/* The rows of one part, of all nodes. */
typedef struct Copy
{
	int		   num;
	int		   encoding;
	NodeFacts *facts;
	char	  *data; /* one after the other */
} Copy;

/* The bytes of a part, of all nodes.  Caller must hold the lock. */
static Size
part_bytes(NodePart part)
{
	Size bytes = 0;

	Assert(LWLockHeldByMe(CLUSTER_LOCK));
	for (int i = 0; i < dbperf_cluster->num_nodes; i++)
		bytes += dbperf_cluster->nodes[i].facts.parts[part].len;
	return bytes;
}

/*
 * Copies a part of all nodes.  Nothing is allocated under the lock: should there
 * be more by then, it begins again.
 */
static void
copy_part(NodePart part, Copy *copy)
{
	Size room;
	Size used = 0;

	copy->facts = palloc(dbperf_cluster->max_nodes * sizeof(NodeFacts));
	copy->data = NULL;
	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	for (room = 0; part_bytes(part) > room;)
	{
		room = part_bytes(part);
		LWLockRelease(CLUSTER_LOCK);
		if (copy->data != NULL)
			pfree(copy->data);
		copy->data = palloc(room);
		LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	}
	copy->num = dbperf_cluster->num_nodes;
	copy->encoding = dbperf_cluster->encoding;
	for (int i = 0; i < copy->num; i++)
	{
		const NodeSlot		 *slot = &dbperf_cluster->nodes[i];
		const NodePartAnswer *answer = &slot->facts.parts[part];

		memcpy(&copy->facts[i], &slot->facts, sizeof(NodeFacts));
		if (answer->len > 0)
			memcpy(copy->data + used, slot->data + answer->start, answer->len);
		used += answer->len;
	}
	LWLockRelease(CLUSTER_LOCK);
}

/* Why there are no rows of a node, NULL = there are. */
static const char *
missing_reason(const NodeFacts *facts, NodePart part)
{
	bool shows_others = part == PART_SLOW_QUERIES || part == PART_QUERY_LATENCY;

	if (facts->state == NODE_UNREACHED)
		return facts->error;
	if (shows_others && !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return "shown to members of pg_read_all_stats only";
	if (facts->parts[part].problem[0] != '\0')
		return facts->parts[part].problem;
	return NULL;
}

static void
put_answer(ReturnSetInfo *rsinfo, const NodeFacts *facts, NodePart part, const char *data,
		   int encoding)
{
	Datum		values[ANSWER_COLUMNS] = {0};
	bool		nulls[ANSWER_COLUMNS] = {false};
	const char *missing = missing_reason(facts, part);

	values[0] = text_datum(facts->name, encoding);
	nulls[1] = facts->answered == 0;
	if (!nulls[1])
		values[1] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(GetCurrentTimestamp()),
										TimestampTzGetDatum(facts->answered));
	nulls[2] = missing == NULL;
	nulls[3] = missing != NULL || facts->parts[part].len == 0;
	if (!nulls[2])
		values[2] = text_datum(missing, encoding);
	if (!nulls[3])
	{
		text *rows = dbperf_server_text(data, facts->parts[part].len, encoding);

		values[3] = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(rows)));
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static NodePart
part_by_name(const char *name)
{
	for (int i = 0; i < NODE_PARTS; i++)
	{
		if (strcmp(dbperf_part_names[i], name) == 0)
			return (NodePart) i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("nodes are not asked for \"%s\"", name),
					errhint("They are asked for slow_queries, query_latency, index_usage and "
							"health.")));
}

/*
 * node_answers(part text)
 */
Datum
dbperf_node_answers(PG_FUNCTION_ARGS)
{
	NodePart	   part = part_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ReturnSetInfo *rsinfo;
	Copy		   copy;
	const char	  *data;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, ANSWER_COLUMNS);
	copy_part(part, &copy);
	data = copy.data;
	for (int i = 0; i < copy.num; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_answer(rsinfo, &copy.facts[i], part, data, copy.encoding);
		data += copy.facts[i].parts[part].len;
	}
	return (Datum) 0;
}
