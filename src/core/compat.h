/*-------------------------------------------------------------------------
 *
 * compat.h
 *		The differences between supported server releases.
 *
 * This header and compat.c are the only places that test PG_VERSION_NUM.
 * Everything else is written for the newest release; each entry here names
 * the release that made the change and gives older ones the newer form.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_COMPAT_H
#define DBPERF_COMPAT_H

#include "executor/execdesc.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "portability/instr_time.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 150000
#error "dbperf needs PostgreSQL 15 or later"
#elif PG_VERSION_NUM >= 190000
#error "dbperf does not know this PostgreSQL release yet"
#endif

/* 16 moved the header that declares EnableQueryId(). */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/*
 * From 16 on extensions are built so that their symbols stay private; this does
 * it in 15 as well.  It also spares each access a detour through the table of
 * what other modules might replace.
 */
#ifdef __GNUC__
#define DBPERF_PRIVATE_BEGIN _Pragma("GCC visibility push(hidden)")
#define DBPERF_PRIVATE_END _Pragma("GCC visibility pop")
#else
#define DBPERF_PRIVATE_BEGIN
#define DBPERF_PRIVATE_END
#endif

/* 18 added a magic block that carries the module's name and version. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "dbperf", .version = "1.0.0")
#else
#define DBPERF_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 wants it in front of a declaration, and named it anew. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_NORETURN pg_noreturn
#else
#define DBPERF_NORETURN pg_attribute_noreturn()
#endif

/* 18 dropped ExecutorRun's argument execute_once. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_RUN_PARAMS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define DBPERF_RUN_ARGS queryDesc, direction, count
#else
#define DBPERF_RUN_PARAMS                                                                          \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define DBPERF_RUN_ARGS queryDesc, direction, count, execute_once
#endif

/* 17 numbers the entries of ProcGlobal->allProcs from the process itself. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_MY_PROC_NUMBER ((int) MyProcNumber)
#else
#define DBPERF_MY_PROC_NUMBER ((int) MyProc->pgprocno)
#endif

/*
 * Whether the current role owns a database or relation; superusers own all.
 * 16 made one function of the ownership checks of all kinds of objects.  To be
 * used with catalog/pg_database.h or pg_class.h, miscadmin.h and utils/acl.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_OWNS_DATABASE(oid) object_ownercheck(DatabaseRelationId, (oid), GetUserId())
#define DBPERF_OWNS_RELATION(oid) object_ownercheck(RelationRelationId, (oid), GetUserId())
#else
#define DBPERF_OWNS_DATABASE(oid) pg_database_ownercheck((oid), GetUserId())
#define DBPERF_OWNS_RELATION(oid) pg_class_ownercheck((oid), GetUserId())
#endif

/*
 * Whether the current role may execute a function.  16 made one function of the
 * checks of all kinds of objects.  To be used with catalog/pg_proc.h,
 * miscadmin.h and utils/acl.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_MAY_EXECUTE(oid)                                                                    \
	(object_aclcheck(ProcedureRelationId, (oid), GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define DBPERF_MAY_EXECUTE(oid) (pg_proc_aclcheck((oid), GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#endif

/*
 * Whether a role may vacuum, analyze and reindex a relation.  17 added a
 * privilege for it; before, it is its owner who may.  To be used with
 * catalog/pg_class.h and utils/acl.h.
 */
#if PG_VERSION_NUM >= 170000
#define DBPERF_MAY_MAINTAIN(oid, role)                                                             \
	(pg_class_aclcheck((oid), (role), ACL_MAINTAIN) == ACLCHECK_OK)
#elif PG_VERSION_NUM >= 160000
#define DBPERF_MAY_MAINTAIN(oid, role) object_ownercheck(RelationRelationId, (oid), (role))
#else
#define DBPERF_MAY_MAINTAIN(oid, role) pg_class_ownercheck((oid), (role))
#endif

