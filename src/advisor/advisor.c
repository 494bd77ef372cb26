/*-------------------------------------------------------------------------
 *
 * advisor.c
 *		Settings and start-up of the advisor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor.h"
#include "advisor/advisor_int.h"
#include "advisor/whatif.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/varlena.h"

int	  dbperf_advisor_interval = 3600;
char *dbperf_advisor_databases = NULL;
int	  dbperf_advisor_time_limit = 60000;
int	  dbperf_index_build_lock_timeout = 5000;

/*
 * dbperf.advisor_databases taken apart, made by its check hook: names, each
 * with its terminating null, and an empty one at the end.
 */
static const char *database_names = "";

/*
 * Check hook of dbperf.advisor_databases: a list of names, which are kept as
 * they are written.
 */
static bool
check_databases(char **value, void **extra, GucSource source)
{
	char	 *copy = pstrdup(*value);
	List	 *names = NIL;
	ListCell *cell;
	Size	  size = 1;
	char	 *place;

	(void) source;
	if (!SplitGUCList(copy, ',', &names))
	{
		GUC_check_errdetail("List syntax is invalid.");
		list_free(names);
		pfree(copy);
		return false;
	}
	foreach (cell, names)
		size += strlen(lfirst(cell)) + 1;
	place = *extra = DBPERF_GUC_MALLOC(size);
	if (place == NULL)
		return false;
	foreach (cell, names)
	{
		strlcpy(place, lfirst(cell), size);
		size -= strlen(place) + 1;
		place += strlen(place) + 1;
	}
	*place = '\0';
	list_free(names);
	pfree(copy);
	return true;
}

static void
assign_databases(const char *value, void *extra)
{
	(void) value;
	database_names = extra;
}

/*
 * Whether the advisor is to run in the database of that name.  Allocates
 * nothing and raises no error.
 */
bool
dbperf_advisor_wants(const char *database)
{
	if (database_names[0] == '\0')
		return true;
	for (const char *name = database_names; *name != '\0'; name += strlen(name) + 1)
	{
		if (strcmp(name, database) == 0)
			return true;
	}
	return false;
}

/*
 * Define the settings, install the planner hooks and register the workers.
 * Called once, from _PG_init.  What-ifs and advice for explicit texts work
 * without preload.
 */
void
dbperf_advisor_init(void)
{
	DefineCustomIntVariable("dbperf.advisor_interval",
							"Time between two refreshes of index_advice.",
							"0 turns the worker off.", &dbperf_advisor_interval, 3600, 0,
							7 * 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomStringVariable("dbperf.advisor_databases",
							   "Databases in which index_advice is refreshed.",
							   "A comma-separated list; empty means every database that has the "
							   "extension.",
							   &dbperf_advisor_databases, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   check_databases, assign_databases, NULL);

	DefineCustomIntVariable("dbperf.advisor_time_limit",
							"Time that one refresh of index_advice may take.", NULL,
							&dbperf_advisor_time_limit, 60000, 100, 3600 * 1000, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable("dbperf.index_build_lock_timeout",
							"Time that an index build waits for its first lock on the table.",
							"0 means no limit.  Later waits have none: they block nobody.",
							&dbperf_index_build_lock_timeout, 5000, 0, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);

	dbperf_whatif_init();
	if (process_shared_preload_libraries_in_progress)
	{
		dbperf_advice_worker_init();
		dbperf_index_build_init();
		dbperf_advisor_metrics_init();
	}
}
