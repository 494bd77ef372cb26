/*-------------------------------------------------------------------------
 *
 * rules_filters.c
 *		Rules about scans that read many rows to keep a few.
 *
 * What would help depends on the conditions: an index, or writing a condition so
 * that the index there is can be used.  A column inside a function or a cast, or
 * a pattern that begins with a wildcard, explains a scan better than a missing
 * index does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "parser/parse_coerce.h"
#include "plans/findings_int.h"
#include "plans/plan_parse.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define REMOVED_SHARE 0.9		/* of the rows read */
#define PLAN_TABLE_ROWS 10000.0 /* of a table, where nothing was executed */
#define PLAN_SHARE 0.05
#define INDEX_ROW_COST 4.0 /* to fetch a row by an index, in rows scanned */
#define LOOPS 10.0		   /* from which on a scan is "in a loop" */
#define MAX_KEY_COLUMNS 3
#define MIN_PATTERN 3 /* characters that a trigram index can look for */

/* A scan and what its conditions offer. */
typedef struct FilteredScan
{
	const PlanNode *node;
	FindingTable   *table; /* or NULL */
	double			rows;
	double			removed;
	double			gain;
	List		   *equal; /* quoted columns compared for equality */
	List		   *range; /* otherwise comparable ones, and patterns with a known start */
	List		   *known; /* columns that the scan's index has found them by */
	PlanCondition  *pattern;
	PlanCondition  *cast;
	PlanCondition  *call;
	List		   *either; /* columns of an OR that have no index yet */
} FilteredScan;

/* Is this one of the operators of LIKE and ILIKE? */
static bool
is_pattern(const PlanCondition *condition)
{
	return condition->op != NULL && condition->right != NULL &&
		   (strcmp(condition->op, "~~") == 0 || strcmp(condition->op, "~~*") == 0);
}

/* Does a pattern begin with a wildcard, and have something to look for? */
static bool
is_leading_wildcard(const PlanCondition *condition)
{
	const char *p = condition->right;
	int			longest = 0;

	if (!is_pattern(condition) || p[0] != '\'' || (p[1] != '%' && p[1] != '_'))
		return false;
	for (p++; *p != '\0' && *p != '\''; p++)
	{
		int len = (int) strcspn(p, "%_'");

		longest = Max(longest, len);
		p += len;
		if (*p == '\0' || *p == '\'')
			break;
	}
	return longest >= MIN_PATTERN;
}

/* Can a plain index find what the condition compares? */
static bool
is_range(const PlanCondition *condition)
{
	static const char *const operators[] = {"<", "<=", ">", ">="};

	for (int i = 0; condition->op != NULL && i < (int) lengthof(operators); i++)
	{
		if (strcmp(condition->op, operators[i]) == 0)
			return true;
	}
	return false;
}

/* Adds a quoted column once. */
static List *
add_name(List *names, const char *column)
{
	const char *quoted = quote_identifier(column);
	ListCell   *lc;

	foreach (lc, names)
	{
		if (strcmp(lfirst(lc), quoted) == 0)
			return names;
	}
	return lappend(names, pstrdup(quoted));
}

/* Notes the columns of an OR, if an index can serve each of its sides. */
static void
note_either(FilteredScan *scan, const PlanCondition *condition)
{
	PlanNode  side = *scan->node;
	List	 *columns = NIL;
	List	 *sides = dbperf_split(condition->text, " OR ");
	ListCell *lc;

	if (list_length(sides) < 2)
		return;
	foreach (lc, sides)
	{
		PlanProperty   property = {pstrdup("Filter"), lfirst(lc), 0};
		PlanCondition *part;
		List		  *parts;

		side.properties = list_make1(&property);
		parts = dbperf_conditions(&side, "Filter", scan->table);
		part = linitial(parts);
		if (part->column == NULL || part->wrapped != NULL || !part->constant ||
			(part->op != NULL && strcmp(part->op, "=") != 0 && !is_range(part)))
			return;
		columns = add_name(columns, part->column);
	}
	foreach (lc, columns)
	{
		char *name;

		(void) dbperf_plan_identifier(lfirst(lc), &name);
		if (!dbperf_column_is_indexed(scan->table, name))
			scan->either = lappend(scan->either, lfirst(lc));
	}
}

