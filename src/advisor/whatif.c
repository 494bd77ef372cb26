/*-------------------------------------------------------------------------
 *
 * whatif.c
 *		Plans statements as if there were other indexes.
 *
 * The planner's hooks are installed for good and do nothing, except in planner
 * calls that this file makes.  A call is known by the parameter list that was
 * made for it: the planner keeps that pointer in PlannerGlobal, and what a
 * function that is folded during planning plans itself has another one.  So a
 * hypothetical index can never get into a plan that somebody executes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "advisor/hypo.h"
#include "advisor/whatif.h"
#include "advisor/workload.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"

/* A planner call of ours that is running.  They nest. */
typedef struct WhatIfCall
{
	WhatIf		 *whatif;
	ParamListInfo params; /* made for this call, never NULL */
	Bitmapset	 *shown;
	List		 *hidden;
	bool		  role_known;
	bool		  powerful; /* a superuser's, if role_known */
} WhatIfCall;

static WhatIfCall *current_call = NULL;
static WhatIf	  *explained = NULL; /* whose plan EXPLAIN prints just now */

static get_relation_info_hook_type		prev_get_relation_info = NULL;
static get_index_stats_hook_type		prev_get_index_stats = NULL;
static set_rel_pathlist_hook_type		prev_set_rel_pathlist = NULL;
static set_join_pathlist_hook_type		prev_set_join_pathlist = NULL;
static explain_get_index_name_hook_type prev_explain_get_index_name = NULL;

/*
 * Whether the planner is working on what we asked for, and not on something
 * that it evaluates meanwhile.
 */
static inline bool
call_is_ours(const PlannerInfo *root)
{
	return current_call != NULL && root->glob->boundParams == current_call->params;
}

/*
 * What a private OID stands for in the statement that is planned now, or NULL.
 */
HypoRelation *
dbperf_hypo_planned(Oid oid)
{
	return current_call != NULL ? dbperf_hypo_by_oid(current_call->whatif, oid) : NULL;
}

/*
 * Takes the hidden indexes from a table's list.
 */
static List *
without_hidden(List *indexes, List *hidden)
{
	List	 *kept = NIL;
	ListCell *lc;

	foreach (lc, indexes)
	{
		IndexOptInfo *info = lfirst_node(IndexOptInfo, lc);

		if (!list_member_oid(hidden, info->indexoid))
			kept = lappend(kept, info);
	}
	return kept;
}

/*
 * Whether the current role could do harm with somebody else's function.
 */
static bool
call_is_powerful(WhatIfCall *call)
{
	if (!call->role_known)
	{
		call->powerful = dbperf_role_is_powerful(GetUserId());
		call->role_known = true;
	}
	return call->powerful;
}

/*
 * The hypothetical index as the planner shall see it on this table, or NULL if
 * it is no index of it or may not be shown there.
 */
static IndexOptInfo *
shown_index(WhatIfCall *call, HypoIndex *index, HypoTable *table, RelOptInfo *rel)
{
	HypoRelation *hypo = dbperf_hypo_relation(call->whatif, index, table);
	ListCell	 *lc;

	if (hypo->def == NULL || !hypo->usable)
		return NULL;
	if (hypo->untrusted != NULL && call_is_powerful(call))
		return NULL;
	foreach (lc, hypo->twins)
	{
		if (!list_member_oid(call->hidden, lfirst_oid(lc)))
			return NULL;
	}
	if (!dbperf_hypo_prepare(call->whatif, hypo, table))
		return NULL;
	return dbperf_hypo_info(hypo, table, rel);
}

/*
 * Hook: shows the planner the indexes of the current call.  New ones come
 * first, as an index that was just created would.
 */
