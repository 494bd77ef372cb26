/*-------------------------------------------------------------------------
 *
 * pool_guard.c
 *		Finds use of session features that do not survive in a pool.
 *
 * In transaction and statement mode the next transaction of a client may run in
 * another server process, and this one goes to other clients.  What a session
 * keeps beyond its transaction is then missing where it is wanted, and in the
 * way where it is not.
 *
 * Commands are seen before they run, whoever runs them: functions, DO blocks
 * and extensions have to pass through ProcessUtility, too.  Functions of the
 * server that do the same, set_config() and those for advisory locks, are seen
 * by the hook that is told of every function that is about to be executed; it
 * is not told the arguments, so what set_config() has done is looked up at the
 * end of the transaction.  None of it is installed in other processes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/client_port.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pool/pool_guard.h"
#include "pool/pool_int.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#define EXAMPLE_SIZE 80

/* What is said of a feature. */
static const char *const feature_hints[POOL_FEATURES] = {
	[POOL_FEATURE_SET] = gettext_noop("Use SET LOCAL in the transaction, or ALTER ROLE or ALTER "
									  "DATABASE ... SET, or connect to the server directly."),
	[POOL_FEATURE_LISTEN] = gettext_noop("Connect to the server directly to listen."),
	[POOL_FEATURE_ADVISORY_LOCK] =
		gettext_noop("Use a lock of the transaction, such as pg_advisory_xact_lock(), or connect "
					 "to the server directly."),
	[POOL_FEATURE_HOLD_CURSOR] = gettext_noop("Fetch from the cursor in the transaction that "
											  "declares it, or connect to the server directly."),
	[POOL_FEATURE_TEMP_OBJECT] = gettext_noop("Create temporary tables ON COMMIT DROP, or connect "
											  "to the server directly."),
	[POOL_FEATURE_PREPARE] =
		gettext_noop("Use prepared statements of the client's driver, which PgBouncer 1.21 and "
					 "later keep track of, or connect to the server directly."),
	[POOL_FEATURE_LOAD] = gettext_noop("Use session_preload_libraries, or connect to the server "
									   "directly."),
};

static object_access_hook_type prev_object_access = NULL;

/* Of this transaction: */
static uint32 seen = 0;					 /* features that were reported, one bit for each */
static bool	  called_set_config = false; /* and it may have been for the session */
static bool	  created_object = false;	 /* a relation, type or function */
static bool	  created_transient = false; /* a temporary one that it drops itself */

/* ---- reports ---- */

/*
 * Whether this server connection is given to other clients between transactions.
 */
static bool
is_shared(void)
{
	PoolMode mode;

	if (!dbperf_enabled)
		return false;
	mode = dbperf_pool_mode_for(MyProcPort->database_name, MyProcPort->user_name);
	return mode == POOL_MODE_TRANSACTION || mode == POOL_MODE_STATEMENT;
}

/*
 * A feature is used, as the example says.  Counts it, once in a transaction,
 * and tells the client, as dbperf.pool_guard wants it.  The server's log gets the
 * first warning of each connection and feature: there may be one in every
 * transaction.
 */
static void
report(PoolFeature feature, const char *example)
{
	bool again = (seen & (1U << feature)) != 0;
	bool log = false;
	int	 level;

	if (!is_shared())
		return;
	seen |= 1U << feature;
	if (!again)
		log = dbperf_pool_guard_count(feature, example);
	if (dbperf_pool_guard == POOL_GUARD_ERROR)
		level = ERROR;
	else if (dbperf_pool_guard == POOL_GUARD_WARNING && !again)
		level = log ? WARNING : WARNING_CLIENT_ONLY;
	else
		return;
	ereport(level, (errcode(level == ERROR ? ERRCODE_FEATURE_NOT_SUPPORTED : ERRCODE_WARNING),
					errmsg("%s does not outlast its transaction in a connection pool", example),
					errdetail("What it leaves belongs to a server connection, which other clients "
							  "get after this transaction."),
					errhint("%s", _(feature_hints[feature]))));
}

/* ---- settings ---- */

/*
 * Whether PgBouncer itself sees to it that a client finds a setting as it left
 * it.  The name is length bytes long.
 */
