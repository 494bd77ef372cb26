/*-------------------------------------------------------------------------
 *
 * workload_parse.c
 *		From the text of a statement to the query in it.
 *
 * EXPLAIN, cursors, COPY, CREATE TABLE AS and the like are workload by the query
 * that they carry, so that is taken out of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/workload_int.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

/*
 * Parses the text, once; the tree lives as long as the subject.  Raises an
 * error unless it is exactly one statement.
 */
void
dbperf_subject_parse(Subject *subject)
{
	MemoryContext old;
	List		 *statements;

	if (subject->raw != NULL)
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(subject));
	statements = raw_parser(subject->text, RAW_PARSE_DEFAULT);
	MemoryContextSwitchTo(old);

	if (statements == NIL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the text has no statement in it")));
	if (list_length(statements) > 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the text contains %d statements", list_length(statements))));
	subject->raw = linitial_node(RawStmt, statements);
}

/*
 * Turns to the normalised text of a subject whose own does not parse.
 */
void
dbperf_subject_use_normalized(Subject *subject)
{
	subject->text = subject->normalized;
	subject->normalized = NULL;
	subject->problem = NULL;
	subject->error = NULL;
	subject->nparams = 0;
	subject->param_types = NULL;
	subject->param_values = NULL;
	subject->param_known = NULL;
}

/*
 * Takes the INTO out of SELECT INTO, which stands in the leftmost SELECT.
 */
static void
strip_into(SelectStmt *select)
{
	while (select->op != SETOP_NONE)
		select = select->larg;
	select->intoClause = NULL;
}

/*
 * The statement inside of a utility statement, or NULL if that has none.
 */
static Node *
inner_statement(Node *stmt, Unwrapped *out)
{
	switch (nodeTag(stmt))
	{
		case T_ExplainStmt:
			return ((ExplainStmt *) stmt)->query;
		case T_DeclareCursorStmt:
			out->cursor_options = ((DeclareCursorStmt *) stmt)->options;
			return ((DeclareCursorStmt *) stmt)->query;
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->query;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->query;
		case T_PrepareStmt:
			out->argtypes = ((PrepareStmt *) stmt)->argtypes;
			return ((PrepareStmt *) stmt)->query;
		default:
			return NULL;
	}
}

/*
 * Finds the query of a parsed subject, in a copy that may be changed.  Raises an
 * error if there is none.
 */
void
dbperf_unwrap(Subject *subject, Unwrapped *out)
{
	RawStmt *raw = copyObject(subject->raw);

	memset(out, 0, sizeof(*out));
	out->cursor_options = CURSOR_OPT_PARALLEL_OK;
	for (;;)
	{
		Node *inner;

		switch (nodeTag(raw->stmt))
		{
			case T_SelectStmt:
				strip_into((SelectStmt *) raw->stmt);
				out->raw = raw;
				return;
			case T_InsertStmt:
			case T_UpdateStmt:
			case T_DeleteStmt:
			case T_MergeStmt:
				out->raw = raw;
				return;
			case T_RefreshMatViewStmt:
				out->matview = ((RefreshMatViewStmt *) raw->stmt)->relation;
				return;
			default:
				inner = inner_statement(raw->stmt, out);
				if (inner == NULL)
				{
					subject->ignored = !subject->explicit_text;
					ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
									errmsg("%s is not a query", CreateCommandName(raw->stmt))));
				}
				raw->stmt = inner;
				break;
		}
	}
}
