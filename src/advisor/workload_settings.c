/*-------------------------------------------------------------------------
 *
 * workload_settings.c
 *		The planner settings that a recorded statement ran under.
 *
 * Those of ALTER ROLE and ALTER DATABASE count, those of the session that asks
 * for advice do not.  Only what matters for planning and for the meaning of
 * literals is taken over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/workload_int.h"
#include "catalog/namespace.h"
#include "catalog/pg_db_role_setting.h"
#include "core/core.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* in the order of increasing precedence */
#define NUM_SOURCES 4

/*
 * What counts beside the settings of the planner; a release that lacks one just
 * has no such setting.
 */
static const char *const other_names[] = {
	"DateStyle",
	"default_text_search_config",
	"IntervalStyle",
	"plan_cache_mode",
	"row_security",
	"standard_conforming_strings",
	"backslash_quote",
	"array_nulls",
	"xmlbinary",
	"xmloption",
	"bytea_output",
	"extra_float_digits",
	"TimeZone",
	"timezone_abbreviations",
	"transform_null_equals",
};

/*
 * Reads the stored settings of one role and database into an array of
 * "name=value", empty if there are none.
 */
static int
read_stored(Relation catalog, Oid database, Oid role, Datum **entries)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	int			count = 0;

	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(role));
	scan = systable_beginscan(catalog, DbRoleSettingDatidRolidIndexId, true, NULL, 2, keys);
	*entries = NULL;
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool  isnull;
		Datum array = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig,
								   RelationGetDescr(catalog), &isnull);

		if (!isnull)
			deconstruct_array(DatumGetArrayTypePCopy(array), TEXTOID, -1, false, TYPALIGN_INT,
							  entries, NULL, &count);
	}
	systable_endscan(scan);
	return count;
}

/*
 * The value of a setting among stored entries, or NULL.
 */
static char *
find_stored(const char *name, Datum *entries, int count)
{
	size_t len = strlen(name);

	for (int i = 0; i < count; i++)
	{
		char *entry = TextDatumGetCString(entries[i]);

		if (pg_strncasecmp(entry, name, len) == 0 && entry[len] == '=')
			return entry + len + 1;
		pfree(entry);
	}
	return NULL;
}

/*
 * Where statements of a role look without a search_path of their own, as it is
 * stored for them.  As below, the session's temporary tables come last.
 */
static SubjectSetting *
stored_search_path(Datum **entries, const int *counts)
{
	SubjectSetting *setting = palloc(sizeof(SubjectSetting));
	const char	   *value = NULL;

	for (int i = NUM_SOURCES - 1; i >= 0 && value == NULL; i--)
		value = find_stored("search_path", entries[i], counts[i]);
	if (value == NULL)
		value = GetConfigOptionResetString("search_path");
	setting->name = pstrdup("search_path");
	setting->value = value[0] != '\0' ? psprintf("%s, pg_temp", value) : pstrdup("pg_temp");
	return setting;
}

/*
 * Adds a setting, if the role or the database has another value than the session.
 */
static void
add_setting(List **settings, const char *name, Datum **entries, const int *counts)
{
	const char	   *now = GetConfigOption(name, true, false);
	char		   *value = NULL;
	SubjectSetting *setting;

	if (now == NULL)
		return;
	for (int i = NUM_SOURCES - 1; i >= 0 && value == NULL; i--)
		value = find_stored(name, entries[i], counts[i]);
	if (strcmp(value != NULL ? value : GetConfigOptionResetString(name), now) == 0)
		return;
	setting = palloc(sizeof(SubjectSetting));
	setting->name = pstrdup(name);
	setting->value = value;
	*settings = lappend(*settings, setting);
}

/*
 * The settings that statements of a role ran under in this database, as far as
 * they differ from what the session has now.
 */
List *
dbperf_workload_settings(Oid role)
{
	const Oid databases[NUM_SOURCES] = {InvalidOid, MyDatabaseId, InvalidOid, MyDatabaseId};
	const Oid roles[NUM_SOURCES] = {InvalidOid, InvalidOid, role, role};
	Relation  catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
	Datum	 *entries[NUM_SOURCES];
	int		  counts[NUM_SOURCES];
	List	 *settings = NIL;

	for (int i = 0; i < NUM_SOURCES; i++)
		counts[i] = read_stored(catalog, databases[i], roles[i], &entries[i]);
	table_close(catalog, AccessShareLock);

	for (int n = 0; n < dbperf_num_planner_settings; n++)
		add_setting(&settings, dbperf_planner_settings[n], entries, counts);
	for (int n = 0; n < lengthof(other_names); n++)
		add_setting(&settings, other_names[n], entries, counts);
	return lappend(settings, stored_search_path(entries, counts));
}

/*
 * Sets search_path to the schemas of the subject that still exist.  The
 * session's temporary tables come last: a statement of another session did not
 * mean them.
 */
static void
apply_search_path(const Subject *subject)
{
	StringInfoData path;
	ListCell	  *lc;

	initStringInfo(&path);
	foreach (lc, subject->search_path)
	{
		char *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL)
			appendStringInfo(&path, "%s, ", quote_identifier(name));
	}
	appendStringInfoString(&path, "pg_temp");
	(void) set_config_option("search_path", path.data, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * Sets what the subject ran under, until the current subtransaction ends.  A
 * stored value that the server refuses is left out, as it does itself.
 */
void
dbperf_workload_apply_settings(const Subject *subject)
{
	ListCell *lc;

	foreach (lc, subject->settings)
	{
		SubjectSetting *setting = lfirst(lc);

		(void) set_config_option(setting->name, setting->value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, DEBUG5, false);
	}
	if (subject->has_path)
		apply_search_path(subject);
}