/* Sorts one condition in. */
static void
note_condition(FilteredScan *scan, PlanCondition *condition)
{
	if (condition->column == NULL || !condition->constant)
	{
		note_either(scan, condition);
		return;
	}
	if (is_leading_wildcard(condition))
		scan->pattern = condition;
	else if (OidIsValid(condition->cast_type))
		scan->cast = condition;
	else if (condition->wrapped != NULL)
	{
		note_either(scan, condition);
		if (scan->either == NIL && condition->left != NULL)
			scan->call = condition;
	}
	else if (condition->op == NULL || strcmp(condition->op, "=") == 0)
		scan->equal = add_name(scan->equal, condition->column);
	else if (is_range(condition))
		scan->range = add_name(scan->range, condition->column);
}

/* Reads what a scan's conditions offer. */
static void
read_conditions(FilteredScan *scan)
{
	ListCell *lc;

	if (scan->table == NULL)
		return;
	foreach (lc, dbperf_conditions(scan->node, "Filter", scan->table))
		note_condition(scan, lfirst(lc));
	foreach (lc, dbperf_conditions(scan->node, "Index Cond", scan->table))
	{
		PlanCondition *condition = lfirst(lc);

		if (condition->column != NULL && condition->wrapped == NULL)
			scan->known = add_name(scan->known, condition->column);
	}
}

/* Is a column compared for equality the beginning of an index? */
static bool
has_index(const FilteredScan *scan)
{
	ListCell *lc;

	foreach (lc, scan->equal)
	{
		char *name;

		(void) dbperf_plan_identifier(lfirst(lc), &name);
		if (dbperf_column_is_indexed(scan->table, name))
			return true;
	}
	return false;
}

/* The key of the index that would help most; NIL if none would. */
static List *
index_key(const FilteredScan *scan)
{
	List	 *key = list_copy(scan->known);
	ListCell *lc;

	foreach (lc, scan->equal)
	{
		if (list_length(key) < MAX_KEY_COLUMNS)
			key = list_append_unique_ptr(key, lfirst(lc));
	}
	if (scan->range != NIL && (scan->equal != NIL || scan->known == NIL))
		key = lappend(key, linitial(scan->range));
	return list_length(key) > list_length(scan->known) ? key : NIL;
}

/*
 * Does every function of this name that can be meant give the same for the same
 * arguments always?  arguments are their texts, of which one is the column.
 */
static bool
is_immutable_call(const char *name, List *arguments, int place, Oid type)
{
	CatCList *functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	bool	  found = false;
	bool	  immutable = true;

	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		if (form->pronargs != list_length(arguments) ||
			!IsBinaryCoercible(type, form->proargtypes.values[place]))
			continue;
		found = true;
		immutable = immutable && form->provolatile == PROVOLATILE_IMMUTABLE;
	}
	ReleaseSysCacheList(functions);
	return found && immutable;
}

/*
 * Can an index be made on a call of one function, of the column and constants?
 */
static bool
is_indexable_call(const FilteredScan *scan, const PlanCondition *condition, Oid type)
{
	const char *text = condition->wrapped;
	int			len = (int) strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
	List	   *arguments;
	int			place = -1;
	ListCell   *lc;

	if (len == 0 || len >= NAMEDATALEN || text[len] != '(' || text[strlen(text) - 1] != ')')
		return false;
	arguments = dbperf_split(text + len, ", ");
	foreach (lc, arguments)
	{
		const char *argument = lfirst(lc);

		if (dbperf_columns_in(argument, scan->node, scan->table) == NIL)
		{
			if (argument[0] != '\'' && !isdigit((unsigned char) argument[0]))
				return false;
			continue;
		}
		if (strpbrk(argument, "+-*/|, ") != NULL)
			return false;
		place = foreach_current_index(lc);
	}
	return place >= 0 && is_immutable_call(pnstrdup(text, len), arguments, place, type);
}