static void
dbperf_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	WhatIfCall *call = current_call;
	HypoTable  *table = NULL;
	int			id = -1;

	if (prev_get_relation_info != NULL)
		prev_get_relation_info(root, relid, inhparent, rel);

	if (!call_is_ours(root))
		return;
	dbperf_visit_check_time();

	if (call->hidden != NIL)
		rel->indexlist = without_hidden(rel->indexlist, call->hidden);

	/* What stands for a whole tree of tables is never scanned itself. */
	if (inhparent)
		return;

	while ((id = bms_next_member(call->shown, id)) >= 0)
	{
		IndexOptInfo *info;

		if (id >= call->whatif->nindexes)
			break;
		if (table == NULL)
			table = dbperf_hypo_table(call->whatif, relid);
		if (table->rel == NULL)
			return;
		info = shown_index(call, call->whatif->indexes[id], table, rel);
		if (info != NULL)
			rel->indexlist = lcons(info, rel->indexlist);
	}
}

/*
 * Whether the role that the planner works for may see all rows of a table, so
 * that any operator may look at its statistics: as the planner decides for the
 * statistics of real indexes.
 */
static bool
may_see_all_rows(PlannerInfo *root, Index relid)
{
	RangeTblEntry *rte = planner_rt_fetch(relid, root);
	Oid			   userid;

	/* Rights and row policies are those of the table that the query names. */
	while (root->append_rel_array != NULL && root->append_rel_array[relid] != NULL)
	{
		Index parent = root->append_rel_array[relid]->parent_relid;

		if (planner_rt_fetch(parent, root)->rtekind != RTE_RELATION)
			break;
		relid = parent;
		rte = planner_rt_fetch(relid, root);
	}

	userid = DBPERF_REL_USERID(root, relid, rte);
	if (!OidIsValid(userid))
		userid = GetUserId();
	return rte->securityQuals == NIL &&
		   pg_class_aclcheck(rte->relid, userid, ACL_SELECT) == ACLCHECK_OK;
}

/*
 * The statistics belong to the what-if, so there is nothing to release.
 */
static void
keep_stats(HeapTuple tuple)
{
}

/*
 * The table of a query that a hypothetical index belongs to.
 */
static Index
relid_of_index(PlannerInfo *root, Oid indexid)
{
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		ListCell *lc;

		if (root->simple_rel_array[i] == NULL)
			continue;
		foreach (lc, root->simple_rel_array[i]->indexlist)
		{
			if (lfirst_node(IndexOptInfo, lc)->indexoid == indexid)
				return i;
		}
	}
	return 0;
}

/*
 * Hook: serves statistics of a hypothetical index's expressions.  Takes
 * control of every index of ours, also if there are none, since the catalog
 * knows nothing about it.
 */
static bool
dbperf_get_index_stats(PlannerInfo *root, Oid indexid, AttrNumber attno, VariableStatData *vardata)
{
	if (call_is_ours(root))
	{
		HypoRelation *hypo = dbperf_hypo_by_oid(current_call->whatif, indexid);

		if (hypo != NULL)
		{
			/* What covers a part of the table says nothing about all of it. */
			if (hypo->stats[attno - 1] != NULL && hypo->def->predicate == NIL)
			{
				Index relid = vardata->rel != NULL && vardata->rel->relid != 0
								  ? vardata->rel->relid
								  : relid_of_index(root, indexid);

				vardata->statsTuple = hypo->stats[attno - 1];
				vardata->freefunc = keep_stats;
				vardata->acl_ok = relid != 0 && may_see_all_rows(root, relid);
			}
			else
				vardata->acl_ok = true; /* no need for later checks */
			return true;
		}
	}

	if (prev_get_index_stats != NULL)
		return prev_get_index_stats(root, indexid, attno, vardata);
	return false;
}

/*
 * Hook: time is up for one that takes too long, here between two tables ...
 */
static void
dbperf_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (prev_set_rel_pathlist != NULL)
		prev_set_rel_pathlist(root, rel, rti, rte);
	if (call_is_ours(root))
		dbperf_visit_check_time();
}

/*
 * Hook: ... and here between two ways to join.
 */
static void
dbperf_set_join_pathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
						 RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra)
{
	if (prev_set_join_pathlist != NULL)
		prev_set_join_pathlist(root, joinrel, outerrel, innerrel, jointype, extra);
	if (call_is_ours(root))
		dbperf_visit_check_time();
}

/*
 * Hook: names of hypothetical indexes, for our own EXPLAIN only.
 */