/* 16 added JSON constructors, 17 JSON_VALUE and its like. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_IS_JSON_EXPR(node) (IsA(node, JsonConstructorExpr) || IsA(node, JsonExpr))
#elif PG_VERSION_NUM >= 160000
#define DBPERF_IS_JSON_EXPR(node) IsA(node, JsonConstructorExpr)
#else
#define DBPERF_IS_JSON_EXPR(node) false
#endif

/*
 * Memory for what a setting's check hook works out; 16 gave settings a memory
 * context of their own.  To be used with utils/guc.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_GUC_MALLOC(size) guc_malloc(LOG, (size))
#else
#define DBPERF_GUC_MALLOC(size) malloc(size)
#endif

/*
 * Connections that max_connections keeps for superusers and, from 16 on, for
 * pg_use_reserved_connections.  To be used with postmaster/postmaster.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_RESERVED_CONNECTIONS (SuperuserReservedConnections + ReservedConnections)
#else
#define DBPERF_RESERVED_CONNECTIONS ReservedBackends
#endif

/* ---- plan nodes (monitor/plan.c) ---- */

/* 17 gave MERGE its own join conditions, one list for each target table. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_MERGE_JOIN_CONDITIONS(modify) ((modify)->mergeJoinConditions)
#else
#define DBPERF_MERGE_JOIN_CONDITIONS(modify) NIL
#endif

/* 16 added right anti joins, 18 right semi joins. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_IS_RIGHT_ANTI_JOIN(jointype) ((jointype) == JOIN_RIGHT_ANTI)
#else
#define DBPERF_IS_RIGHT_ANTI_JOIN(jointype) false
#endif
#if PG_VERSION_NUM >= 180000
#define DBPERF_IS_RIGHT_SEMI_JOIN(jointype) ((jointype) == JOIN_RIGHT_SEMI)
#else
#define DBPERF_IS_RIGHT_SEMI_JOIN(jointype) false
#endif

/* ---- end of plan nodes ---- */

/* ---- parse trees (advisor/usages.c) ---- */

/* 17 took MERGE's join condition out of jointree's quals. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_MERGE_CONDITION(query) ((query)->mergeJoinCondition)
#else
#define DBPERF_MERGE_CONDITION(query) NULL
#endif

/* 18 lets Vars of grouped queries point to a range table entry of their own. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_GROUP_EXPRS(rte) ((rte)->rtekind == RTE_GROUP ? (rte)->groupexprs : NIL)
#else
#define DBPERF_GROUP_EXPRS(rte) NIL
#endif

/* ---- end of parse trees ---- */

/* ---- planner's structures (advisor/whatif.c, hypo*.c) ---- */

/* 16 moved rights from range table entries to a list of their own. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_SET_PERMINFOS(query, pstate) ((query)->rteperminfos = (pstate)->p_rteperminfos)
#define DBPERF_REL_USERID(root, relid, rte) ((root)->simple_rel_array[relid]->userid)
#else
#define DBPERF_SET_PERMINFOS(query, pstate) ((void) 0)
#define DBPERF_REL_USERID(root, relid, rte) ((rte)->checkAsUser)
#endif

/* 17 moved the statistics target, of which -1 is the default, to VacAttrStats itself. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_SET_STAT_TARGET(stats, target) ((stats)->attstattarget = (target))
#else
#define DBPERF_SET_STAT_TARGET(stats, target)                                                      \
	((stats)->attr = palloc0(sizeof(FormData_pg_attribute)),                                       \
	 (stats)->attr->attstattarget = (target))
#endif

/* 16 made GIN's cost functions charge for each page that is looked into: so many operators. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_GIN_PAGE_CPU 50.0
#else
#define DBPERF_GIN_PAGE_CPU 0.0
#endif

/* 17 looks up how long an array is in the statistics. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_ARRAY_LENGTH(root, node) estimate_array_length(root, node)
#else
#define DBPERF_ARRAY_LENGTH(root, node) estimate_array_length(node)
#endif

/* ---- end of planner's structures ---- */

/* ---- what holds vacuum up (maintenance/maint_blockers.c) ---- */