/* The index on what stands around a column, if its functions allow one. */
static char *
expression_index(const FilteredScan *scan, const PlanCondition *condition)
{
	Oid type =
		get_atttype(scan->table->relid, dbperf_finding_column(scan->table, condition->column));
	char *expression = dbperf_unqualified(condition->wrapped, scan->node);

	if (OidIsValid(condition->cast_type))
	{
		/* between these types a cast depends on nothing else */
		bool by_value =
			type == INT2OID || type == INT4OID || type == INT8OID || type == NUMERICOID ||
			type == UUIDOID ||
			((type == TEXTOID || type == VARCHAROID) && condition->cast_type != DATEOID &&
			 condition->cast_type != TIMESTAMPOID && condition->cast_type != TIMESTAMPTZOID);

		return by_value ? dbperf_ddl_index(scan->table, list_make1(psprintf("(%s)", expression)))
						: NULL;
	}
	return is_indexable_call(scan, condition, type)
			   ? dbperf_ddl_index(scan->table, list_make1(expression))
			   : NULL;
}

/* What every finding here says first. */
static char *
evidence(const FilteredScan *scan)
{
	const PlanNode *node = scan->node;

	if (!node->has_actual)
		return psprintf("%.0f of %.0f rows expected to remain of a scan of all", node->plan_rows,
						scan->rows + scan->removed);
	if (node->actual_loops > 1)
		return psprintf("%.0f rows read and %.0f of them thrown away, in %.0f loops",
						scan->rows + scan->removed, scan->removed, node->actual_loops);
	return psprintf("%.0f rows read and %.0f of them thrown away", scan->rows + scan->removed,
					scan->removed);
}

/* leading_wildcard.  Gain: that of the scan. */
static void
report_pattern(FindingContext *context, FilteredScan *scan)
{
	Finding *finding = dbperf_finding_add(context, "leading_wildcard", scan->node, scan->gain);

	finding->evidence = psprintf("%s: the pattern on %s begins with a wildcard", evidence(scan),
								 quote_identifier(scan->pattern->column));
	finding->advice = "A btree index finds patterns by their beginning only. A trigram index "
					  "(extension pg_trgm) finds any part of at least three characters; for words "
					  "use full-text search.";
	finding->ddl = dbperf_ddl_trigram(scan->table, scan->pattern->column);
}

/* function_on_column and cast_on_column.  Gain: that of the scan. */
static void
report_wrapped(FindingContext *context, FilteredScan *scan, PlanCondition *condition)
{
	bool	 cast = OidIsValid(condition->cast_type);
	Finding *finding = dbperf_finding_add(context, cast ? "cast_on_column" : "function_on_column",
										  scan->node, scan->gain);

	finding->evidence = psprintf("%s: an index on %s does not serve %s", evidence(scan),
								 quote_identifier(condition->column), condition->wrapped);
	if (cast)
		finding->advice = psprintf(
			"The column is converted for each row, since it is compared "
			"with a value of another type. Pass the value as %s, or add "
			"an index on the expression.",
			format_type_be(get_atttype(scan->table->relid,
									   dbperf_finding_column(scan->table, condition->column))));
	else
		finding->advice = "Compare the plain column, for example with the range of values that "
						  "the function maps to this one, or add an index on the expression.";
	finding->ddl = expression_index(scan, condition);
}

