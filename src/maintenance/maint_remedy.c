/*-------------------------------------------------------------------------
 *
 * maint_remedy.c
 *		Says in words who holds vacuum up, and what ends it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "maintenance/maint_blockers.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * The word for what a blocker is.
 */
const char *
dbperf_maint_blocker_kind(const MaintBlocker *blocker)
{
	switch (blocker->kind)
	{
		case BLOCKER_PROCESS:
			return blocker->name == NULL ? "session" : "worker";
		case BLOCKER_STANDBY:
			return "standby";
		case BLOCKER_PREPARED:
			return "prepared transaction";
		case BLOCKER_SLOT:
			return "replication slot";
		case BLOCKER_SETTING:
			return "setting";
	}
	return NULL;
}

/*
 * The words for whose dead rows a blocker keeps.
 */
const char *
dbperf_maint_blocker_affects(const MaintBlocker *blocker)
{
	switch (blocker->affects)
	{
		case AFFECTS_DATABASE:
			return "this database";
		case AFFECTS_ALL:
			return "all databases";
		case AFFECTS_SNAPSHOTS:
			return "all databases through snapshots";
		case AFFECTS_CATALOGS:
			return "catalogs only";
		case AFFECTS_SHARED:
			return "shared tables";
		case AFFECTS_PRIMARY:
			return "the primary";
		case AFFECTS_REPLAY:
			return "replay";
	}
	return NULL;
}

/* Sessions of a standby that need this xid or an older one. */
static void
append_on_standby(StringInfo sql, const MaintBlocker *blocker)
{
	appendStringInfo(sql,
					 "run on the standby: SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
					 " WHERE backend_type = 'client backend'"
					 " AND age(backend_xmin) >= age('%u'::xid)",
					 blocker->xid);
}

/* What ends a process's hold: it is asked to stop, or has to go if it waits for its client. */
static void
append_process_remedy(StringInfo sql, const MaintBlocker *blocker)
{
	if (blocker->state != NULL && strcmp(blocker->state, "active") == 0)
		appendStringInfo(sql, "SELECT pg_cancel_backend(%d)", blocker->pid);
	else
		appendStringInfo(sql, "SELECT pg_terminate_backend(%d)", blocker->pid);
}

/* It can be ended in its own database only. */
static void
append_prepared_remedy(StringInfo sql, const MaintBlocker *blocker)
{
	if (blocker->database != MyDatabaseId)
	{
		char *database = get_database_name(blocker->database);

		if (database != NULL)
			appendStringInfo(sql, "run in database %s: ", quote_identifier(database));
	}
	appendStringInfo(sql, "ROLLBACK PREPARED %s", quote_literal_cstr(blocker->name));
}

/*
 * A physical slot that is in use has its xmin from a standby's feedback.  Any
 * other one can only be advanced by its consumer, or dropped.
 */
static void
append_slot_remedy(StringInfo sql, const MaintBlocker *blocker)
{
	if (blocker->pid != 0 && !OidIsValid(blocker->database) && blocker->affects != AFFECTS_CATALOGS)
	{
		append_on_standby(sql, blocker);
		return;
	}
	if (blocker->pid != 0)
		appendStringInfo(sql,
						 "let its consumer catch up, or give it up: "
						 "SELECT pg_terminate_backend(%d); ",
						 blocker->pid);
	else
		appendStringInfoString(sql, "start its consumer, or give it up: ");
	appendStringInfo(sql, "SELECT pg_drop_replication_slot(%s)", quote_literal_cstr(blocker->name));
}

/*
 * What frees what a blocker holds: SQL, with words before a colon where it has
 * to run elsewhere or where there is a choice.
 */
char *
dbperf_maint_blocker_remedy(const MaintBlocker *blocker)
{
	StringInfoData sql;

	initStringInfo(&sql);
	switch (blocker->kind)
	{
		case BLOCKER_PROCESS:
			append_process_remedy(&sql, blocker);
			break;
		case BLOCKER_STANDBY:
			append_on_standby(&sql, blocker);
			break;
		case BLOCKER_PREPARED:
			append_prepared_remedy(&sql, blocker);
			break;
		case BLOCKER_SLOT:
			append_slot_remedy(&sql, blocker);
			break;
		case BLOCKER_SETTING:
			appendStringInfo(&sql, "ALTER SYSTEM RESET %s; SELECT pg_reload_conf()", blocker->name);
			break;
	}
	return sql.data;
}

/* How long ago something was, in its largest unit. */
static void
append_time_since(StringInfo text, TimestampTz since)
{
	int64 seconds = (GetCurrentTimestamp() - since) / USECS_PER_SEC;

	if (seconds < 120)
		appendStringInfo(text, " since " INT64_FORMAT " s", Max(seconds, 0));
	else if (seconds < 2 * SECS_PER_HOUR)
		appendStringInfo(text, " since " INT64_FORMAT " min", seconds / SECS_PER_MINUTE);
	else if (seconds < 2 * SECS_PER_DAY)
		appendStringInfo(text, " since " INT64_FORMAT " h", seconds / SECS_PER_HOUR);
	else
		appendStringInfo(text, " since " INT64_FORMAT " days", seconds / SECS_PER_DAY);
}

/* Who it is, without what it does. */
static void
append_name(StringInfo text, const MaintBlocker *blocker)
{
	switch (blocker->kind)
	{
		case BLOCKER_PROCESS:
			if (blocker->name != NULL)
				appendStringInfo(text, "%s, ", blocker->name);
			appendStringInfo(text, "process %d", blocker->pid);
			break;
		case BLOCKER_STANDBY:
			appendStringInfo(text, "standby %s, process %d", blocker->name ? blocker->name : "?",
							 blocker->pid);
			break;
		case BLOCKER_PREPARED:
			appendStringInfo(text, "prepared transaction %s", quote_literal_cstr(blocker->name));
			break;
		case BLOCKER_SLOT:
			appendStringInfo(text, "replication slot %s", blocker->name);
			break;
		case BLOCKER_SETTING:
			appendStringInfo(text, "setting %s", blocker->name);
			break;
	}
}

/* Who is behind it and what it does, as far as it is known. */
static void
append_details(StringInfo text, const MaintBlocker *blocker)
{
	const char *role = OidIsValid(blocker->role) ? GetUserNameFromId(blocker->role, true) : NULL;
	const char *database = OidIsValid(blocker->database) && blocker->database != MyDatabaseId
							   ? get_database_name(blocker->database)
							   : NULL;
	TimestampTz since = blocker->idle ? blocker->idle_since : blocker->since;
	const char *separator = " (";

	if (role != NULL)
		appendStringInfo(text, "%s%s", separator, role);
	if (role != NULL)
		separator = ", ";
	if (database != NULL)
		appendStringInfo(text, "%sdatabase %s", separator, quote_identifier(database));
	if (database != NULL)
		separator = ", ";
	appendStringInfo(text, "%s%s", separator, blocker->state != NULL ? blocker->state : "running");
	if (since != 0)
		append_time_since(text, since);
	appendStringInfoChar(text, ')');
}

/*
 * One sentence: who it is, what it does and since when, and the remedy.
 */
char *
dbperf_maint_blocker_sentence(const MaintBlocker *blocker)
{
	StringInfoData text;

	initStringInfo(&text);
	append_name(&text, blocker);
	append_details(&text, blocker);
	appendStringInfo(&text, ": %s", dbperf_maint_blocker_remedy(blocker));
	return text.data;
}