static const char *
dbperf_explain_get_index_name(Oid indexid)
{
	if (explained != NULL)
	{
		HypoRelation *hypo = dbperf_hypo_by_oid(explained, indexid);

		if (hypo != NULL)
			return hypo->relid == hypo->index->def->relid ? hypo->index->name
														  : dbperf_hypo_name(hypo->def);
	}

	return prev_explain_get_index_name != NULL ? prev_explain_get_index_name(indexid) : NULL;
}

/*
 * Installs the planner's hooks; to be called once per process.
 */
void
dbperf_whatif_init(void)
{
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = dbperf_get_relation_info;
	prev_get_index_stats = get_index_stats_hook;
	get_index_stats_hook = dbperf_get_index_stats;
	prev_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = dbperf_set_rel_pathlist;
	prev_set_join_pathlist = set_join_pathlist_hook;
	set_join_pathlist_hook = dbperf_set_join_pathlist;
	prev_explain_get_index_name = explain_get_index_name_hook;
	explain_get_index_name_hook = dbperf_explain_get_index_name;
}

/*
 * A hash table in the what-if's context.
 */
static HTAB *
create_hash(WhatIf *whatif, const char *name, Size keysize, Size entrysize)
{
	HASHCTL ctl = {0};

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = whatif->context;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * An empty what-if.  It lives in a child of the current memory context.
 */
WhatIf *
dbperf_whatif_create(void)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf what-if", ALLOCSET_DEFAULT_SIZES);
	WhatIf *whatif = MemoryContextAllocZero(context, sizeof(WhatIf));

	dbperf_hypo_init();
	whatif->context = context;
	whatif->max_indexes = 32;
	whatif->indexes = MemoryContextAlloc(context, sizeof(HypoIndex *) * whatif->max_indexes);
	whatif->tables = create_hash(whatif, "dbperf what-if tables", sizeof(Oid), sizeof(HypoTable));
	whatif->relations =
		create_hash(whatif, "dbperf what-if relations", sizeof(HypoKey), sizeof(HypoEntry));
	whatif->oids = create_hash(whatif, "dbperf what-if oids", sizeof(Oid), sizeof(HypoOid));
	return whatif;
}

/*
 * Adds an index to the what-if, unless it is there already.
 */
HypoIndex *
dbperf_whatif_add(WhatIf *whatif, const IndexDef *def)
{
	HypoIndex	 *index;
	MemoryContext old;

	for (int i = 0; i < whatif->nindexes; i++)
	{
		if (dbperf_index_def_equal(whatif->indexes[i]->def, def))
			return whatif->indexes[i];
	}
	if (!dbperf_hypo_supported(def->am))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" is not supported for hypothetical indexes",
							   get_am_name(def->am)),
						errdetail("Only the built-in access methods are.")));

	old = MemoryContextSwitchTo(whatif->context);
	if (whatif->nindexes == whatif->max_indexes)
	{
		whatif->indexes = repalloc(whatif->indexes, sizeof(HypoIndex *) * whatif->max_indexes * 2);
		whatif->max_indexes *= 2;
	}
	index = palloc0(sizeof(HypoIndex));
	index->id = whatif->nindexes;
	index->def = dbperf_index_def_copy(def);
	index->oid = dbperf_hypo_new_oid(whatif);
	index->name = dbperf_hypo_name(def);
	index->bytes = -1;
	whatif->indexes[whatif->nindexes++] = index;
	MemoryContextSwitchTo(old);
	return index;
}

/*
 * Notes an index that the plan uses.
 */
static void
note_index(WhatIf *whatif, Oid indexid, WhatIfPlan *out)
{
	HypoRelation *hypo = dbperf_hypo_by_oid(whatif, indexid);

	if (hypo != NULL)
		out->used = bms_add_member(out->used, hypo->index->id);
	else
		out->used_real = list_append_unique_oid(out->used_real, indexid);
}

/* What the visitor that notes indexes works on. */
typedef struct IndexNotes
{
	WhatIf	   *whatif;
	WhatIfPlan *out;
} IndexNotes;

/*
 * Visitor: notes the index that a node uses.
 */
