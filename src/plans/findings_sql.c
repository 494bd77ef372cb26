/*-------------------------------------------------------------------------
 *
 * findings_sql.c
 *		Findings about recorded statements: dbperf.plan_findings,
 *		explain_slow_query() and plan_as_json().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "plans/findings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PLAN_FINDINGS_COLUMNS 10

PG_FUNCTION_INFO_V1(dbperf_plan_findings);
PG_FUNCTION_INFO_V1(dbperf_explain_slow_query);
PG_FUNCTION_INFO_V1(dbperf_plan_as_json);

/* The findings about a recorded statement, and its tree; NIL and NULL without a plan. */
static List *
statement_findings(const SlowStatement *statement, PlanTree **tree)
{
	FindingSubject subject = {0};

	*tree = dbperf_plan_parse(statement->plan);
	if (*tree == NULL)
		return NIL;
	subject.tree = *tree;
	subject.query = statement->query;
	subject.relations = statement->relations;
	subject.duration_ms = statement->duration_ms;
	subject.planning_ms = statement->planning_ms;
	subject.jit_ms = statement->jit_ms;
	subject.work_mem_kb = statement->work_mem_kb;
	subject.temp_blks_read = statement->temp_blks_read;
	subject.temp_blks_written = statement->temp_blks_written;
	subject.shared_blks_hit = statement->shared_blks_hit;
	subject.shared_blks_read = statement->shared_blks_read;
	return dbperf_findings(&subject);
}

/* Sets a text column, null if there is no text. */
static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Adds the row of one finding. */
static void
put_finding(ReturnSetInfo *rsinfo, const SlowStatement *statement, const Finding *finding)
{
	Datum values[PLAN_FINDINGS_COLUMNS] = {0};
	bool  nulls[PLAN_FINDINGS_COLUMNS] = {false};

	values[0] = Int64GetDatum(statement->id);
	values[1] = Int64GetDatum((int64) statement->queryid);
	nulls[1] = statement->queryid == 0;
	put_text(values, nulls, 2, dbperf_finding_severity(finding->severity));
	put_text(values, nulls, 3, finding->code);
	put_text(values, nulls, 4, finding->node != NULL ? finding->node->title : NULL);
	put_text(values, nulls, 5, finding->evidence);
	put_text(values, nulls, 6, finding->advice);
	put_text(values, nulls, 7, finding->ddl);
	put_text(values, nulls, 8, finding->setting);
	values[9] = Float8GetDatum(rint(finding->gain_ms * 1000) / 1000);
	nulls[9] = finding->gain_ms < 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Was a newer statement with the same query and plan seen? */
static bool
is_repeated(const List *seen, const SlowStatement *statement)
{
	ListCell *lc;

	foreach (lc, seen)
	{
		const SlowStatement *other = lfirst(lc);

		if (other->queryid == statement->queryid && other->plan_id == statement->plan_id &&
			other->queryid != 0)
			return true;
	}
	return false;
}

/*
 * plan_findings() returns setof record: the findings about the newest record of
 * each query and plan.
 */
Datum
dbperf_plan_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	MemoryContext  work;
	List		  *seen = NIL;
	ListCell	  *lc;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, PLAN_FINDINGS_COLUMNS);
	work = AllocSetContextCreate(CurrentMemoryContext, "dbperf findings", ALLOCSET_DEFAULT_SIZES);
	foreach (lc, dbperf_slow_statements(1, PG_INT64_MAX))
	{
		SlowStatement *statement = lfirst(lc);
		MemoryContext  caller;
		PlanTree	  *tree;
		ListCell	  *lc2;

		CHECK_FOR_INTERRUPTS();
		if (is_repeated(seen, statement))
			continue;
		seen = lappend(seen, statement);
		caller = MemoryContextSwitchTo(work);
		foreach (lc2, statement_findings(statement, &tree))
			put_finding(rsinfo, statement, lfirst(lc2));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
	return (Datum) 0;
}

