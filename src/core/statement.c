/*-------------------------------------------------------------------------
 *
 * statement.c
 *		Storage of the statements that modules hear of.
 *
 * Portals interleave, so open statements are a list and not a stack.  They
 * come from chunks that are kept for the life of the process and never move:
 * a statement in the usual case costs no allocation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/exec_hooks.h"
#include "utils/memutils.h"

#define STATEMENTS_PER_CHUNK 8

/* all statements between ExecutorStart and ExecutorEnd, newest first */
dlist_head dbperf_open_statements = DLIST_STATIC_INIT(dbperf_open_statements);

static dlist_head free_statements = DLIST_STATIC_INIT(free_statements);
static Size		  statement_size = MAXALIGN(sizeof(DbperfStatement));

/*
 * Reserves size bytes for a module in every statement; returns their offset.
 * Only before the first statement.
 */
Size
dbperf_statement_reserve(Size size)
{
	Size offset = statement_size;

	statement_size += MAXALIGN(size);
	return offset;
}

/*
 * Adds a chunk of statements to the free list; without memory it stays empty.
 */
static void
statement_grow(void)
{
	char *chunk = MemoryContextAllocExtended(
		TopMemoryContext, STATEMENTS_PER_CHUNK * statement_size, MCXT_ALLOC_NO_OOM);

	if (chunk == NULL)
		return;
	for (int i = 0; i < STATEMENTS_PER_CHUNK; i++)
		dlist_push_tail(&free_statements, (dlist_node *) (chunk + i * statement_size));
}

/*
 * Returns a statement with undefined content that is in no list, or NULL if
 * there is no memory for it.
 */
DbperfStatement *
dbperf_statement_new(void)
{
	StaticAssertStmt(offsetof(DbperfStatement, node) == 0, "node must come first");

	if (dlist_is_empty(&free_statements))
		statement_grow();
	if (dlist_is_empty(&free_statements))
		return NULL;
	return dlist_container(DbperfStatement, node, dlist_pop_head_node(&free_statements));
}

/*
 * Gives a statement back that is in no list.
 */
void
dbperf_statement_free(DbperfStatement *stmt)
{
	dlist_push_head(&free_statements, &stmt->node);
}

/*
 * Closes the open statements that were started in subtransaction "from" or in
 * one begun after it: those are its children, since what a committed one left
 * open belongs to its parent (dbperf_statement_adopt).  Returns how many.
 */
int
dbperf_statement_close_all(void (*close)(DbperfStatement *stmt), SubTransactionId from)
{
	dlist_mutable_iter iter;
	int				   closed = 0;

	dlist_foreach_modify (iter, &dbperf_open_statements)
	{
		DbperfStatement *stmt = dlist_container(DbperfStatement, node, iter.cur);

		if (stmt->subid < from)
			continue;
		close(stmt);
		dlist_delete(&stmt->node);
		dbperf_statement_free(stmt);
		closed++;
	}
	return closed;
}

/*
 * Hands the open statements of a committed subtransaction to its parent.
 */
void
dbperf_statement_adopt(SubTransactionId child, SubTransactionId parent)
{
	dlist_iter iter;

	dlist_foreach (iter, &dbperf_open_statements)
	{
		DbperfStatement *stmt = dlist_container(DbperfStatement, node, iter.cur);

		if (stmt->subid == child)
			stmt->subid = parent;
	}
}
