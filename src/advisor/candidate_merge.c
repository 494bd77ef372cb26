/*-------------------------------------------------------------------------
 *
 * candidate_merge.c
 *		Candidates that serve several statements at once.
 *
 * Each statement's own best index is often one column away from another's.
 * Where equality columns may come in any order, the order that another
 * statement needs is tried; and where two keys are the same or one begins like
 * the other, INCLUDE columns are united.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"

/* So many merged candidates for a table, and so many columns in one. */
#define MAX_MERGED 60
#define MAX_COLUMNS 12

/* What candidates may be merged: open btrees of the table. */
static bool
mergeable(const Candidate *candidate, Oid relid)
{
	return candidate->def->relid == relid && candidate->def->am == BTREE_AM_OID &&
		   candidate->verdict == NULL;
}

/* Whether the first "count" key columns of b have all of a's key. */
static bool
key_within(const IndexDef *a, const IndexDef *b, int count)
{
	for (int i = 0; i < a->nkeys; i++)
	{
		int place = dbperf_column_in_key(&a->columns[i], b);

		if (place < 0 || place >= count || a->columns[i].opclass != b->columns[place].opclass)
			return false;
	}
	return true;
}

/* Whether a's key is how b's key begins, or all of it. */
static bool
key_begins(const IndexDef *a, const IndexDef *b)
{
	for (int i = 0; i < a->nkeys; i++)
	{
		if (i >= b->nkeys || !dbperf_column_same(&a->columns[i], &b->columns[i]) ||
			a->columns[i].opclass != b->columns[i].opclass ||
			a->columns[i].desc != b->columns[i].desc ||
			a->columns[i].nulls_first != b->columns[i].nulls_first)
			return false;
	}
	return true;
}


/* Puts a's key in front of what else is in b's. */
static IndexDef *
permute(const IndexDef *a, const IndexDef *b)
{
	IndexDef *def = dbperf_index_def_copy(b);

	def->nkeys = def->ncolumns = 0;
	for (int i = 0; i < a->nkeys; i++)
		def->columns[def->nkeys++] = a->columns[i];
	for (int i = 0; i < b->nkeys; i++)
	{
		if (dbperf_column_in_key(&b->columns[i], def) < 0)
			def->columns[def->nkeys++] = b->columns[i];
	}
	def->ncolumns = def->nkeys;
	for (int i = b->nkeys; i < b->ncolumns; i++)
		def->columns[def->ncolumns++] = b->columns[i];
	return def;
}

/* Adds a's INCLUDE columns to b's; NULL if there is nothing to add or too much. */
static IndexDef *
unite(const CandidateTable *table, const IndexDef *a, const IndexDef *b)
{
	IndexDef  *def = dbperf_index_def_copy(b);
	Bitmapset *columns = NULL;

	for (int i = b->nkeys; i < b->ncolumns; i++)
		columns = bms_add_member(columns, b->columns[i].attno);
	for (int i = a->nkeys; i < a->ncolumns; i++)
		columns = bms_add_member(columns, a->columns[i].attno);
	def->ncolumns = def->nkeys;
	if (!dbperf_candidate_cover(table, def, columns) || def->ncolumns <= b->ncolumns ||
		def->ncolumns > MAX_COLUMNS)
		return NULL;
	return def;
}

/* Adds what a merge of two candidates gave. */
static void
merged_add(CandidateSet *set, const IndexDef *def, int nequal, const Candidate *a,
		   const Candidate *b)
{
	int			  before = set->ncandidates;
	Candidate	 *candidate = dbperf_candidates_add(set, def, -1);
	MemoryContext old;

	if (candidate == NULL)
		return;
	old = MemoryContextSwitchTo(set->context);
	if (set->ncandidates > before)
		candidate->nequal = nequal;
	candidate->subjects = bms_add_members(candidate->subjects, a->subjects);
	candidate->subjects = bms_add_members(candidate->subjects, b->subjects);
	MemoryContextSwitchTo(old);
}

/* Merges a into b if that makes sense. */
static void
merge_pair(CandidateSet *set, CandidateTable *table, Candidate *a, Candidate *b)
{
	IndexDef *def = NULL;

	if (!dbperf_index_predicate_equal(a->def->predicate, b->def->predicate))
		return;
	if (bms_is_subset(a->subjects, b->subjects) || dbperf_index_def_serves(b->def, a->def))
		return;
	if (key_begins(a->def, b->def))
		def = a->def->ncolumns > a->def->nkeys ? unite(table, a->def, b->def) : NULL;
	else if (a->def->nkeys < b->def->nkeys && a->def->ncolumns == a->def->nkeys &&
			 key_within(a->def, b->def, b->nequal))
		def = permute(a->def, b->def);
	if (def != NULL)
		merged_add(set, def, b->nequal, a, b);
}

/*
 * Whether b does for all statements what a does: it is wider, or its key has
 * another operator class that knows a's operators too (LIKE and =).
 */
static bool
stands_in(const Candidate *a, const Candidate *b)
{
	if (dbperf_index_def_serves(b->def, a->def))
		return true;
	return a->def->nkeys == a->def->ncolumns && a->def->nkeys == b->def->nkeys &&
		   !bms_is_empty(a->usages) && bms_is_subset(a->usages, b->usages) &&
		   dbperf_index_predicate_equal(a->def->predicate, b->def->predicate);
}

/* What serves another candidate is one for its statements, too. */
static void
share_subjects(CandidateSet *set, Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	for (int i = 0; i < set->ncandidates; i++)
	{
		Candidate *a = set->candidates[i];

		if (!mergeable(a, relid))
			continue;
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < set->ncandidates; j++)
		{
			Candidate *b = set->candidates[j];

			if (i != j && mergeable(b, relid) && stands_in(a, b))
				b->subjects = bms_add_members(b->subjects, a->subjects);
		}
	}
	MemoryContextSwitchTo(old);
}

/*
 * Adds the merged candidates of one table.
 */
void
dbperf_candidates_merge_table(CandidateSet *set, Oid relid)
{
	CandidateTable *table = dbperf_candidate_table(set, relid);
	int				count = set->ncandidates;

	for (int i = 0; i < count; i++)
	{
		if (!mergeable(set->candidates[i], relid))
			continue;
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < count && set->ncandidates < count + MAX_MERGED; j++)
		{
			if (i != j && mergeable(set->candidates[j], relid))
				merge_pair(set, table, set->candidates[i], set->candidates[j]);
		}
	}
	share_subjects(set, relid);
}
