/*-------------------------------------------------------------------------
 *
 * drops_sql.c
 *		dbperf.suggest_index_drops(): indexes that nobody needs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor.h"
#include "advisor/drops.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "cluster/cluster.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define DROP_COLUMNS 12

PG_FUNCTION_INFO_V1(dbperf_suggest_index_drops);

int dbperf_drops_time_limit = 30000;

/*
 * The reason as a sentence.
 */
static const char *
reason_text(const DropProposal *proposal)
{
	switch (proposal->reason)
	{
		case DROP_INVALID:
			return "INVALID: left over from a build or drop CONCURRENTLY that failed; no query uses "
				   "it, but writes may maintain it.";
		case DROP_DUPLICATE:
			return "Duplicate of another index.";
		case DROP_COVERED:
			if (proposal->real->def->am == BTREE_AM_OID &&
				proposal->replaced_by->def->nkeys > proposal->real->def->nkeys)
				return "Another index begins with the same columns.";
			return "Another index serves all that it serves.";
		case DROP_UNUSED:
			return "Not used since statistics were reset or the index was built.";
	}
	return NULL;
}

/* What limits the judgement of all proposals. */
typedef struct DropLimits
{
	bool own_only; /* only statements of the caller's were tried */
	int	 untried;  /* statements that could not be */
} DropLimits;

/*
 * The same in sentences that follow the reason.
 */
static char *
caveats(const DropLimits *limits)
{
	StringInfoData out;

	initStringInfo(&out);
	if (limits->own_only)
		appendStringInfoString(&out, " Only your own statements were tried without it.");
	if (limits->untried > 0)
		appendStringInfo(&out, " %d of the recorded statements could not be tried without it.",
						 limits->untried);
	return out.data;
}

/*
 * DROP INDEX; that of a partitioned index cannot be done concurrently.
 */
static char *
drop_statement(const RealIndex *real)
{
	bool partitioned = get_rel_relkind(real->oid) == RELKIND_PARTITIONED_INDEX;

	return psprintf("DROP INDEX %s%s", partitioned ? "" : "CONCURRENTLY ",
					dbperf_table_name(real->oid));
}

/*
 * What comes of a proposal when the servers that replay this one's WAL are taken
 * into account: drop, keep or unknown.  What the catalog proves does not depend on
 * them: whether an equal index is there, and whether one is INVALID.  A wider index
 * may be dearer for statements of theirs, and those cannot be tried here.
 */
static const char *
judge_replicas(const DropProposal *proposal, const DbperfReplicas *replicas,
			   TimestampTz unused_before, char **evidence)
{
	DbperfReplicaUse use;

	if (proposal->reason == DROP_INVALID || proposal->reason == DROP_DUPLICATE)
	{
		*evidence = pstrdup("Does not depend on use, here or on other servers.");
		return "drop";
	}
	use = dbperf_replica_use(replicas, proposal->indexes, unused_before, evidence);
	if (use == REPLICAS_NONE || use == REPLICAS_UNUSED)
		return "drop";
	return use == REPLICAS_USED && proposal->reason == DROP_UNUSED ? "keep" : "unknown";
}

/*
 * Adds the row of one proposal.
 */
static void
put_proposal(ReturnSetInfo *rsinfo, const DropProposal *proposal, const DropLimits *limits,
			 const char *verdict, const char *evidence)
{
	const RealIndex *real = proposal->real;
	Datum			 values[DROP_COLUMNS] = {0};
	bool			 nulls[DROP_COLUMNS] = {false};
	bool			 invalid = proposal->reason == DROP_INVALID;

	values[0] = CStringGetTextDatum(dbperf_table_name(real->oid));
	values[1] = CStringGetTextDatum(dbperf_table_name(real->def->relid));
	values[2] = CStringGetTextDatum(
		psprintf("%s%s", reason_text(proposal), invalid ? "" : caveats(limits)));
	if (proposal->replaced_by != NULL)
		values[3] = CStringGetTextDatum(dbperf_table_name(proposal->replaced_by->oid));
	else
		nulls[3] = true;
	values[4] = Int64GetDatum(real->bytes);
	values[5] = Int64GetDatum((int64) real->scans);
	values[6] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(GetCurrentTimestamp()),
									TimestampTzGetDatum(proposal->since));
	if (invalid)
		values[7] = Float8GetDatum(0);
	else if (proposal->before > 0)
		values[7] = Float8GetDatum((proposal->after / proposal->before - 1) * 100);
	else
		nulls[7] = true;
	nulls[8] = strcmp(verdict, "drop") != 0;
	if (!nulls[8])
		values[8] = CStringGetTextDatum(drop_statement(real));
	values[9] = CStringGetTextDatum(verdict);
	values[10] = CStringGetTextDatum(evidence);
	values[11] = Int32GetDatum(invalid ? 0 : limits->untried);
	nulls[11] = !invalid && limits->own_only;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * By table and name.
 */
static int
compare_proposals(const ListCell *a, const ListCell *b)
{
	const RealIndex *left = ((DropProposal *) lfirst(a))->real;
	const RealIndex *right = ((DropProposal *) lfirst(b))->real;
	int order = strcmp(dbperf_table_name(left->def->relid), dbperf_table_name(right->def->relid));

	return order != 0 ? order : strcmp(left->name, right->name);
}

/*
 * Indexes that nobody needs.  The argument says for how long an index must not
 * have been scanned to count as unused.
 */
Datum
dbperf_suggest_index_drops(PG_FUNCTION_ARGS)
{
	ReturnSetInfo  *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz		now = GetCurrentTimestamp();
	TimestampTz		unused_before;
	List		   *proposals;
	DropLimits		limits = {0};
	DbperfReplicas *replicas;
	ListCell	   *lc;

	unused_before = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(0)));
	if (unused_before > now)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("min_stats_age must not be negative")));

	(void) dbperf_srf_begin(fcinfo, DROP_COLUMNS);
	proposals = dbperf_drop_proposals(unused_before);
	list_sort(proposals, compare_proposals);
	limits.own_only = !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
	if (proposals != NIL)
		limits.untried = dbperf_drops_judge(proposals, dbperf_drops_time_limit);
	replicas = dbperf_replicas();
	foreach (lc, proposals)
	{
		DropProposal *proposal = lfirst(lc);
		const char	 *verdict;
		char		 *evidence;

		if (proposal->rejected)
			continue;
		verdict = judge_replicas(proposal, replicas, unused_before, &evidence);
		put_proposal(rsinfo, proposal, &limits, verdict, evidence);
	}
	return (Datum) 0;
}