/* Says why there is no plan of this id. */
static void
refuse(int64 id, SlowStatementState state)
{
	switch (state)
	{
		case SLOW_STATEMENT_HIDDEN:
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("permission denied for slow query " INT64_FORMAT, id),
							errdetail("Another role sent it."),
							errhint("Members of pg_read_all_stats may see all plans.")));
			break;
		case SLOW_STATEMENT_OTHER_DATABASE:
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("slow query " INT64_FORMAT " is of another database", id),
							errhint("Connect to that database: column database_name of "
									"dbperf.slow_queries names it.")));
			break;
		case SLOW_STATEMENT_NO_PLAN:
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("slow query " INT64_FORMAT " has no plan", id),
					 errdetail("It is a utility command, it failed before it was planned, or "
							   "dbperf.plan_capture was off.")));
			break;
		case SLOW_STATEMENT_UNKNOWN:
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("slow query " INT64_FORMAT " does not exist", id),
							errhint("Column id of dbperf.slow_queries has those that do.")));
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("slow query " INT64_FORMAT " is not recorded any more", id),
							errdetail("Newer records took its place, or it was removed."),
							errhint("Raise dbperf.slow_query_ring_size, or keep records with "
									"dbperf.slow_query_history_retention; plan_as_json() takes "
									"plans from dbperf.slow_query_history.")));
	}
}

/* The recorded statement of this id.  Raises an error if there is none. */
static SlowStatement *
find_statement(int64 id)
{
	List *statements = dbperf_slow_statements(id, id);

	if (statements == NIL)
		refuse(id, dbperf_slow_statement_state(id));
	return linitial(statements);
}

/* Appends the lines of a plan, with the findings beside the nodes. */
static void
write_lines(StringInfo out, const PlanTree *tree, const List *findings)
{
	int		  number = 0;
	ListCell *lc;

	foreach (lc, tree->lines)
	{
		ListCell *lc2;

		appendStringInfoString(out, lfirst(lc));
		number++;
		foreach (lc2, findings)
		{
			const Finding *finding = lfirst(lc2);

			if (finding->node != NULL && finding->node->line == number)
				appendStringInfo(out, "  <- %s: %s", dbperf_finding_severity(finding->severity),
								 finding->code);
		}
		appendStringInfoChar(out, '\n');
	}
	if (tree->cut)
		appendStringInfoString(out, "(the plan was cut: see dbperf.max_plan_length)\n");
	if (tree->outline)
		appendStringInfoString(out, "(the plan was too large to be explained)\n");
}

/* Appends the findings with all that is known of them. */
static void
write_findings(StringInfo out, const List *findings)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		const Finding *finding = lfirst(lc);

		appendStringInfo(out, "\n%s: %s", dbperf_finding_severity(finding->severity),
						 finding->code);
		if (finding->node != NULL)
			appendStringInfo(out, " (%s)", finding->node->title);
		appendStringInfo(out, "\n  %s\n  %s\n", finding->evidence, finding->advice);
		if (finding->ddl != NULL)
			appendStringInfo(out, "  %s;\n", finding->ddl);
		if (finding->setting != NULL)
			appendStringInfo(out, "  SET %s;\n", finding->setting);
		if (finding->gain_ms >= 0)
			appendStringInfo(out, "  estimated gain: %.1f ms\n", finding->gain_ms);
	}
}

/*
 * explain_slow_query(id, format) returns text: the captured plan of a recorded
 * statement, as text with the findings, or as JSON for programs that show plans.
 */
Datum
dbperf_explain_slow_query(PG_FUNCTION_ARGS)
{
	int64		   id = PG_GETARG_INT64(0);
	char		  *format = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		   json = pg_strcasecmp(format, "json") == 0;
	SlowStatement *statement;
	PlanTree	  *tree;
	List		  *findings;
	StringInfoData out;

	if (!json && pg_strcasecmp(format, "text") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid format \"%s\"", format),
				 errhint("Valid formats are \"text\" and \"json\".")));
	dbperf_require_shmem();
	statement = find_statement(id);
	findings = statement_findings(statement, &tree);
	if (tree == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the plan of slow query " INT64_FORMAT " cannot be read", id),
						errdetail("It was cut within its first line."),
						errhint("Raise dbperf.max_plan_length.")));

	initStringInfo(&out);
	if (json)
		dbperf_plan_json(tree, &out);
	else
	{
		write_lines(&out, tree, findings);
		write_findings(&out, findings);
		while (out.len > 0 && out.data[out.len - 1] == '\n')
			out.data[--out.len] = '\0';
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/*
 * plan_as_json(text) returns json: what EXPLAIN (FORMAT JSON) would have printed
 * instead of this text; null if it is no plan.
 */
Datum
dbperf_plan_as_json(PG_FUNCTION_ARGS)
{
	PlanTree	  *tree = dbperf_plan_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	StringInfoData out;

	if (tree == NULL)
		PG_RETURN_NULL();
	initStringInfo(&out);
	dbperf_plan_json(tree, &out);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