bool
dbperf_pool_passes_on(const char *setting, size_t length)
{
	static const char *const names[] = {"application_name", "client_encoding",
										"DateStyle",		"IntervalStyle",
										"TimeZone",			"standard_conforming_strings"};

	if (dbperf_pool_shared->version >= POOL_VERSION_REPORTED)
	{
		char name[NAMEDATALEN];

		if (length >= sizeof(name))
			return false;
		memcpy(name, setting, length);
		name[length] = '\0';
		return (GetConfigOptionFlags(name, true) & GUC_REPORT) != 0;
	}
	for (int i = 0; i < lengthof(names); i++)
	{
		if (strlen(names[i]) == length && pg_strncasecmp(names[i], setting, length) == 0)
			return names[i][0] != 'I' || dbperf_pool_shared->version >= POOL_VERSION_INTERVAL_STYLE;
	}
	return false;
}

/*
 * Whether a setting that is changed for the session is of no harm: PgBouncer
 * takes care of it, or it does not last longer than the transaction.
 */
static bool
is_harmless(const char *setting)
{
	return dbperf_pool_passes_on(setting, strlen(setting)) ||
		   pg_strcasecmp(setting, "transaction_isolation") == 0 ||
		   pg_strcasecmp(setting, "transaction_read_only") == 0 ||
		   pg_strcasecmp(setting, "transaction_deferrable") == 0;
}

/* Whether it takes a role back instead of assuming one. */
static bool
is_no_role(VariableSetStmt *stmt)
{
	return pg_strcasecmp(stmt->name, "role") == 0 &&
		   strcmp(ExtractSetVariableArgs(stmt), "none") == 0;
}

static void
watch_set(VariableSetStmt *stmt)
{
	char example[EXAMPLE_SIZE];

	switch (stmt->kind)
	{
		case VAR_SET_VALUE:
		case VAR_SET_CURRENT:
			if (stmt->is_local || is_harmless(stmt->name) || is_no_role(stmt))
				return;
			break;
		case VAR_SET_MULTI:
			/* SET TRANSACTION is the other one */
			if (strcmp(stmt->name, "SESSION CHARACTERISTICS") != 0)
				return;
			break;
		default:
			return;
	}
	snprintf(example, sizeof(example), "SET %s", stmt->name);
	report(POOL_FEATURE_SET, example);
}

/*
 * Looks for a setting that the transaction leaves changed when it commits.
 */
static void
look_for_settings(void)
{
	int						num;
	struct config_generic **settings = DBPERF_ALL_SETTINGS(num);

	for (int i = 0; i < num; i++)
	{
		const GucStack *stack = settings[i]->stack;
		char			example[EXAMPLE_SIZE];

		if (stack == NULL ||
			!(stack->state == GUC_SET_LOCAL ||
			  (stack->state == GUC_SET && settings[i]->source == PGC_S_SESSION)) ||
			is_harmless(settings[i]->name))
			continue;
		snprintf(example, sizeof(example), "set_config() of %s", settings[i]->name);
		report(POOL_FEATURE_SET, example);
		return;
	}
}

/* ---- commands ---- */

/*
 * A relation is created, by such a command if it is temporary.  What the
 * transaction drops itself is of no harm, and so is what the server creates for
 * REFRESH MATERIALIZED VIEW CONCURRENTLY, which has such a name.
 */
static void
watch_create(const RangeVar *relation, OnCommitAction on_commit, const char *command)
{
	if (relation->relpersistence != RELPERSISTENCE_TEMP &&
		(relation->schemaname == NULL || strcmp(relation->schemaname, "pg_temp") != 0))
		return;
	if (on_commit == ONCOMMIT_DROP)
		created_transient = true;
	else if (strncmp(relation->relname, "pg_temp_", strlen("pg_temp_")) != 0)
		report(POOL_FEATURE_TEMP_OBJECT, command);
}

static void
watch_cursor(const DeclareCursorStmt *stmt)
{
	if ((stmt->options & CURSOR_OPT_HOLD) != 0)
		report(POOL_FEATURE_HOLD_CURSOR, "DECLARE CURSOR WITH HOLD");
}

/*
 * Called before each utility command.  The scripts of extensions are trusted.  A
 * sequence that is part of a table goes with that.
 */
