/*-------------------------------------------------------------------------
 *
 * node_options.c
 *		What a node is reached with: the options of a foreign server of
 *		postgres_fdw, and of the user mapping of the role that added the node.
 *
 * The poller is a superuser's process that connects for somebody else, so the
 * rules are those of postgres_fdw, which keep a role from borrowing what the
 * server's operating system user has: its name, its password file, its
 * certificate.  Two rules are stricter: "service" is refused, since such a file
 * may name any host, and a Kerberos ticket is not used unless the options say so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "cluster/cluster_int.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "libpq-fe.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

/* Room for what is added here and by a look-up, and for the end. */
#define MORE_OPTIONS 9

/* Notes what is wrong; returns false. */
static bool
refuse(DbperfRowProblem *problem, int sqlstate, char *message, const char *hint)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->hint = hint;
	return false;
}

/*
 * Finds a foreign server that a role may use for a node.  Returns false, with
 * the problem, if there is none.  The wrapper must be postgres_fdw's own: its
 * validator is what the options can be trusted for.
 */
bool
dbperf_node_server(const char *server, Oid role, Oid *oid, DbperfRowProblem *problem)
{
	Oid			   extension = get_extension_oid("postgres_fdw", true);
	ForeignServer *found = GetForeignServerByName(server, true);

	if (found == NULL && !OidIsValid(extension))
		return refuse(problem, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  pstrdup("extension postgres_fdw is not installed in this database"),
					  "Nodes are reached with its foreign servers: run CREATE EXTENSION "
					  "postgres_fdw, CREATE SERVER and CREATE USER MAPPING first.");
	if (found == NULL)
		return refuse(problem, ERRCODE_UNDEFINED_OBJECT,
					  psprintf("server \"%s\" does not exist", server), NULL);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(ForeignDataWrapperRelationId, found->fdwid) != extension)
		return refuse(problem, ERRCODE_WRONG_OBJECT_TYPE,
					  psprintf("server \"%s\" is not one of postgres_fdw", server), NULL);
	if (!DBPERF_MAY_USE_SERVER(found->serverid, role))
		return refuse(problem, ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("permission denied for foreign server %s", server), NULL);
	*oid = found->serverid;
	return true;
}

/* The role's user mapping, or that for everybody; NULL if there is none. */
static UserMapping *
find_mapping(Oid server, Oid role)
{
	if (!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role),
							   ObjectIdGetDatum(server)) &&
		!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
							   ObjectIdGetDatum(server)))
		return NULL;
	return GetUserMapping(role, server);
}

/* Whether libpq knows an option: the others are postgres_fdw's own. */
static bool
is_libpq_option(const PQconninfoOption *known, const char *name)
{
	for (; known->keyword != NULL; known++)
	{
		if (strcmp(known->keyword, name) == 0)
			return true;
	}
	return false;
}

static const char *
option(const NodeOptions *options, const char *keyword)
{
	for (int i = options->num - 1; i >= 0; i--)
	{
		if (strcmp(options->keywords[i], keyword) == 0 && options->values[i][0] != '\0')
			return options->values[i];
	}
	return NULL;
}

static void
add(NodeOptions *options, const char *keyword, const char *value)
{
	options->keywords[options->num] = keyword;
	options->values[options->num++] = value;
}

static void
add_all(NodeOptions *options, List *list, const PQconninfoOption *known)
{
	ListCell *cell;

	foreach (cell, list)
	{
		DefElem *element = lfirst_node(DefElem, cell);

		if (is_libpq_option(known, element->defname))
			add(options, element->defname, defGetString(element));
	}
}

/* Whether a superuser has said that the mapping needs no password. */
static bool
password_not_required(const UserMapping *mapping)
{
	ListCell *cell;

	foreach (cell, mapping->options)
	{
		DefElem *element = lfirst_node(DefElem, cell);

		if (strcmp(element->defname, "password_required") == 0)
			return !defGetBoolean(element);
	}
	return false;
}

