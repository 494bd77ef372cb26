/*-------------------------------------------------------------------------
 *
 * compat.c
 *		Functions that differ between supported server releases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/htup_details.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/explain.h"
#include "core/compat.h"
#include "jit/jit.h"
#include "libpq/hba.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/fd.h"
#include "storage/smgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/pgstat_internal.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/*
 * Whether pgstat_get_wait_event() can name an event.  From 17 on extensions
 * have events of their own, numbered from 1, and asking for one that does not
 * exist in this run of the server is an error.
 */
bool
dbperf_wait_event_known(uint32 event)
{
#if PG_VERSION_NUM >= 170000
	if ((event & 0xFF000000U) == PG_WAIT_EXTENSION)
	{
		int n;

		pfree(GetWaitEventCustomNames(PG_WAIT_EXTENSION, &n));
		return (event & 0xFFFFU) <= n;
	}
#endif
	return true;
}

/*
 * An interval of the server's clock in nanoseconds.  Until 15 instr_time is a
 * timespec, from 16 on it is ticks.
 */
int64
dbperf_instr_time_ns(instr_time t)
{
#if PG_VERSION_NUM >= 160000
	return INSTR_TIME_GET_NANOSEC(t);
#else
	return (int64) t.tv_sec * INT64CONST(1000000000) + t.tv_nsec;
#endif
}

/*
 * Time spent reading and writing shared and local blocks, if track_io_timing
 * is on.  17 made it two figures.
 */
int64
dbperf_blk_read_ns(const BufferUsage *usage)
{
#if PG_VERSION_NUM >= 170000
	return dbperf_instr_time_ns(usage->shared_blk_read_time) +
		   dbperf_instr_time_ns(usage->local_blk_read_time);
#else
	return dbperf_instr_time_ns(usage->blk_read_time);
#endif
}

int64
dbperf_blk_write_ns(const BufferUsage *usage)
{
#if PG_VERSION_NUM >= 170000
	return dbperf_instr_time_ns(usage->shared_blk_write_time) +
		   dbperf_instr_time_ns(usage->local_blk_write_time);
#else
	return dbperf_instr_time_ns(usage->blk_write_time);
#endif
}

/*
 * What JIT compilation of a statement has cost so far, in this process.  17
 * counts the deforming functions apart, but inside of generation_counter.
 */
int64
dbperf_jit_ns(QueryDesc *queryDesc)
{
	JitContext *jit = queryDesc->estate != NULL ? queryDesc->estate->es_jit : NULL;

	if (jit == NULL)
		return 0;
	return dbperf_instr_time_ns(jit->instr.generation_counter) +
		   dbperf_instr_time_ns(jit->instr.inlining_counter) +
		   dbperf_instr_time_ns(jit->instr.optimization_counter) +
		   dbperf_instr_time_ns(jit->instr.emission_counter);
}

/*
 * Appends the plan as EXPLAIN shows it: with actual rows, and with times, if
 * the statement was executed with that instrumentation and done is true.  18
 * moved ExplainState to a header of its own.  Errors of the expressions'
 * output functions get out.
 */
