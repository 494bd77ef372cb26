/*-------------------------------------------------------------------------
 *
 * stats_ddl.c
 *		Advice on statistics as statements, and in words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "plans/stats_advice.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * The advice's columns, quoted, with something between them.
 */
static char *
column_list(const StatsAdvice *advice)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < advice->ncolumns; i++)
	{
		char *name = get_attname(advice->table->relid, advice->columns[i], true);

		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 name != NULL ? quote_identifier(name) : "?");
	}
	return buf.data;
}

/*
 * The kinds in parentheses, as CREATE STATISTICS wants them.
 */
static char *
kind_list(int kinds)
{
	static const char *const names[] = {"dependencies", "mcv", "ndistinct"};
	StringInfoData			 buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(names); i++)
	{
		if ((kinds & (1 << i)) != 0)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", names[i]);
	}
	return buf.data;
}

/*
 * What is advised, in a word or two.
 */
const char *
dbperf_stats_kind(const StatsAdvice *advice)
{
	switch (advice->remedy)
	{
		case REMEDY_EXTENDED:
			return kind_list(advice->kinds);
		case REMEDY_TARGET:
		case REMEDY_EXT_TARGET:
			return "statistics target";
		case REMEDY_ANALYZE:
			return "analyze";
		case REMEDY_NONE:
		case REMEDY_UNKNOWN:
			break;
	}
	return NULL;
}

/*
 * Whether a name for a statistics object is taken, or promised.
 */
static bool
name_is_taken(const char *schema, const char *name, List *names)
{
	List	 *qualified = list_make2(makeString(pstrdup(schema)), makeString(pstrdup(name)));
	ListCell *lc;

	foreach (lc, names)
	{
		if (strcmp(lfirst(lc), quote_qualified_identifier(schema, name)) == 0)
			return true;
	}
	return OidIsValid(get_statistics_object_oid(qualified, true));
}

/*
 * A name that is free, with its schema and quoted.
 */
static char *
free_name(const StatsAdvice *advice, List **names)
{
	StringInfoData columns;
	char		  *name;
	char		  *quoted;
	int			   number = 0;

	initStringInfo(&columns);
	for (int i = 0; i < advice->ncolumns; i++)
	{
		char *column = get_attname(advice->table->relid, advice->columns[i], true);

		appendStringInfo(&columns, "%s%s", i > 0 ? "_" : "", column != NULL ? column : "");
	}
	for (;;)
	{
		char label[16] = "stat";

		if (number > 0)
			snprintf(label, sizeof(label), "stat%d", number);
		name = makeObjectName(advice->table->name, columns.data, label);
		if (!name_is_taken(advice->table->schema, name, *names))
			break;
		number++;
	}
	quoted = quote_qualified_identifier(advice->table->schema, name);
	*names = lappend(*names, quoted);
	return quoted;
}

/*
 * Fills in the statements that do what is advised.  names are those of objects
 * that others of them make.
 */
void
dbperf_stats_ddl(StatsAdvice *advice, List **names)
{
	StatsTable	  *table = advice->table;
	const char	  *quoted = quote_qualified_identifier(table->schema, table->name);
	const char	  *columns = column_list(advice);
	const char	  *object = advice->object;
	StringInfoData buf;

	if (advice->remedy == REMEDY_NONE || advice->remedy == REMEDY_UNKNOWN)
		return;
	initStringInfo(&buf);
	if (advice->remedy == REMEDY_EXTENDED)
	{
		object = free_name(advice, names);
		appendStringInfo(&buf, "CREATE STATISTICS %s (%s) ON %s FROM %s; ", object,
						 kind_list(advice->kinds), columns, quoted);
	}
	if (advice->remedy == REMEDY_TARGET)
		appendStringInfo(&buf, "ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %d; ", quoted,
						 columns, advice->target);
	else if (advice->target > 0)
		appendStringInfo(&buf, "ALTER STATISTICS %s SET STATISTICS %d; ", object, advice->target);

	/* the columns alone are not enough for other objects, and ANALYZE would warn */
	if (table->objects)
		appendStringInfo(&buf, "ANALYZE %s", quoted);
	else
		appendStringInfo(&buf, "ANALYZE %s (%s)", quoted, columns);
	advice->ddl = buf.data;
}

