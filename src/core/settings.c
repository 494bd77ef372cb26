/*-------------------------------------------------------------------------
 *
 * settings.c
 *		Settings that belong to no module.
 *
 * dbperf.enabled is the kill switch that works without a restart: every hook
 * tests it first and tail-calls when it is off.  dbperf.database names the one
 * database that holds the tables that are about the whole server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/exec_hooks.h"
#include "utils/guc.h"

bool  dbperf_enabled = true;
char *dbperf_database = NULL;

/*
 * Refuse what cannot be the name of a database, since the server would cut a
 * longer name and connect somewhere else.  Returns false with a reason.
 */
static bool
check_database(char **newval, void **extra, GucSource source)
{
	(void) extra;
	(void) source;

	if ((*newval)[0] == '\0')
	{
		GUC_check_errdetail("The name of a database cannot be empty.");
		return false;
	}
	if (strlen(*newval) >= NAMEDATALEN)
	{
		GUC_check_errdetail("The name of a database is at most %d bytes long.", NAMEDATALEN - 1);
		return false;
	}
	return true;
}

static void
assign_enabled(bool newval, void *extra)
{
	bool switched = newval != dbperf_enabled;

	dbperf_enabled = newval;
	dbperf_statement_follow_update();
	if (switched)
		dbperf_around_switched();
}

/*
 * Define the settings.  Called once, from _PG_init; works without preload.
 */
void
dbperf_settings_init(void)
{
	DefineCustomBoolVariable("dbperf.enabled", "Lets dbperf observe and act.",
							 "When off, every hook only calls the server's own function.",
							 &dbperf_enabled, true, PGC_SUSET, 0, NULL, assign_enabled, NULL);

	DefineCustomStringVariable("dbperf.database",
							   "Database that holds the tables about the whole server.",
							   "The extension must be created there.", &dbperf_database, "postgres",
							   PGC_SIGHUP, 0, check_database, NULL, NULL);
}