void
dbperf_explain_plan(QueryDesc *queryDesc, bool done, StringInfo out)
{
	ExplainState *es = NewExplainState();

	es->analyze = done && queryDesc->instrument_options != 0;
	es->buffers = es->analyze && (queryDesc->instrument_options & INSTRUMENT_BUFFERS) != 0;
	es->timing = es->analyze && (queryDesc->instrument_options & INSTRUMENT_TIMER) != 0;
	es->summary = es->analyze;
	es->format = EXPLAIN_FORMAT_TEXT;

	ExplainBeginOutput(es);
	ExplainPrintPlan(es, queryDesc);
	if (es->analyze)
		ExplainPrintTriggers(es, queryDesc);
	if (es->costs && done)
		ExplainPrintJITSummary(es, queryDesc);
	ExplainEndOutput(es);

	while (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
		es->str->len--;
	appendBinaryStringInfo(out, es->str->data, es->str->len);
}

/* Whether a locale of a provider sorts by bytes; value is an attribute of it. */
static bool
locale_is_c(char provider, int cache, HeapTuple tuple, AttrNumber attribute)
{
	bool  isnull;
	Datum value;
	char *name;

	if (provider == 'b')
		return true; /* the provider that 17 added knows no other order */
	if (provider != COLLPROVIDER_LIBC)
		return false;
	value = SysCacheGetAttr(cache, tuple, attribute, &isnull);
	if (isnull)
		return false;
	name = TextDatumGetCString(value);
	return strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0;
}

/*
 * Whether strings of this collation sort by their bytes, so that a plain btree
 * serves prefixes.  The server's own functions for it changed with 18, and their
 * header needs those of ICU.
 */
bool
dbperf_collation_is_c(Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	char	  provider;
	bool	  result;

	if (!HeapTupleIsValid(tuple))
		return false;
	provider = ((Form_pg_collation) GETSTRUCT(tuple))->collprovider;
	result = locale_is_c(provider, COLLOID, tuple, Anum_pg_collation_collcollate);
	ReleaseSysCache(tuple);
	if (provider != COLLPROVIDER_DEFAULT)
		return result;

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = locale_is_c(((Form_pg_database) GETSTRUCT(tuple))->datlocprovider, DATABASEOID, tuple,
						 Anum_pg_database_datcollate);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Raises an error unless the current role has the rights on tables and columns
 * that executing this query needs, its subqueries apart.  16 took them out of
 * the range table into a list of their own.
 */
void
dbperf_check_relation_rights(Query *query)
{
#if PG_VERSION_NUM >= 160000
	ListCell *lc;

	foreach (lc, query->rteperminfos)
	{
		RTEPermissionInfo *info = lfirst_node(RTEPermissionInfo, lc);

		if (!ExecCheckOneRelPerms(info))
			aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(info->relid)),
						   get_rel_name(info->relid));
	}
	if (ExecutorCheckPerms_hook != NULL)
		(void) ExecutorCheckPerms_hook(query->rtable, query->rteperminfos, true);
#else
	(void) ExecCheckRTPerms(query->rtable, true);
#endif
}

/*
 * Starts a statement of which only the plan is to be shown; generic says that
 * parameters are missing, which 16 and later must be told.
 */
void
dbperf_start_explain_only(QueryDesc *queryDesc, bool generic)
{
	int flags = EXEC_FLAG_EXPLAIN_ONLY;

#if PG_VERSION_NUM >= 160000
	if (generic)
		flags |= EXEC_FLAG_EXPLAIN_GENERIC;
#endif
	standard_ExecutorStart(queryDesc, flags);
}

/*
 * Keeps a node from evaluating parameters that are missing when it is started
 * to be explained: until 15, partitions are pruned by them even then.
 */
void
dbperf_forget_pruning(Plan *plan)
{
#if PG_VERSION_NUM < 160000
	PartitionPruneInfo *prune = NULL;
	ListCell		   *lc;
	ListCell		   *lc2;

	if (IsA(plan, Append))
		prune = ((Append *) plan)->part_prune_info;
	else if (IsA(plan, MergeAppend))
		prune = ((MergeAppend *) plan)->part_prune_info;
	if (prune == NULL)
		return;
	foreach (lc, prune->prune_infos)
	{
		foreach (lc2, lfirst_node(List, lc))
			lfirst_node(PartitionedRelPruneInfo, lc2)->initial_pruning_steps = NIL;
	}
#endif
}

/*
 * Runs a statement to its end, without the hooks.  18 dropped the argument
 * execute_once.
 */
void
dbperf_run_to_end(QueryDesc *queryDesc)
{
#if PG_VERSION_NUM >= 180000
	standard_ExecutorRun(queryDesc, ForwardScanDirection, 0);
#else
	standard_ExecutorRun(queryDesc, ForwardScanDirection, 0, true);
#endif
}

/*
 * The same with the hooks: other extensions see it as a statement like others.
 */
void
dbperf_execute_to_end(QueryDesc *queryDesc)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(queryDesc, ForwardScanDirection, 0);
#else
	ExecutorRun(queryDesc, ForwardScanDirection, 0, true);
#endif
}