/* 16 renamed the function that gives a backend's status by its number in the list. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_LOCAL_BACKEND(i) pgstat_get_local_beentry_by_index(i)
#else
#define DBPERF_LOCAL_BACKEND(i) pgstat_fetch_stat_local_beentry(i)
#endif

/*
 * Whether a slot lost what it needs, so that it holds nothing any more; read
 * under its spinlock.  16 replaced the position of the loss by its cause.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_SLOT_INVALIDATED(slot) ((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define DBPERF_SLOT_INVALIDATED(slot)                                                              \
	(!XLogRecPtrIsInvalid((slot)->data.invalidated_at) &&                                          \
	 XLogRecPtrIsInvalid((slot)->data.restart_lsn))
#endif

/* ---- end of what holds vacuum up ---- */

/* ---- throttling, and indexes (maintenance/maint_throttle.c, maint_index_*.c) ---- */

/*
 * 16 made the limit and the delay that VACUUM works with variables of their
 * own, which it fills from the settings when it begins.  To be used with
 * commands/vacuum.h and miscadmin.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_SET_COST_LIMIT(limit) (vacuum_cost_limit = VacuumCostLimit = (limit))
#define DBPERF_START_COST(delay, limit)                                                            \
	(vacuum_cost_delay = (delay), vacuum_cost_limit = (limit), VacuumCostBalance = 0,              \
	 VacuumCostActive = true)
#else
#define DBPERF_SET_COST_LIMIT(limit) (VacuumCostLimit = (limit))
#define DBPERF_START_COST(delay, limit) (VacuumCostBalance = 0, VacuumCostActive = true)
#endif

/* 17 lets BRIN do without a snapshot of its metapage.  To be used with access/brin_revmap.h. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_BRIN_REVMAP(index, pages) brinRevmapInitialize((index), (pages))
#define DBPERF_BRIN_TUPLE(revmap, block, buffer, offset, size, mode)                               \
	brinGetTupleForHeapBlock((revmap), (block), (buffer), (offset), (size), (mode))
#else
#define DBPERF_BRIN_REVMAP(index, pages) brinRevmapInitialize((index), (pages), NULL)
#define DBPERF_BRIN_TUPLE(revmap, block, buffer, offset, size, mode)                               \
	brinGetTupleForHeapBlock((revmap), (block), (buffer), (offset), (size), (mode), NULL)
#endif

/* ---- end of throttling, and indexes ---- */

/*
 * Nanoseconds of a clock that never goes back, the same in every process of
 * the server.  16 turned instr_time into ticks; before that it is a timespec.
 */
static inline int64
dbperf_now_ns(void)
{
#if PG_VERSION_NUM >= 160000
	instr_time t;

	INSTR_TIME_SET_CURRENT(t);
	return INSTR_TIME_GET_NANOSEC(t);
#else
	/* not on the stack: the compiler guards a frame in which something's address is taken */
	static instr_time t;

	INSTR_TIME_SET_CURRENT(t);
	return (int64) t.tv_sec * INT64CONST(1000000000) + t.tv_nsec;
#endif
}

/* compat.c */
extern bool	 dbperf_wait_event_known(uint32 event);
extern int64 dbperf_instr_time_ns(instr_time t);
extern int64 dbperf_blk_read_ns(const BufferUsage *usage);
extern int64 dbperf_blk_write_ns(const BufferUsage *usage);
extern int64 dbperf_jit_ns(QueryDesc *queryDesc);
extern bool	 dbperf_collation_is_c(Oid collation);
extern int	 dbperf_operator_strategy(Oid opno);
extern void	 dbperf_check_relation_rights(Query *query);
extern void	 dbperf_explain_plan(QueryDesc *queryDesc, bool done, StringInfo out);
extern void	 dbperf_start_explain_only(QueryDesc *queryDesc, bool generic);
extern void	 dbperf_forget_pruning(Plan *plan);
extern void	 dbperf_run_to_end(QueryDesc *queryDesc);
extern void	 dbperf_execute_to_end(QueryDesc *queryDesc);

/* ---- the maintenance plan (maintenance/maint_gather.c, maint_score*.c) ---- */