static void
note_node(Plan *plan, void *arg)
{
	IndexNotes *notes = arg;

	if (IsA(plan, IndexScan))
		note_index(notes->whatif, ((IndexScan *) plan)->indexid, notes->out);
	else if (IsA(plan, IndexOnlyScan))
		note_index(notes->whatif, ((IndexOnlyScan *) plan)->indexid, notes->out);
	else if (IsA(plan, BitmapIndexScan))
		note_index(notes->whatif, ((BitmapIndexScan *) plan)->indexid, notes->out);
}

/*
 * The hidden indexes with their partitions.
 */
static List *
expand_hidden(List *hidden)
{
	List	 *all = NIL;
	ListCell *lc;

	foreach (lc, hidden)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_INDEX)
			all = list_concat(all, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
		else
			all = lappend_oid(all, lfirst_oid(lc));
	}
	return all;
}

/*
 * Plans the query with the given indexes; see whatif.h.
 */
void
dbperf_whatif_plan(WhatIf *whatif, Query *query, const char *text, ParamListInfo params,
				   int cursor_options, Bitmapset *shown, List *hidden, WhatIfPlan *out)
{
	WhatIfCall	call;
	WhatIfCall *outer = current_call;
	IndexNotes	notes = {.whatif = whatif, .out = out};

	memset(out, 0, sizeof(WhatIfPlan));
	call.whatif = whatif;
	call.params =
		params != NULL && params->numParams > 0 ? copyParamList(params) : makeParamList(0);
	call.shown = shown;
	call.hidden = expand_hidden(hidden);
	call.role_known = false;

	/*
	 * Whether a plan can be run backwards is asked of the index's catalog row,
	 * so cursors are never scrollable here.
	 */
	PG_TRY();
	{
		current_call = &call;
		out->plan = standard_planner(copyObject(query), text, cursor_options & ~CURSOR_OPT_SCROLL,
									 call.params);
	}
	PG_FINALLY();
	{
		current_call = outer;
	}
	PG_END_TRY();

	whatif->plans++;
	out->cost = out->plan->planTree->total_cost;
	out->rows = out->plan->planTree->plan_rows;
	dbperf_walk_plan(out->plan, note_node, &notes);
}

/*
 * Whether the value of some parameter is not known.
 */
static bool
params_missing(ParamListInfo params)
{
	for (int i = 0; params != NULL && i < params->numParams; i++)
	{
		if (!OidIsValid(params->params[i].ptype))
			return true;
	}
	return false;
}

/*
 * Explains a plan; see whatif.h.
 */
char *
dbperf_whatif_explain(WhatIf *whatif, PlannedStmt *plan, const char *text, ParamListInfo params)
{
	WhatIf		  *outer = explained;
	StringInfoData buf;

	initStringInfo(&buf);
	PushCopiedSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());

	PG_TRY();
	{
		explained = whatif;
		dbperf_explain_only(plan, text, params, params_missing(params), &buf);
	}
	PG_FINALLY();
	{
		explained = outer;
	}
	PG_END_TRY();

	PopActiveSnapshot();
	return buf.data;
}

/*
 * Bytes of a hypothetical index over all its tables; see whatif.h.
 */
int64
dbperf_whatif_size(WhatIf *whatif, HypoIndex *index)
{
	double	  bytes = 0;
	List	 *relids;
	ListCell *lc;

	if (index->bytes >= 0)
		return index->bytes;

	if (get_rel_relkind(index->def->relid) == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(index->def->relid, AccessShareLock, NULL);
	else
		relids = list_make1_oid(index->def->relid);

	foreach (lc, relids)
	{
		HypoTable	 *table = dbperf_hypo_table(whatif, lfirst_oid(lc));
		HypoRelation *hypo;

		if (table->rel == NULL)
			continue;
		hypo = dbperf_hypo_relation(whatif, index, table);
		if (hypo->def != NULL && hypo->usable && dbperf_hypo_prepare(whatif, hypo, table))
			bytes += (double) hypo->pages * BLCKSZ;
	}
	index->bytes = (int64) bytes;
	return index->bytes;
}