/*
 * What an operator is in btree's numbering (BTLessStrategyNumber and so on), 0
 * if it neither orders nor compares for equality.  18 made the server's own
 * function one for all index methods.
 */
int
dbperf_operator_strategy(Oid opno)
{
	ListCell *lc;

#if PG_VERSION_NUM >= 180000
	foreach (lc, get_op_index_interpretation(opno))
	{
		switch (((OpIndexInterpretation *) lfirst(lc))->cmptype)
		{
			case COMPARE_LT:
				return BTLessStrategyNumber;
			case COMPARE_LE:
				return BTLessEqualStrategyNumber;
			case COMPARE_EQ:
				return BTEqualStrategyNumber;
			case COMPARE_GE:
				return BTGreaterEqualStrategyNumber;
			case COMPARE_GT:
				return BTGreaterStrategyNumber;
			default:
				break;
		}
	}
#else
	foreach (lc, get_op_btree_interpretation(opno))
	{
		int strategy = ((OpBtreeInterpretation *) lfirst(lc))->strategy;

		if (strategy <= BTMaxStrategyNumber)
			return strategy;
	}
#endif
	return 0;
}

/* ---- the maintenance plan ---- */

/* 16 named the counters of a relation anew. */
#if PG_VERSION_NUM >= 160000
#define TAB_LIVE(entry) ((entry)->live_tuples)
#define TAB_DEAD(entry) ((entry)->dead_tuples)
#define TAB_CHANGED(entry) ((entry)->mod_since_analyze)
#define TAB_INSERTED(entry) ((entry)->ins_since_vacuum)
#else
#define TAB_LIVE(entry) ((entry)->n_live_tuples)
#define TAB_DEAD(entry) ((entry)->n_dead_tuples)
#define TAB_CHANGED(entry) ((entry)->changes_since_analyze)
#define TAB_INSERTED(entry) ((entry)->inserts_since_vacuum)
#endif

/* What an entry says; it must be locked. */
static void
read_relation_stats(const PgStat_StatTabEntry *entry, DbperfRelationStats *out)
{
	out->scans = entry->numscans;
	out->inserted = entry->tuples_inserted;
	out->updated = entry->tuples_updated;
	out->deleted = entry->tuples_deleted;
	out->live = TAB_LIVE(entry);
	out->dead = TAB_DEAD(entry);
	out->changed_since_analyze = TAB_CHANGED(entry);
	out->inserted_since_vacuum = TAB_INSERTED(entry);
}

/*
 * What has been counted of a relation of any database (InvalidOid: a shared
 * one) up to now; all zero and false if nothing has.  The server's own function
 * keeps what a transaction has read, and with stats_fetch_consistency =
 * snapshot knows the current database only, so this looks at the shared entry.
 */
bool
dbperf_relation_stats(Oid database, Oid relid, DbperfRelationStats *out)
{
	PgStat_EntryRef *ref = pgstat_get_entry_ref(PGSTAT_KIND_RELATION, database, relid, false, NULL);

	memset(out, 0, sizeof(*out));
	if (ref == NULL || ref->shared_entry->dropped)
		return false;

	(void) pgstat_lock_entry_shared(ref, false);
	read_relation_stats(&((PgStatShared_Relation *) ref->shared_stats)->stats, out);
	pgstat_unlock_entry(ref);
	return true;
}

/* 18 made the object of an entry 64 bits wide, and named it anew. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_STATS_OBJECT(key) ((Oid) (key).objid)
#else
#define DBPERF_STATS_OBJECT(key) ((key).objoid)
#endif

/*
 * Shows what has been counted of all relations of all databases, in no order;
 * works without a database, too.
 */
void
dbperf_scan_relation_stats(DbperfRelationVisit visit, void *arg)
{
	dshash_seq_status		scan;
	PgStatShared_HashEntry *entry;

	dshash_seq_init(&scan, pgStatLocal.shared_hash, false);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		PgStatShared_Relation *relation;
		DbperfRelationStats	   stats;

		if (entry->key.kind != PGSTAT_KIND_RELATION || entry->dropped)
			continue;
		relation = dsa_get_address(pgStatLocal.dsa, entry->body);
		LWLockAcquire(&relation->header.lock, LW_SHARED);
		read_relation_stats(&relation->stats, &stats);
		LWLockRelease(&relation->header.lock);
		visit(entry->key.dboid, DBPERF_STATS_OBJECT(entry->key), &stats, arg);
	}
	dshash_seq_term(&scan);
}

