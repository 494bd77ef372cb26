/*-------------------------------------------------------------------------
 *
 * advisor.c
 *		Start-up of the advisor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor.h"
#include "advisor/whatif.h"

/*
 * Install the planner hooks.  Called once, from _PG_init.
 */
void
dbperf_advisor_init(void)
{
	dbperf_whatif_init();
}
