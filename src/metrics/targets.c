/*-------------------------------------------------------------------------
 *
 * targets.c
 *		What a database shall achieve: rows of a table of its own.
 *
 * CREATE EXTENSION puts four targets into the table, and so it does when a dump is
 * restored, before the rows of the dump come.  They are marked: what a restore
 * brings takes their place, also if it is less.  A restore can be told by
 * check_function_bodies, which scripts of pg_dump turn off.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "executor/spi.h"
#include "metrics/health.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"

#define METRIC_PREFIX "dbperf_"
#define METRIC_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

PG_FUNCTION_INFO_V1(dbperf_targets_check);
PG_FUNCTION_INFO_V1(dbperf_targets_restore);

/* A column of the trigger's row, an error if the table has no such column. */
static int
column_number(TupleDesc desc, const char *name)
{
	int number = SPI_fnumber(desc, name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"dbperf.%s\" does not exist", name, TARGETS_TABLE),
				 errhint("Run ALTER EXTENSION dbperf UPDATE.")));
	return number;
}

/* Whether a name can be that of a metric of dbperf. */
static bool
may_be_metric(const char *name)
{
	return strncmp(name, METRIC_PREFIX, strlen(METRIC_PREFIX)) == 0 &&
		   name[strspn(name, METRIC_CHARACTERS)] == '\0';
}

/* Refuses a name that can never have a value; warns of one that has none now. */
static void
check_name(const char *name)
{
	bool histogram;

	if (strcmp(name, TARGET_QUERY_P95) == 0 || strcmp(name, TARGET_POOL) == 0 ||
		strcmp(name, TARGET_CACHE) == 0 || strcmp(name, TARGET_COVERAGE) == 0)
		return;
	if (!may_be_metric(name))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is neither a target of dbperf nor a metric", name),
						errdetail("Targets are %s, %s, %s and %s.", TARGET_QUERY_P95, TARGET_POOL,
								  TARGET_CACHE, TARGET_COVERAGE),
						errhint("The view dbperf.metrics has the names of metrics.")));
	if (dbperf_health_metric_exists(name, &histogram))
		return;
	if (histogram)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("metric \"%s\" is a histogram, which has no value to compare", name),
						errhint("Target %s is for latencies.", TARGET_QUERY_P95)));
	else
		ereport(WARNING, (errmsg("metric \"%s\" has no value now", name),
						  errdetail("Until it has one the verdict is \"no data\"."),
						  errhint("The view dbperf.metrics has the names of metrics.")));
}

/* Refuses what cannot be compared. */
static void
check_comparison(const char *comparison, double threshold)
{
	if (strcmp(comparison, "<") != 0 && strcmp(comparison, "<=") != 0 &&
		strcmp(comparison, ">") != 0 && strcmp(comparison, ">=") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not a comparison", comparison),
						errhint("Comparisons are <, <=, > and >=.")));
	if (isnan(threshold) || isinf(threshold))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the threshold of a target must be a finite number")));
}

/* The trigger's table must be the one that it was made for. */
static TriggerData *
check_trigger(FunctionCallInfo fcinfo, bool row)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		(bool) TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != row ||
		RelationGetRelid(trigger->tg_relation) != dbperf_own_table(TARGETS_TABLE))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by a trigger of table \"dbperf.%s\"",
							   TARGETS_TABLE)));
	return trigger;
}

/* Whether a script of pg_dump is being run. */
static bool
is_restored(void)
{
	return !check_function_bodies;
}

/* Marks a row as one of a user. */
static HeapTuple
as_users_own(HeapTuple row, TupleDesc desc)
{
	int	  number = column_number(desc, "built_in");
	Datum value = BoolGetDatum(false);
	bool  isnull = false;

	return heap_modify_tuple_by_cols(row, desc, 1, &number, &value, &isnull);
}

/*
 * targets_check() returns trigger: before a row is inserted or updated.  A null is
 * left to the table.
 */
Datum
dbperf_targets_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_trigger(fcinfo, true);
	TupleDesc	 desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	 row =
		   TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	bool  isnull[3];
	Datum name = heap_getattr(row, column_number(desc, "name"), desc, &isnull[0]);
	Datum comparison = heap_getattr(row, column_number(desc, "comparison"), desc, &isnull[1]);
	Datum threshold = heap_getattr(row, column_number(desc, "threshold"), desc, &isnull[2]);

	if (creating_extension)
		return PointerGetDatum(row);
	if (!isnull[0] && !isnull[1] && !isnull[2])
	{
		check_comparison(TextDatumGetCString(comparison), DatumGetFloat8(threshold));
		if (!is_restored())
			check_name(TextDatumGetCString(name));
	}
	return PointerGetDatum(as_users_own(row, desc));
}

/*
 * targets_restore() returns trigger: before rows are inserted.  Those of CREATE
 * EXTENSION make place for those of a dump.
 */
Datum
dbperf_targets_restore(PG_FUNCTION_ARGS)
{
	(void) check_trigger(fcinfo, false);
	if (creating_extension || !is_restored())
		return PointerGetDatum(NULL);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("DELETE FROM dbperf." TARGETS_TABLE " WHERE built_in", false, 0) !=
			SPI_OK_DELETE)
		elog(ERROR, "could not make place for the targets of a dump");
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * Whether the value of a target is what it should be; false without a value.
 */
bool
dbperf_target_is_met(const HealthTarget *target)
{
	bool equal = target->value == target->threshold;

	if (!target->known)
		return false;
	if (equal)
		return target->comparison[1] == '=';
	return (target->comparison[0] == '<') == (target->value < target->threshold);
}

/*
 * The targets of the current database, as HealthTarget in the current memory
 * context, by their names.  Read as the role that asks.
 */
List *
dbperf_targets_read(void)
{
	MemoryContext context = CurrentMemoryContext;
	List		 *targets = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	(void) dbperf_health_ask("SELECT t.threshold, t.name, t.comparison"
							 " FROM dbperf." TARGETS_TABLE " AS t ORDER BY t.name",
							 0, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		HealthTarget *target = palloc0(sizeof(HealthTarget));

		target->name = pstrdup(dbperf_health_text(i, 2));
		target->comparison = pstrdup(dbperf_health_text(i, 3));
		(void) dbperf_health_number(i, 1, &target->threshold);
		targets = lappend(targets, target);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return targets;
}
