/*-------------------------------------------------------------------------
 *
 * late_writes.c
 *		Breaks the rule of the result cache, to show that the race test notices.
 *
 * Changes are hidden from dbperf until their transaction is seen by others, so
 * that they are noted at COMMIT only, without having been announced, and a while
 * later.  Everything else is as ever: this is what the cache would be if it took
 * no account of when snapshots begin to see a transaction.
 *
 * Must be listed after dbperf in shared_preload_libraries, to be called before
 * it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/pgstat_internal.h"

#define DELAY 2000 /* microseconds */

PG_MODULE_MAGIC;

static PgStat_SubXactStatus	  *changes = NULL;
static PgStat_TableXactStatus *hidden = NULL;

static void
late_writes_xact(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
				break;
			changes = pgstat_get_xact_stack_level(1);
			hidden = changes->first;
			changes->first = NULL;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			if (hidden == NULL)
				break;
			if (event == XACT_EVENT_COMMIT)
				pg_usleep(DELAY);
			/* more may have come since */
			if (changes->first == NULL)
				changes->first = hidden;
			else
			{
				PgStat_TableXactStatus *last = changes->first;

				while (last->next != NULL)
					last = last->next;
				last->next = hidden;
			}
			hidden = NULL;
			break;
		default:
			break;
	}
}

void
_PG_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		RegisterXactCallback(late_writes_xact, NULL);
}