/* The code of a scan that lacks an index, and its index. */
static void
report_index(FindingContext *context, FilteredScan *scan)
{
	const PlanNode *node = scan->node;
	bool			loop = dbperf_node_is(node, "Seq Scan") && dbperf_node_loops(node) >= LOOPS;
	List		   *key = index_key(scan);
	Finding		   *finding;
	char		   *ddl = NULL;

	if (scan->table != NULL && key != NIL && !has_index(scan))
		ddl = dbperf_ddl_index(scan->table, key);
	else if (list_length(scan->either) == 1)
		ddl = dbperf_ddl_index(scan->table, scan->either);
	else if (scan->either != NIL)
		ddl = dbperf_ddl_indexes(scan->table, scan->either);
	if (ddl == NULL && scan->cast != NULL)
		ddl = expression_index(scan, scan->cast);
	if (ddl == NULL && scan->call != NULL)
		ddl = expression_index(scan, scan->call);

	finding = dbperf_finding_add(context,
								 loop		   ? "sequential_scan_in_loop"
								 : ddl != NULL ? "missing_index"
											   : "rows_removed_by_filter",
								 node, scan->gain);
	finding->evidence = evidence(scan);
	finding->ddl = ddl;
	if (ddl == NULL)
		finding->advice = "Nearly all rows that were read are thrown away. Look for a condition "
						  "that an index can serve, or keep the rows in question apart "
						  "(partitions, a partial index, an archive).";
	else if (scan->either != NIL && key == NIL)
		finding->advice = "An index for each side of the OR lets the planner combine them in a "
						  "bitmap. Where there is more than one to create, do it one by one with "
						  "CONCURRENTLY on a busy table.";
	else
		finding->advice = "An index on the columns of the condition finds the remaining rows "
						  "without reading the others.";
}

/*
 * Does a scan read many rows in vain?  Gain: its own time, less fetching the
 * rows that remain by an index.
 */
static bool
is_wasteful(const FindingContext *context, FilteredScan *scan)
{
	const PlanNode *node = scan->node;
	double			all;

	if (node->has_actual)
	{
		scan->rows = dbperf_node_rows(node);
		scan->removed = node->actual_loops * dbperf_plan_number(node, "Rows Removed by Filter", 0);
	}
	else if (!context->tree->analyzed && dbperf_node_is(node, "Seq Scan") && scan->table != NULL &&
			 scan->table->rows >= PLAN_TABLE_ROWS &&
			 node->plan_rows <= PLAN_SHARE * scan->table->rows)
	{
		scan->rows = node->plan_rows;
		scan->removed = scan->table->rows - node->plan_rows;
	}
	all = scan->rows + scan->removed;
	if (scan->removed < MIN_ROWS || scan->removed < REMOVED_SHARE * all)
		return false;
	scan->gain =
		dbperf_node_self_ms(context, node) * (1 - Min(1, INDEX_ROW_COST * scan->rows / all));
	return true;
}

/* Was a scan explained by what other rules have found? */
static bool
is_explained(const FindingContext *context, const PlanNode *node)
{
	static const char *const codes[] = {"stale_statistics", "missing_statistics", "row_misestimate",
										"limit_wrong_index"};

	for (int i = 0; i < (int) lengthof(codes); i++)
	{
		const Finding *finding = dbperf_finding_of(context, codes[i], node);

		if (finding != NULL && finding->gain_ms > 0)
			return true;
	}
	return (node->parent != NULL &&
			dbperf_finding_of(context, "partitions_not_pruned", node->parent) != NULL) ||
		   dbperf_explained_by_estimate(context, node);
}

/* Judges one scan. */
static void
judge_scan(FindingContext *context, const PlanNode *node)
{
	FilteredScan scan = {0};

	scan.node = node;
	scan.table = dbperf_finding_table(context, node);
	if (!is_wasteful(context, &scan) || is_explained(context, node))
		return;
	read_conditions(&scan);
	if (index_key(&scan) == NIL && strstr(dbperf_plan_property(node, "Filter"), "SubPlan ") != NULL)
		return;
	if (scan.pattern != NULL && scan.equal == NIL)
		report_pattern(context, &scan);
	else if (scan.equal == NIL && scan.cast != NULL &&
			 dbperf_column_is_indexed(scan.table, scan.cast->column))
		report_wrapped(context, &scan, scan.cast);
	else if (scan.equal == NIL && scan.call != NULL &&
			 dbperf_column_is_indexed(scan.table, scan.call->column))
		report_wrapped(context, &scan, scan.call);
	else
		report_index(context, &scan);
}

/*
 * Judges all scans that have a filter.
 */
void
dbperf_judge_filters(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (node->relation != NULL && dbperf_plan_property(node, "Filter") != NULL &&
			!dbperf_node_is(node, "ModifyTable") && !dbperf_node_is(node, "Foreign Scan"))
			judge_scan(context, node);
	}
}
