/*-------------------------------------------------------------------------
 *
 * cache.c
 *		Settings of the result cache, and the start of its parts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "access/xlog.h"
#include "cache/cache_int.h"
#include "core/core.h"
#include "miscadmin.h"
#include "utils/guc.h"

int	   dbperf_cache_mode = CACHE_MODE_OFF;
int	   dbperf_cache_size = 64 * 1024;
double dbperf_cache_min_duration = 1;
int	   dbperf_cache_max_entry_size = 1024;
int	   dbperf_cache_wait = 200;
int	   dbperf_cache_admission = CACHE_ADMIT_REPEATED;
int	   dbperf_cache_relations = 16384;
bool   dbperf_cache_explain_node = true;
bool   dbperf_cache_explain_analyze = false;

bool dbperf_cache_wanted = false;

static const struct config_enum_entry modes[] = {
	{"off", CACHE_MODE_OFF, false},
	{"hint", CACHE_MODE_HINT, false},
	{"auto", CACHE_MODE_AUTO, false},
	{NULL, 0, false},
};

static const struct config_enum_entry admissions[] = {
	{"always", CACHE_ADMIT_ALWAYS, false},
	{"repeated", CACHE_ADMIT_REPEATED, false},
	{NULL, 0, false},
};

/* Whether there is a cache, and it is switched on in this session. */
bool
dbperf_cache_usable(void)
{
	return dbperf_enabled && dbperf_cache_wanted;
}

/*
 * The mode changes.  What was planned without the cache has to be planned anew
 * to be answered from it; not the other way around.
 */
static void
assign_mode(int newval, void *extra)
{
	if (newval != CACHE_MODE_OFF && !dbperf_cache_wanted && IsUnderPostmaster)
		dbperf_cache_replan();
	dbperf_cache_wanted = newval != CACHE_MODE_OFF && dbperf_cache_size > 0;
	dbperf_cache_admission_follow(newval == CACHE_MODE_AUTO && dbperf_cache_size > 0);
}

/*
 * Define what needs a restart, which is possible only while the server starts.
 */
static void
define_sizes(void)
{
	DefineCustomIntVariable("dbperf.cache_size", "Shared memory for the result cache.",
							"0 means that there is none.", &dbperf_cache_size, 64 * 1024, 0,
							MAX_KILOBYTES, PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"dbperf.cache_relations", "Places in which the result cache notes changes of relations.",
		"With fewer places than tables that change, more results are thrown "
		"away than had to be.",
		&dbperf_cache_relations, 16384, 64, 16 * 1024 * 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

/*
 * Define the settings.
 */
static void
define_settings(void)
{
	DefineCustomIntVariable("dbperf.cache_max_entry_size",
							"Largest result that the result cache keeps.", NULL,
							&dbperf_cache_max_entry_size, 1024, 1, MAX_KILOBYTES, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);

	DefineCustomEnumVariable("dbperf.cache_mode", "Which statements the result cache answers.",
							 "hint: those with the comment /* dbperf: cache */, and listed ones; "
							 "auto: also those that are seen to pay.",
							 &dbperf_cache_mode, CACHE_MODE_OFF, modes, PGC_USERSET, 0, NULL,
							 assign_mode, NULL);

	DefineCustomRealVariable(
		"dbperf.cache_min_duration", "What an execution takes at least for its result to be kept.",
		"Hinted and listed statements are kept whatever they take.", &dbperf_cache_min_duration, 1,
		0, 3600000, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"dbperf.cache_wait",
		"How long to wait for another session that executes the same statement.",
		"0 means that all execute it.", &dbperf_cache_wait, 200, 0, 60000, PGC_USERSET, GUC_UNIT_MS,
		NULL, NULL, NULL);

	DefineCustomEnumVariable("dbperf.cache_admission", "When a result is kept.",
							 "always: when it is first seen; repeated: when the same statement is "
							 "seen for the second time.",
							 &dbperf_cache_admission, CACHE_ADMIT_REPEATED, admissions, PGC_SUSET,
							 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("dbperf.cache_explain_node",
							 "Shows the result cache's node in EXPLAIN.", NULL,
							 &dbperf_cache_explain_node, true, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"dbperf.cache_explain_analyze", "Lets the result cache answer EXPLAIN ANALYZE.",
		"When off, EXPLAIN ANALYZE executes the statement.", &dbperf_cache_explain_analyze, false,
		PGC_USERSET, 0, NULL, NULL, NULL);
}

/*
 * A database was dropped.  Another one may get its OID, and be a copy of the
 * same template, so that not even the identities of its relations differ.
 */
static void
purge_database(Oid database)
{
	(void) dbperf_cache_purge(database, InvalidOid);
}

/*
 * Called once, from _PG_init.  Without preload there are only the settings.
 */
void
dbperf_cache_init(void)
{
	define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	define_sizes();
	if (dbperf_cache_size == 0)
		return;

	dbperf_cache_shape_init();
	dbperf_cache_lists_init();
	dbperf_cache_store_init();
	dbperf_cache_stats_init();
	dbperf_cache_metrics_init();
	dbperf_cache_writers_init();
	dbperf_cache_admission_init();
	dbperf_cache_wrap_init();
	dbperf_cache_plan_init();
	dbperf_db_guard_tell(purge_database);
}
