/*-------------------------------------------------------------------------
 *
 * candidate_column.c
 *		Columns of definitions, compared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"

/* Same column or expression, whatever its direction and operator class. */
bool
dbperf_column_same(const IndexColumn *a, const IndexColumn *b)
{
	if (a->attno != b->attno)
		return false;
	return a->attno != InvalidAttrNumber || dbperf_index_expr_equal(a->expr, b->expr);
}

/* Whether a list of IndexColumn has the column. */
bool
dbperf_column_in(const IndexColumn *column, List *columns)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		if (dbperf_column_same(column, lfirst(lc)))
			return true;
	}
	return false;
}

/* The key column of a definition that is this one; -1 if there is none. */
int
dbperf_column_in_key(const IndexColumn *column, const IndexDef *def)
{
	for (int i = 0; i < def->nkeys; i++)
	{
		if (dbperf_column_same(column, &def->columns[i]))
			return i;
	}
	return -1;
}