/* 18 added virtual generated columns, which never get statistics. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_IS_VIRTUAL(attribute) ((attribute)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define DBPERF_IS_VIRTUAL(attribute) false
#endif

/* 18 can analyze a partitioned table without its partitions. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_ANALYZE_ONLY "ONLY "
#define DBPERF_ANALYZES_PARTITIONS false
#else
#define DBPERF_ANALYZE_ONLY ""
#define DBPERF_ANALYZES_PARTITIONS true
#endif

/* What the statistics system has counted of a relation. */
typedef struct DbperfRelationStats
{
	int64 scans; /* of an index: how often it was used */
	int64 inserted;
	int64 updated;
	int64 deleted;
	int64 live;
	int64 dead;
	int64 changed_since_analyze;
	int64 inserted_since_vacuum;
} DbperfRelationStats;

/* Takes one relation; runs under locks of the statistics. */
typedef void (*DbperfRelationVisit)(Oid database, Oid relid, const DbperfRelationStats *stats,
									void *arg);

extern void	  dbperf_scan_relation_stats(DbperfRelationVisit visit, void *arg);
extern bool	  dbperf_relation_stats(Oid database, Oid relid, DbperfRelationStats *out);
extern double dbperf_autovacuum_threshold(const AutoVacOpts *options, double rows);

/* ---- end of the maintenance plan ---- */

/* ---- the cache's node (cache/cache_scan.c) ---- */

/*
 * 18 prunes partitions before plans are initialised, and asks whether a
 * relation is opened in order to be changed.
 */
#if PG_VERSION_NUM >= 180000
#define DBPERF_IS_UNPRUNED(estate, rti) bms_is_member((rti), (estate)->es_unpruned_relids)
#define DBPERF_OPEN_RELATION(estate, rti) ExecGetRangeTableRelation((estate), (rti), false)
#else
#define DBPERF_IS_UNPRUNED(estate, rti) true
#define DBPERF_OPEN_RELATION(estate, rti) ExecGetRangeTableRelation((estate), (rti))
#endif

/* 18 moved what is here into headers of its own. */
struct ExplainState;
extern void dbperf_explain_text(const char *label, const char *value, struct ExplainState *es);
extern void dbperf_explain_integer(const char *label, int64 value, struct ExplainState *es);
extern void
dbperf_explain_float(const char *label, const char *unit, double value, struct ExplainState *es);
extern bool dbperf_explain_costs(struct ExplainState *es);

/* ---- end of the cache's node ---- */

/* ---- the slots of the result cache (cache/cache_writers.c, cache_validity.c) ---- */

/* 17 named it anew.  To be used with access/transam.h. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_TRANSAM TransamVariables
#else
#define DBPERF_TRANSAM ShmemVariableCache
#endif

/* The relation of a PgStat_TableStatus: 16 named it anew.  To be used with pgstat.h. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_STATS_RELID(status) ((status)->id)
#else
#define DBPERF_STATS_RELID(status) ((status)->t_id)
#endif

extern GucBoolAssignHook
dbperf_replace_assign_hook(const char *setting, GucBoolAssignHook assign_hook);

/* ---- end of the slots ---- */

/* ---- which statements the result cache can keep (cache/cache_*.c) ---- */

/*
 * Whether a role may execute a function; see DBPERF_MAY_EXECUTE.  To be used
 * with catalog/pg_proc.h and utils/acl.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_ROLE_MAY_EXECUTE(oid, role)                                                         \
	(object_aclcheck(ProcedureRelationId, (oid), (role), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define DBPERF_ROLE_MAY_EXECUTE(oid, role)                                                         \
	(pg_proc_aclcheck((oid), (role), ACL_EXECUTE) == ACLCHECK_OK)
#endif

/* 16 made the query's text no argument of it any more. */
#if PG_VERSION_NUM >= 160000
#define DBPERF_JUMBLE(query, text) JumbleQuery(query)
#else
#define DBPERF_JUMBLE(query, text) JumbleQuery((query), (text))
#endif

extern bool				  dbperf_has_virtual_column(Oid relid);
extern const char *const *dbperf_string_setting(const char *name);

