/*-------------------------------------------------------------------------
 *
 * pool_hba.c
 *		What pg_hba.conf says, read with the server's own parser.
 *
 * The pool stands between the clients and the server, so pg_hba.conf matters
 * twice: the server asks it about the pool's connections, which come over the
 * unix socket, and with dbperf.pool_auth = hba the pool has to treat its
 * clients' addresses as the server would (pool_hba_text.c).
 *
 * The rules are those of the last reload, like the server's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "libpq/hba.h"
#include "pool/pool_config.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define NAMES_SHOWN 3 /* of roles in a message */

/* Roles times databases that are looked at: enough to find what is wrong. */
#define MOST_ROLES 1000
#define MOST_DATABASES 50

/* What is wrong with a line: whom it keeps out. */
typedef struct Refusal
{
	const HbaLine *line; /* NULL = no line lets them in */
	StringInfoData names;
	int			   count;
	bool		   md5; /* one of them has an md5 secret */
} Refusal;

/* ---- reading ---- */

/*
 * Reads the rules, unless that was done since the last reload, and what they
 * are matched with.  An invalid file leaves the rules as they were, as it does
 * in the server.
 */
void
dbperf_pool_read_rules(PoolRules *rules, StringInfo errors)
{
	static MemoryContext context = NULL;
	static List			*lines = NIL;
	static TimestampTz	 read_at = 0;
	static char			*error = NULL;

	if (context == NULL || read_at != PgReloadTime)
	{
		MemoryContext made = AllocSetContextCreate(TopMemoryContext, "dbperf pool pg_hba.conf",
												   ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(made);
		char		 *problem;
		List		 *parsed = dbperf_parse_hba(&problem);

		MemoryContextSwitchTo(old);
		if (error != NULL)
			pfree(error);
		error = problem != NULL ? MemoryContextStrdup(TopMemoryContext, problem) : NULL;
		if (parsed != NIL || context == NULL)
		{
			if (context != NULL)
				MemoryContextDelete(context);
			context = made;
			lines = parsed;
		}
		else
			MemoryContextDelete(made);
		read_at = PgReloadTime;
	}
	if (error != NULL)
		dbperf_pool_complain(errors, "pg_hba.conf is not valid, what it says now is not used: %s",
							 error);
	rules->lines = lines;
	if (!dbperf_list_databases(&rules->databases))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not list the databases for the connection pool")));
}

/* ---- matching, as the server does it ---- */

/* Whether a word has a meaning of its own, which quotes take from it. */
static bool
is_keyword(const AuthToken *token, const char *word)
{
	return !token->quoted && strcmp(token->string, word) == 0;
}

/*
 * Whether the roles of a line include this one.
 */
bool
dbperf_pool_rule_has_role(const PoolRules *rules, const List *tokens, const PoolRole *role)
{
	ListCell *cell;

	foreach (cell, tokens)
	{
		const AuthToken *token = lfirst(cell);

		if (!token->quoted && token->string[0] == '+')
		{
			if (dbperf_pool_is_member(rules->roles, role->oid, token->string + 1))
				return true;
		}
		else if (is_keyword(token, "all") || dbperf_auth_token_is(token, role->name))
			return true;
	}
	return false;
}

/*
 * Whether the databases of a line include this one, for this role.
 */
bool
dbperf_pool_rule_has_database(const PoolRules *rules, const List *tokens, const char *database,
							  const PoolRole *role)
{
	ListCell *cell;

	foreach (cell, tokens)
	{
		const AuthToken *token = lfirst(cell);

		if (is_keyword(token, "all"))
			return true;
		if (is_keyword(token, "replication"))
			continue;
		if (is_keyword(token, "sameuser"))
		{
			if (strcmp(database, role->name) == 0)
				return true;
		}
		else if (is_keyword(token, "samerole") || is_keyword(token, "samegroup"))
		{
			if (dbperf_pool_is_member(rules->roles, role->oid, database))
				return true;
		}
		else if (dbperf_auth_token_is(token, database))
			return true;
	}
	return false;
}

/* ---- whether the server lets the pool in ---- */

/* The line that decides about a connection over the unix socket, or NULL. */
static const HbaLine *
local_line(const PoolRules *rules, const char *database, const PoolRole *role)
{
	ListCell *cell;

	foreach (cell, rules->lines)
	{
		const HbaLine *line = lfirst(cell);

		if (line->conntype == ctLocal &&
			dbperf_pool_rule_has_database(rules, line->databases, database, role) &&
			dbperf_pool_rule_has_role(rules, line->roles, role))
			return line;
	}
	return NULL;
}

/* Whether the pool can log in as a line wants it, with nothing but the secret. */
static bool
can_log_in(const HbaLine *line)
{
	switch (line->auth_method)
	{
		case uaTrust:
		case uaMD5:
		case uaSCRAM:
			return true;
		case uaPeer:
			/* a map may well let the server's own user in as anybody */
			return line->usermap != NULL;
		default:
			return false;
	}
}

/* Notes that a line, or the lack of one, keeps a role out; each role once. */
static void
note_refusal(List **refusals, const HbaLine *line, const PoolRole *role)
{
	Refusal	 *refusal = NULL;
	ListCell *cell;

	foreach (cell, *refusals)
	{
		if (((Refusal *) lfirst(cell))->line == line)
			refusal = lfirst(cell);
	}
	if (refusal == NULL)
	{
		refusal = palloc0(sizeof(Refusal));
		refusal->line = line;
		initStringInfo(&refusal->names);
		*refusals = lappend(*refusals, refusal);
	}
	if (refusal->count++ < NAMES_SHOWN)
		appendStringInfo(&refusal->names, "%s\"%s\"", refusal->names.len > 0 ? "," : "",
						 role->name);
	refusal->md5 |= strncmp(role->secret, "md5", 3) == 0;
}

/*
 * Looks for what keeps a role out of the databases.  A line that rejects it
 * somewhere is meant so; one that wants what the pool does not have is not.
 */
static void
check_role(const PoolRules *rules, const PoolRole *role, List **refusals)
{
	List	 *noted = NIL;
	bool	  enters = false;
	int		  looked_at = 0;
	ListCell *cell;

	foreach (cell, rules->databases)
	{
		const DbperfDatabase *database = lfirst(cell);
		const HbaLine		 *line;

		if (database->is_template || looked_at++ >= MOST_DATABASES)
			continue;
		line = local_line(rules, database->name, role);
		if (line != NULL && can_log_in(line))
			enters = true;
		else if (line != NULL && line->auth_method != uaReject && !list_member_ptr(noted, line))
		{
			noted = lappend(noted, (void *) line);
			note_refusal(refusals, line, role);
		}
	}
	if (!enters && noted == NIL)
		note_refusal(refusals, NULL, role);
}

/*
 * Says which lines of pg_hba.conf keep the pool from logging in to the server,
 * and what to write instead.
 */
void
dbperf_pool_check_rules(const PoolRules *rules, StringInfo errors)
{
	List	 *refusals = NIL;
	ListCell *cell;
	int		  looked_at = 0;

	if (rules->lines == NIL)
		return;
	for (int i = 0; i < rules->roles->num && looked_at < MOST_ROLES; i++)
	{
		if (!rules->roles->roles[i].listed)
			continue;
		check_role(rules, &rules->roles->roles[i], &refusals);
		looked_at++;
	}
	foreach (cell, refusals)
	{
		const Refusal *refusal = lfirst(cell);
		const char	  *more = refusal->count > NAMES_SHOWN
								  ? psprintf(" and %d more", refusal->count - NAMES_SHOWN)
								  : "";
		const char	  *put = psprintf("put a line like: local all %s %s", refusal->names.data,
									  refusal->md5 ? "md5" : "scram-sha-256");

		if (refusal->line == NULL)
			dbperf_pool_complain(errors,
								 "pg_hba.conf has no line of type local that lets the pool log in "
								 "for %s%s: %s, and reload",
								 refusal->names.data, more, put);
		else
			dbperf_pool_complain(errors,
								 "line %d of %s has the method %s, with which the pool cannot "
								 "log in for %s%s: above it %s, and reload",
								 refusal->line->linenumber, dbperf_hba_file(refusal->line),
								 hba_authname(refusal->line->auth_method), refusal->names.data,
								 more, put);
	}
}