/* Puts the options of server and mapping together. */
static void
gather(NodeOptions *options, const ForeignServer *server, const UserMapping *mapping)
{
	int size = list_length(server->options) + list_length(mapping->options) + MORE_OPTIONS;
	PQconninfoOption *known = PQconndefaults();

	if (known == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	options->num = 0;
	options->keywords = palloc0(size * sizeof(char *));
	options->values = palloc0(size * sizeof(char *));
	add(options, "gssencmode", "disable");
	add(options, "fallback_application_name", "dbperf");

	/* Kerberos may block, whoever asks for it; libpq 15 finds no ticket instead */
	if (is_libpq_option(known, "require_auth"))
		add(options, "require_auth", "!gss,!sspi");
	add_all(options, server->options, known);
	add_all(options, mapping->options, known);

	/* texts come as they are there, and are checked and converted here */
	add(options, "client_encoding", "SQL_ASCII");
	PQconninfoFree(known);
}

/*
 * What a node is reached with.  Returns false, with the problem, if it cannot
 * be.  Inside a transaction.
 */
bool
dbperf_node_options(const NodeRow *node, NodeOptions *options, DbperfRowProblem *problem)
{
	Oid			 role = get_role_oid(node->role, true);
	Oid			 server;
	UserMapping *mapping;

	if (!OidIsValid(role))
		return refuse(problem, ERRCODE_UNDEFINED_OBJECT,
					  psprintf("role \"%s\" does not exist", node->role), NULL);
	if (!dbperf_node_server(node->server, role, &server, problem))
		return false;
	mapping = find_mapping(server, role);
	if (mapping == NULL)
		return refuse(
			problem, ERRCODE_UNDEFINED_OBJECT,
			psprintf("role \"%s\" has no user mapping for server \"%s\"", node->role, node->server),
			"Run CREATE USER MAPPING.");

	gather(options, GetForeignServer(server), mapping);
	options->password_required = !superuser_arg(role) && !password_not_required(mapping);
	if (options->password_required && option(options, "password") == NULL)
		return refuse(problem, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
					  pstrdup("a password is required"),
					  "The user mapping of a role that is no superuser must have one, unless a "
					  "superuser gives it the option password_required 'false'.");
	if (option(options, "service") != NULL)
		return refuse(problem, ERRCODE_FEATURE_NOT_SUPPORTED,
					  pstrdup("a node cannot be reached with option \"service\""),
					  "Give the foreign server host, port and dbname.");
	return true;
}

/*
 * A number that is another one if the node is reached in another way.
 */
uint32
dbperf_node_options_hash(const NodeRow *node, const NodeOptions *options)
{
	uint32 hash = 0;

	if (node->server == NULL || node->role == NULL)
		return 0;
	hash = hash_combine(hash, string_hash(node->server, strlen(node->server) + 1));
	hash = hash_combine(hash, string_hash(node->role, strlen(node->role) + 1));
	for (int i = 0; i < options->num; i++)
	{
		const char *keyword = options->keywords[i];
		const char *value = options->values[i];

		hash = hash_combine(hash, string_hash(keyword, strlen(keyword) + 1));
		hash = hash_combine(hash, string_hash(value, strlen(value) + 1));
	}
	return hash;
}

/*
 * Lets libpq know nothing of the environment that the server was started in,
 * which could name other hosts, services and files.  In the poller.
 */
void
dbperf_forget_environment(void)
{
	PQconninfoOption *known;

	/* these two would have files read before the others are known */
	(void) unsetenv("PGSERVICE");
	(void) unsetenv("PGSERVICEFILE");
	known = PQconndefaults();
	if (known == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	for (PQconninfoOption *one = known; one->keyword != NULL; one++)
	{
		if (one->envvar != NULL)
			(void) unsetenv(one->envvar);
	}

	/* it would look for a ticket, and ask a distant server about it */
	if (!is_libpq_option(known, "require_auth"))
	{
		(void) setenv("KRB5CCNAME", "FILE:/dev/null", 1);
		(void) setenv("KRB5_CLIENT_KTNAME", "FILE:/dev/null", 1);
		(void) setenv("KRB5_CONFIG", "/dev/null", 1);
	}
	PQconninfoFree(known);
}
