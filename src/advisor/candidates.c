/*-------------------------------------------------------------------------
 *
 * candidates.c
 *		The set of indexes that could help the workload.
 *
 * Generators (candidate_btree.c and its siblings) propose definitions by what
 * the statements ask for; here they are collected once, within bounds, and
 * compared with what exists.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Bounds of candidates: for one statement and table, and for a table at all. */
#define MAX_PER_SUBJECT 40
#define MAX_PER_TABLE 300

/* Tables of fewer pages than this are read faster without an index. */
#define SMALL_TABLE_PAGES 16

/* Tables of fewer bytes than this get no BRIN index. */
#define BRIN_TABLE_BYTES (INT64CONST(32) * 1024 * 1024)

/*
 * An empty set, in a memory context of its own below the current one.
 */
CandidateSet *
dbperf_candidates_create(void)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf candidates", ALLOCSET_DEFAULT_SIZES);
	CandidateSet *set = MemoryContextAllocZero(context, sizeof(CandidateSet));

	set->context = context;
	set->small_table_pages = SMALL_TABLE_PAGES;
	set->brin_table_pages = BRIN_TABLE_BYTES / BLCKSZ;
	return set;
}

/* Notes which usages the candidate could serve. */
static void
candidate_usages(CandidateSet *set, Candidate *candidate)
{
	int		  place = 0;
	ListCell *lc;

	foreach (lc, set->usages)
	{
		if (dbperf_candidate_serves(candidate->def, candidate->nequal, lfirst(lc)))
			candidate->usages = bms_add_member(candidate->usages, place);
		place++;
	}
}

/* The candidate with an equal definition, or NULL. */
static Candidate *
candidate_find(CandidateSet *set, const IndexDef *def, uint32 hash)
{
	for (int i = 0; i < set->ncandidates; i++)
	{
		Candidate *candidate = set->candidates[i];

		if (candidate->hash == hash && dbperf_index_def_equal(candidate->def, def))
			return candidate;
	}
	return NULL;
}

/* Says so if a real index does the same. */
static void
candidate_check_real(Candidate *candidate, CandidateTable *table)
{
	ListCell *lc;

	foreach (lc, table->reals)
	{
		RealIndex *real = lfirst(lc);

		if (real->valid && dbperf_index_def_serves(real->def, candidate->def))
		{
			candidate->verdict =
				psprintf("An index that serves the same exists: %s.", quote_identifier(real->name));
			return;
		}
		if (real->leftover && dbperf_index_def_equal(real->def, candidate->def))
			candidate->note =
				psprintf("The INVALID index %s is left over of it.", quote_identifier(real->name));
	}
}

/* Appends a new candidate; the set's memory context is the current one. */
static Candidate *
candidate_new(CandidateSet *set, CandidateTable *table, const IndexDef *def, uint32 hash)
{
	Candidate *candidate = palloc0(sizeof(Candidate));

	candidate->id = set->ncandidates;
	candidate->def = dbperf_index_def_copy(def);
	candidate->hash = hash;
	candidate->nequal = 1;
	if (table->note != NULL)
		candidate->note = pstrdup(table->note);
	candidate_check_real(candidate, table);

	if (set->ncandidates == set->max_candidates)
	{
		set->max_candidates = Max(64, set->max_candidates * 2);
		if (set->candidates == NULL)
			set->candidates = palloc(sizeof(Candidate *) * set->max_candidates);
		else
			set->candidates = repalloc(set->candidates, sizeof(Candidate *) * set->max_candidates);
	}
	set->candidates[set->ncandidates++] = candidate;
	table->ncandidates++;
	return candidate;
}

/*
 * Adds one definition (copied) and returns its candidate; see candidates.h.
 */
Candidate *
dbperf_candidates_add(CandidateSet *set, const IndexDef *def, int subject)
{
	CandidateTable *table = dbperf_candidate_table(set, def->relid);
	uint32			hash = dbperf_index_def_hash(def);
	Candidate	   *candidate = candidate_find(set, def, hash);
	MemoryContext	old;

	if (candidate == NULL && (table->problem != NULL || table->ncandidates >= MAX_PER_TABLE ||
							  dbperf_candidate_too_wide(table, def)))
		return NULL;
	old = MemoryContextSwitchTo(set->context);
	if (candidate == NULL)
	{
		candidate = candidate_new(set, table, def, hash);
		candidate_usages(set, candidate);
	}
	if (subject >= 0)
		candidate->subjects = bms_add_member(candidate->subjects, subject);
	MemoryContextSwitchTo(old);
	return candidate;
}

/*
 * For the generators: adds a definition for the statement at hand, in whose
 * key nequal leading columns may come in any order.  False if there is no room
 * for more of this statement and table.
 */
bool
dbperf_candidate_propose(QueryUses *uses, TableUse *use, const IndexDef *def, int nequal)
{
	CandidateTable *table = use->table;
	int				before = uses->set->ncandidates;
	Candidate	   *candidate;

	if (table->problem != NULL)
		return false;
	if (table->subject != uses->subject->number + 1)
	{
		table->subject = uses->subject->number + 1;
		table->proposed = 0;
	}
	if (table->proposed >= MAX_PER_SUBJECT)
		return false;
	candidate = dbperf_candidates_add(uses->set, def, uses->subject->number);
	if (candidate == NULL)
		return false;
	if (uses->set->ncandidates > before)
		table->proposed++;
	candidate->nequal = Max(candidate->nequal, nequal);
	return true;
}

/*
 * Adds the candidates for an analysed subject; see candidates.h.
 */
void
dbperf_candidates_collect(CandidateSet *set, Subject *subject, const Analyzed *analyzed)
{
	ListCell *lc;

	foreach (lc, analyzed->queries)
	{
		QueryUses uses = {set, subject, analyzed->nsets > 0 ? analyzed->sets[0] : NULL, NIL, NIL};
		ListCell *lc2;

		dbperf_usages_collect(&uses, lfirst(lc));
		foreach (lc2, uses.uses)
		{
			TableUse *use = lfirst(lc2);

			CHECK_FOR_INTERRUPTS();
			if (use->table->problem != NULL)
				continue;
			dbperf_candidates_class(&uses, use);
			dbperf_candidates_btree(&uses, use);
		}
	}
}

/* Notes for all candidates which usages they could serve. */
static void
usages_of_all(CandidateSet *set)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	for (int i = 0; i < set->ncandidates; i++)
		candidate_usages(set, set->candidates[i]);
	MemoryContextSwitchTo(old);
}

/*
 * Adds merged candidates; see candidates.h.
 */
void
dbperf_candidates_merge(CandidateSet *set)
{
	ListCell *lc;

	/* usages may be younger than the candidates that serve them */
	usages_of_all(set);
	foreach (lc, set->tables)
	{
		CandidateTable *table = lfirst(lc);

		if (table->problem == NULL)
			dbperf_candidates_merge_table(set, table->relid);
	}
}