/*
 * Dead rows from which on autovacuum vacuums a table of that many rows; options
 * are the table's own, or NULL.  18 added a limit to it.
 */
double
dbperf_autovacuum_threshold(const AutoVacOpts *options, double rows)
{
	int	   base = autovacuum_vac_thresh;
	double scale = autovacuum_vac_scale;
	double threshold;

	if (options != NULL && options->vacuum_threshold >= 0)
		base = options->vacuum_threshold;
	if (options != NULL && options->vacuum_scale_factor >= 0)
		scale = options->vacuum_scale_factor;
	threshold = base + scale * rows;
#if PG_VERSION_NUM >= 180000
	{
		int limit = autovacuum_vac_max_thresh;

		if (options != NULL && options->vacuum_max_threshold >= -1)
			limit = options->vacuum_max_threshold;
		if (limit >= 0)
			threshold = Min(threshold, limit);
	}
#endif
	return threshold;
}

/* ---- the cache's node ---- */

/* Properties of a node in EXPLAIN's output. */
void
dbperf_explain_text(const char *label, const char *value, struct ExplainState *es)
{
	ExplainPropertyText(label, value, es);
}

void
dbperf_explain_integer(const char *label, int64 value, struct ExplainState *es)
{
	ExplainPropertyInteger(label, NULL, value, es);
}

void
dbperf_explain_float(const char *label, const char *unit, double value, struct ExplainState *es)
{
	ExplainPropertyFloat(label, unit, value, 3, es);
}

/* Whether EXPLAIN is to show what differs from one time to the next. */
bool
dbperf_explain_costs(struct ExplainState *es)
{
	return es->costs;
}

/* ---- end of the cache's node ---- */

/* ---- the slots of the result cache ---- */

/*
 * One of the server's own settings, or NULL if there is none of that name.  16
 * made public how to find one, and what 15 has for that is gone.
 */
static struct config_generic *
find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, DEBUG5);
#else
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
#endif
}

/*
 * Has a function called whenever one of the server's boolean settings is set, by
 * whatever means.  Returns the one that was called until now, which it has to
 * call, or NULL.
 */
GucBoolAssignHook
dbperf_replace_assign_hook(const char *setting, GucBoolAssignHook assign_hook)
{
	struct config_bool *variable = (struct config_bool *) find_setting(setting);
	GucBoolAssignHook	previous;

	if (variable == NULL || variable->gen.vartype != PGC_BOOL)
		elog(ERROR, "there is no boolean setting \"%s\"", setting);
	previous = variable->assign_hook;

	variable->assign_hook = assign_hook;
	return previous;
}

/* ---- which statements the result cache can keep ---- */

/*
 * Whether a table has a virtual generated column, which 18 added: the planner
 * puts its expression into the tree.
 */
bool
dbperf_has_virtual_column(Oid relid)
{
#if PG_VERSION_NUM >= 180000
	Relation rel = RelationIdGetRelation(relid);
	bool	 result;

	if (rel == NULL)
		return false;
	result = rel->rd_att->constr != NULL && rel->rd_att->constr->has_generated_virtual;
	RelationClose(rel);
	return result;
#else
	return false;
#endif
}

/*
 * The variable of one of the server's own settings that is a text; it stays
 * where it is.  NULL if there is none of that name.
 */
const char *const *
dbperf_string_setting(const char *name)
{
	struct config_generic *found = find_setting(name);

	if (found == NULL || found->vartype != PGC_STRING)
		return NULL;
	return (const char *const *) ((struct config_string *) found)->variable;
}

/* ---- the rules of pg_hba.conf ---- */

/*
 * Opens pg_hba.conf and takes it apart, without interpreting it; the memory is
 * the caller's.  False, with a reason, if it cannot be read.
 */
