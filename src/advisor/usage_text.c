/*-------------------------------------------------------------------------
 *
 * usage_text.c
 *		The set's list of usages, and how they read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

/* Appends a column's name or the expression's text. */
static void
append_column(StringInfo buf, Oid relid, AttrNumber attno, Node *expr)
{
	char *name;

	if (expr != NULL)
	{
		name =
			deparse_expression(expr, deparse_context_for(get_rel_name(relid), relid), false, false);
		appendStringInfoString(buf, name);
		return;
	}
	name = get_attname(relid, attno, true);
	appendStringInfoString(buf, name != NULL ? quote_identifier(name) : "?");
}

/* Appends a list of IndexColumn with their directions. */
static void
append_columns(StringInfo buf, Oid relid, List *columns, bool directions)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		IndexColumn *column = lfirst(lc);

		if (lc != list_head(columns))
			appendStringInfoString(buf, ", ");
		append_column(buf, relid, column->attno, column->expr);
		if (directions && column->desc)
			appendStringInfoString(buf, " DESC");
		if (directions && column->nulls_first != column->desc)
			appendStringInfoString(buf, column->nulls_first ? " NULLS FIRST" : " NULLS LAST");
	}
}

/* "customer_id = ?", "ORDER BY created_at DESC" ... */
static char *
usage_text(const Usage *usage, List *columns, bool negated)
{
	StringInfoData buf;
	char		  *opname;

	initStringInfo(&buf);
	switch (usage->kind)
	{
		case USAGE_ORDER:
			appendStringInfoString(&buf, "ORDER BY ");
			append_columns(&buf, usage->relid, columns, true);
			break;
		case USAGE_GROUP:
			appendStringInfoString(&buf, "GROUP BY ");
			append_columns(&buf, usage->relid, columns, false);
			break;
		case USAGE_NULLNESS:
			if (OidIsValid(usage->opno) && negated)
				appendStringInfoString(&buf, "NOT ");
			append_columns(&buf, usage->relid, columns, false);
			if (!OidIsValid(usage->opno))
				appendStringInfoString(&buf, negated ? " IS NOT NULL" : " IS NULL");
			break;
		default:
			if (list_length(columns) > 1)
				appendStringInfoChar(&buf, '(');
			append_columns(&buf, usage->relid, columns, false);
			if (list_length(columns) > 1)
				appendStringInfoChar(&buf, ')');
			opname = get_opname(usage->opno);
			appendStringInfo(&buf, " %s ?", opname != NULL ? opname : "=");
	}
	return buf.data;
}

static bool
usage_equal(const Usage *a, const Usage *b)
{
	return a->relid == b->relid && a->kind == b->kind && a->attno == b->attno &&
		   a->opno == b->opno && a->opclass == b->opclass && equal(a->expr, b->expr);
}

/*
 * Adds a usage (copied) for the subject unless it is there; columns are all
 * the columns it speaks of, negated tells IS NULL from IS NOT NULL.  Returns
 * its place among the set's usages.
 */
int
dbperf_usage_add(QueryUses *uses, Usage *usage, List *columns, bool negated)
{
	CandidateSet *set = uses->set;
	char		 *text = usage_text(usage, columns, negated);
	MemoryContext old = MemoryContextSwitchTo(set->context);
	Usage		 *found = NULL;
	int			  place = 0;
	ListCell	 *lc;

	foreach (lc, set->usages)
	{
		found = lfirst(lc);
		if (usage_equal(found, usage) && strcmp(found->text, text) == 0)
			break;
		found = NULL;
		place++;
	}
	if (found == NULL)
	{
		found = palloc(sizeof(Usage));
		*found = *usage;
		found->expr = copyObject(usage->expr);
		found->text = pstrdup(text);
		found->columns = NIL;
		foreach (lc, columns)
		{
			IndexColumn *column =
				memcpy(palloc(sizeof(IndexColumn)), lfirst(lc), sizeof(IndexColumn));

			column->expr = copyObject(column->expr);
			found->columns = lappend(found->columns, column);
		}
		found->subjects = NULL;
		set->usages = lappend(set->usages, found);
	}
	found->subjects = bms_add_member(found->subjects, uses->subject->number);
	MemoryContextSwitchTo(old);
	return place;
}