/* ---- end of which statements the result cache can keep ---- */

/* ---- the rules of pg_hba.conf (pool/pool_hba.c) ---- */

/* 16 reads included files, and lets names of databases and roles be patterns. */
struct AuthToken;
struct HbaLine;
extern List		  *dbperf_parse_hba(char **error);
extern bool		   dbperf_auth_token_is(const struct AuthToken *token, const char *name);
extern bool		   dbperf_auth_token_is_pattern(const struct AuthToken *token);
extern const char *dbperf_hba_file(const struct HbaLine *line);

/* ---- end of the rules of pg_hba.conf ---- */
/* ---- the consoles of the pool (pool/pool_console.c) ---- */

/*
 * A set of events that its maker frees.  17 made resource owners, of which none
 * is needed then, keep sets instead of memory contexts.  To be used with
 * storage/latch.h.
 */
#if PG_VERSION_NUM >= 170000
#define DBPERF_CREATE_WAIT_EVENT_SET(events) CreateWaitEventSet(NULL, (events))
#else
#define DBPERF_CREATE_WAIT_EVENT_SET(events) CreateWaitEventSet(CurrentMemoryContext, (events))
#endif

/* ---- end of the consoles ---- */
/* ---- what a pooled session leaves behind (pool/pool_guard.c) ---- */

/*
 * The array of all settings; num gets how many.  16 made it a palloc'd one.  To
 * be used with utils/guc.h and utils/guc_tables.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_ALL_SETTINGS(num) get_guc_variables(&(num))
#else
#define DBPERF_ALL_SETTINGS(num) ((num) = GetNumConfigOptions(), get_guc_variables())
#endif

/* ---- end of what a pooled session leaves behind ---- */


/* ---- plans read back from their text (plans/plan_*.c) ---- */

/* 18 says of each node whether a setting disables it. */
#if PG_VERSION_NUM >= 180000
#define DBPERF_EXPLAINS_DISABLED true
#else
#define DBPERF_EXPLAINS_DISABLED false
#endif

/* 17 tells apart the times of shared and of local blocks. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_EXPLAIN_SHARED_IO "Shared I/O"
#else
#define DBPERF_EXPLAIN_SHARED_IO "I/O"
#endif

/* ---- end of plans read back ---- */
/* ---- settings of single queries (plans/query_settings.c) ---- */

struct FormData_pg_class;
extern bool dbperf_has_no_pages(const struct FormData_pg_class *form);

/* ---- end of settings of single queries ---- */

/* ---- nodes (cluster/node_options.c) ---- */

/*
 * Whether a role may use a foreign server.  16 made one function of the checks of
 * all kinds of objects.  To be used with catalog/pg_foreign_server.h and
 * utils/acl.h.
 */
#if PG_VERSION_NUM >= 160000
#define DBPERF_MAY_USE_SERVER(oid, role)                                                           \
	(object_aclcheck(ForeignServerRelationId, (oid), (role), ACL_USAGE) == ACLCHECK_OK)
#else
#define DBPERF_MAY_USE_SERVER(oid, role)                                                           \
	(pg_foreign_server_aclcheck((oid), (role), ACL_USAGE) == ACLCHECK_OK)
#endif

/* ---- end of nodes ---- */
/* ---- the server's vital signs (metrics/vitals.c) ---- */

/* 17 moved the checkpointer's counters from the background writer's to its own. */
#if PG_VERSION_NUM >= 170000
#define DBPERF_TIMED_CHECKPOINTS "pg_stat_get_checkpointer_num_timed()"
#define DBPERF_REQUESTED_CHECKPOINTS "pg_stat_get_checkpointer_num_requested()"
#else
#define DBPERF_TIMED_CHECKPOINTS "pg_stat_get_bgwriter_timed_checkpoints()"
#define DBPERF_REQUESTED_CHECKPOINTS "pg_stat_get_bgwriter_requested_checkpoints()"
#endif

/* ---- end of the server's vital signs ---- */

#endif /* DBPERF_COMPAT_H */