/* ---- in words ---- */

/*
 * What the sample says, in numbers.
 */
static void
append_numbers(StringInfo buf, const StatsAdvice *advice, const StatsEvidence *worst)
{
	const char *columns = column_list(advice);

	if (worst->grouping)
		appendStringInfo(buf,
						 "they have %.0f different combinations by the sample, not %.0f as "
						 "independent columns would",
						 worst->sampled, worst->independent);
	else if (worst->sampled >= 0)
		appendStringInfo(buf,
						 "the conditions let %.0f rows through by the sample, and %.0f if their "
						 "columns were independent",
						 worst->sampled, worst->independent);
	else
		appendStringInfo(buf, "%.0f rows would pass if %s were independent", worst->independent,
						 columns);
}

static void
append_extended(StringInfo buf, const StatsAdvice *advice, const StatsEvidence *worst)
{
	appendStringInfo(buf, "%s are correlated: ", column_list(advice));
	append_numbers(buf, advice, worst);
	if ((advice->kinds & STATS_KIND_DEPENDENCIES) != 0)
		appendStringInfoString(buf, "; one follows from the other");
	if ((advice->kinds & STATS_KIND_MCV) != 0)
		appendStringInfoString(buf, "; the combinations are common enough for a list of them");
	if (advice->remedy == REMEDY_EXT_TARGET)
		appendStringInfo(buf, "; the list of %s is too short", advice->object);
}

static void
append_not_fixable(StringInfo buf, const StatsAdvice *advice, const StatsEvidence *worst)
{
	appendStringInfo(buf, "%s are correlated: ", column_list(advice));
	append_numbers(buf, advice, worst);
	if (worst->ranges >= 2)
		appendStringInfoString(
			buf, "; extended statistics do not help conditions on two ranges: where one column "
				 "follows from the other, ask for one of them only, or keep their difference or "
				 "a range of both in a column of its own and ask for that");
	else
		appendStringInfoString(
			buf, "; extended statistics would not help: the combinations are too many for a list "
				 "of them, and none of the columns follows from the others");
}

/*
 * Why this is advised, with what the sample shows.
 */
char *
dbperf_stats_reason(const StatsAdvice *advice)
{
	const StatsEvidence *worst = dbperf_stats_worst(advice);
	const char			*columns = column_list(advice);
	StringInfoData		 buf;

	initStringInfo(&buf);
	switch (advice->remedy)
	{
		case REMEDY_EXTENDED:
		case REMEDY_EXT_TARGET:
			append_extended(&buf, advice, worst);
			break;
		case REMEDY_TARGET:
			appendStringInfo(&buf,
							 "the statistics of %s are too coarse for the values that are asked "
							 "for: by the sample a target of %d would do",
							 columns, advice->target);
			break;
		case REMEDY_ANALYZE:
			if (advice->object != NULL)
				appendStringInfo(&buf, "%s has the kinds that are needed, but no data of them yet",
								 advice->object);
			else
				appendStringInfo(&buf,
								 "the statistics of %s are out of date or missing: the sample "
								 "shows %.0f rows",
								 columns, worst->sampled);
			break;
		case REMEDY_NONE:
			append_not_fixable(&buf, advice, worst);
			break;
		case REMEDY_UNKNOWN:
			appendStringInfo(&buf, "not verified, as the table could not be sampled: %s",
							 advice->table->refused);
			return buf.data;
	}
	if (advice->remedy != REMEDY_NONE)
		appendStringInfoString(&buf, "; q_error_after is computed from the sample");
	return buf.data;
}