static void
watch_utility(Node *utility, bool part)
{
	if (creating_extension || (part && IsA(utility, CreateSeqStmt)))
		return;

	switch (nodeTag(utility))
	{
		case T_VariableSetStmt:
			watch_set(castNode(VariableSetStmt, utility));
			break;
		case T_ListenStmt:
			report(POOL_FEATURE_LISTEN, "LISTEN");
			break;
		case T_DeclareCursorStmt:
			watch_cursor(castNode(DeclareCursorStmt, utility));
			break;
		case T_CreateStmt:
			watch_create(castNode(CreateStmt, utility)->relation,
						 castNode(CreateStmt, utility)->oncommit, "CREATE TEMPORARY TABLE");
			break;
		case T_CreateTableAsStmt:
			watch_create(castNode(CreateTableAsStmt, utility)->into->rel,
						 castNode(CreateTableAsStmt, utility)->into->onCommit,
						 "CREATE TEMPORARY TABLE AS");
			break;
		case T_CreateSeqStmt:
			watch_create(castNode(CreateSeqStmt, utility)->sequence, ONCOMMIT_NOOP,
						 "CREATE TEMPORARY SEQUENCE");
			break;
		case T_ViewStmt:
			watch_create(castNode(ViewStmt, utility)->view, ONCOMMIT_NOOP, "CREATE TEMPORARY VIEW");
			break;
		case T_RefreshMatViewStmt:
			created_transient |= castNode(RefreshMatViewStmt, utility)->concurrent;
			break;
		case T_PrepareStmt:
			report(POOL_FEATURE_PREPARE, "PREPARE");
			break;
		case T_LoadStmt:
			report(POOL_FEATURE_LOAD, "LOAD");
			break;
		default:
			break;
	}
}

/* ---- functions ---- */

/* The name of a function that takes an advisory lock of the session, or NULL. */
static const char *
advisory_function(Oid function)
{
	switch (function)
	{
		case F_PG_ADVISORY_LOCK_INT8:
		case F_PG_ADVISORY_LOCK_INT4_INT4:
			return "pg_advisory_lock()";
		case F_PG_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_LOCK_SHARED_INT4_INT4:
			return "pg_advisory_lock_shared()";
		case F_PG_TRY_ADVISORY_LOCK_INT8:
		case F_PG_TRY_ADVISORY_LOCK_INT4_INT4:
			return "pg_try_advisory_lock()";
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4:
			return "pg_try_advisory_lock_shared()";
		default:
			return NULL;
	}
}

/*
 * A function is about to be executed.  EXPLAIN prepares for it, but does not
 * execute it.
 */
static void
watch_function(Oid function)
{
	const char *name = advisory_function(function);

	if (function == F_SET_CONFIG)
		called_set_config = true;
	else if (name != NULL && dbperf_explaining == 0)
		report(POOL_FEATURE_ADVISORY_LOCK, name);
}

static void
watch_object(ObjectAccessType access, Oid class, Oid object, int subobject, void *arg)
{
	if (prev_object_access != NULL)
		prev_object_access(access, class, object, subobject, arg);
	if (access == OAT_FUNCTION_EXECUTE)
		watch_function(object);
	else if (access == OAT_POST_CREATE && (class == RelationRelationId || class == TypeRelationId ||
										   class == ProcedureRelationId))
		created_object = true;
}

/* ---- transactions ---- */

/*
 * The transaction is about to commit: looks for what could not be seen before.
 * Objects can be temporary because of search_path, or made by what is not a
 * command, and types and functions have no word for it.
 */
void
dbperf_pool_guard_before_commit(void)
{
	if (likely(!called_set_config && !created_object) || !is_shared())
		return;
	if (called_set_config)
		look_for_settings();
	if (created_object && !created_transient &&
		(MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE) != 0)
		report(POOL_FEATURE_TEMP_OBJECT, "creating a temporary object");
}

/* It has ended, in whatever way. */
void
dbperf_pool_guard_xact_end(void)
{
	seen = 0;
	called_set_config = false;
	created_object = false;
	created_transient = false;
}

/*
 * This process serves the pool.  Called once in it.
 */
void
dbperf_pool_guard_begin(void)
{
	dbperf_utility_watch = watch_utility;
	prev_object_access = object_access_hook;
	object_access_hook = watch_object;
}