static bool
tokenize_hba(List **lines, char **error)
{
	FILE *file;

#if PG_VERSION_NUM >= 160000
	/* its memory goes when the file is closed, which whoever resets the context does */
	file = open_auth_file(HbaFileName, DEBUG2, 0, error);
	if (file == NULL)
		return false;
	tokenize_auth_file(HbaFileName, file, lines, DEBUG2, 0);
	FreeFile(file);
#else
	file = AllocateFile(HbaFileName, "r");
	if (file == NULL)
	{
		*error = psprintf("could not open file \"%s\": %m", HbaFileName);
		return false;
	}
	(void) tokenize_auth_file(HbaFileName, file, lines, DEBUG2);
	FreeFile(file);
#endif
	return true;
}

/*
 * The lines of pg_hba.conf as it is now, HbaLine in the current memory context.
 * NIL, with a reason, if the server would not take the file.
 */
List *
dbperf_parse_hba(char **error)
{
	List	 *tokenized = NIL;
	List	 *lines = NIL;
	ListCell *cell;

	*error = NULL;
	if (!tokenize_hba(&tokenized, error))
		return NIL;
	foreach (cell, tokenized)
	{
		TokenizedAuthLine *line = lfirst(cell);
		HbaLine			  *parsed = line->err_msg == NULL ? parse_hba_line(line, DEBUG2) : NULL;

		if (parsed == NULL)
		{
			*error = psprintf("line %d of file \"%s\": %s", line->line_num, HbaFileName,
							  line->err_msg != NULL ? line->err_msg : "not understood");
			return NIL;
		}
		lines = lappend(lines, parsed);
	}
	if (lines == NIL)
		*error = psprintf("file \"%s\" contains no entries", HbaFileName);
	return lines;
}

/*
 * Whether a name of a database or role in pg_hba.conf is, or from 16 on matches,
 * this one.
 */
bool
dbperf_auth_token_is(const AuthToken *token, const char *name)
{
#if PG_VERSION_NUM >= 160000
	if (token->regex != NULL)
	{
		pg_wchar *wide = palloc((strlen(name) + 1) * sizeof(pg_wchar));
		int		  len = pg_mb2wchar_with_len(name, wide, strlen(name));
		bool	  matches = pg_regexec(token->regex, wide, len, 0, NULL, 0, NULL, 0) == REG_OKAY;

		pfree(wide);
		return matches;
	}
#endif
	return strcmp(token->string, name) == 0;
}

/*
 * Whether it is a pattern, so that only a comparison tells what it means.
 */
bool
dbperf_auth_token_is_pattern(const AuthToken *token)
{
#if PG_VERSION_NUM >= 160000
	return token->regex != NULL;
#else
	return false;
#endif
}

/*
 * The file that a line of pg_hba.conf is in, from 16 on perhaps an included one.
 */
const char *
dbperf_hba_file(const HbaLine *line)
{
#if PG_VERSION_NUM >= 160000
	return line->sourcefile;
#else
	return HbaFileName;
#endif
}

/* ---- settings of single queries (plans/query_settings.c) ---- */

/*
 * Whether a relation of the current database has no pages, which the relation
 * cache need not be asked for.  16 renamed what says where its files are, 17 the
 * number of no process.  Caller must hold a lock on the relation.
 */
bool
dbperf_has_no_pages(const FormData_pg_class *form)
{
	Oid tablespace = OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	SMgrRelation smgr;

	if (!OidIsValid(form->relfilenode) || form->relpersistence != RELPERSISTENCE_PERMANENT)
		return false;
#if PG_VERSION_NUM >= 170000
	smgr = smgropen((RelFileLocator){tablespace, MyDatabaseId, form->relfilenode},
					INVALID_PROC_NUMBER);
#elif PG_VERSION_NUM >= 160000
	smgr =
		smgropen((RelFileLocator){tablespace, MyDatabaseId, form->relfilenode}, InvalidBackendId);
#else
	smgr = smgropen((RelFileNode){tablespace, MyDatabaseId, form->relfilenode}, InvalidBackendId);
#endif
	return smgrexists(smgr, MAIN_FORKNUM) && smgrnblocks(smgr, MAIN_FORKNUM) == 0;
}

/* ---- end of settings of single queries ---- */
