/*-------------------------------------------------------------------------
 *
 * drops_sql.c
 *		dbperf.suggest_index_drops(): indexes that nobody needs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "advisor/drops.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define DROP_COLUMNS 9

/* The longest that all plans may take, in milliseconds. */
#define TIME_LIMIT_MS 30000

PG_FUNCTION_INFO_V1(dbperf_suggest_index_drops);

/*
 * Whether other servers may replay what this one writes: their queries use the
 * same indexes, and are counted there.
 */
static bool
has_standbys(void)
{
	bool found = false;

	for (int i = 0; i < max_wal_senders && !found; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&walsnd->mutex);
		found = walsnd->pid != 0;
		SpinLockRelease(&walsnd->mutex);
	}

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots && !found; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		found = slot->in_use && SlotIsPhysical(slot);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

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

/*
 * What limits the judgement, in sentences that follow the reason.
 */
static char *
caveats(int unjudged)
{
	StringInfoData out;

	initStringInfo(&out);
	if (RecoveryInProgress())
		appendStringInfoString(&out, " Use on the primary and other standbys is not known.");
	else if (has_standbys())
		appendStringInfoString(&out, " Use on standbys is not known.");
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		appendStringInfoString(&out, " Only your own statements were tried without it.");
	if (unjudged > 0)
		appendStringInfo(&out, " %d of the recorded statements could not be tried without it.",
						 unjudged);
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
 * Adds the row of one proposal.
 */
static void
put_proposal(ReturnSetInfo *rsinfo, const DropProposal *proposal, const char *caveat)
{
	const RealIndex *real = proposal->real;
	Datum			 values[DROP_COLUMNS] = {0};
	bool			 nulls[DROP_COLUMNS] = {false};
	bool			 invalid = proposal->reason == DROP_INVALID;

	values[0] = CStringGetTextDatum(dbperf_table_name(real->oid));
	values[1] = CStringGetTextDatum(dbperf_table_name(real->def->relid));
	values[2] = CStringGetTextDatum(psprintf("%s%s", reason_text(proposal), invalid ? "" : caveat));
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
	values[8] = CStringGetTextDatum(drop_statement(real));
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
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz	   now = GetCurrentTimestamp();
	TimestampTz	   unused_before;
	List		  *proposals;
	char		  *caveat;
	ListCell	  *lc;

	unused_before = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(0)));
	if (unused_before > now)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("min_stats_age must not be negative")));

	(void) dbperf_srf_begin(fcinfo, DROP_COLUMNS);
	proposals = dbperf_drop_proposals(unused_before);
	list_sort(proposals, compare_proposals);
	caveat = caveats(proposals == NIL ? 0 : dbperf_drops_judge(proposals, TIME_LIMIT_MS));
	foreach (lc, proposals)
	{
		DropProposal *proposal = lfirst(lc);

		if (!proposal->rejected)
			put_proposal(rsinfo, proposal, caveat);
	}
	return (Datum) 0;
}
