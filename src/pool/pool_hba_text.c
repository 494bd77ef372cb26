/*-------------------------------------------------------------------------
 *
 * pool_hba_text.c
 *		Gives the clients of the pool the rules of pg_hba.conf about addresses.
 *
 * PgBouncer knows a part of what pg_hba.conf can say, and ignores a line that
 * it does not know, which may let in whom the line was to keep out.  So it gets
 * a file of its own that has only what all its releases know: groups, patterns
 * and interfaces are replaced by what they mean now.
 *
 * Every client has to give a password, also where the server would trust the
 * client: the pool itself must log in to the server.  A line with a method that
 * the pool does not have rejects its clients.  A line for a name of a host
 * cannot be expressed; one that lets clients in is left out, since the lines
 * that follow let nobody in without a password either, and one that rejects
 * them rejects from everywhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/compat.h"
#include "libpq/hba.h"
#include "libpq/ifaddr.h"
#include "pool/pool_config.h"

/* A line that is being written. */
typedef struct RuleText
{
	StringInfo	   text;
	const char	  *type;
	const char	  *method;
	const char	  *databases;
	const char	  *users;
	const HbaLine *line;
} RuleText;

/* ---- names ---- */

/* Whether a name can stand in a line, in quotes. */
static bool
fits_line(const char *name)
{
	return strpbrk(name, "\n\r") == NULL;
}

/* Appends a name in quotes, which take any meaning of its own from it. */
static void
append_name(StringInfo text, const char *name)
{
	if (text->len > 0)
		appendStringInfoChar(text, ',');
	appendStringInfoChar(text, '"');
	for (; *name != '\0'; name++)
	{
		if (*name == '"')
			appendStringInfoChar(text, '"');
		appendStringInfoChar(text, *name);
	}
	appendStringInfoChar(text, '"');
}

/* Whether a list of names has this word. */
static bool
has_keyword(const List *tokens, const char *word)
{
	ListCell *cell;

	foreach (cell, tokens)
	{
		const AuthToken *token = lfirst(cell);

		if (!token->quoted && strcmp(token->string, word) == 0)
			return true;
	}
	return false;
}

/* Whether the databases of a line depend on memberships. */
static bool
has_same_role(const HbaLine *line)
{
	return has_keyword(line->databases, "samerole") || has_keyword(line->databases, "samegroup");
}

/*
 * The roles of a line that may use the pool, and that are, if not NULL, members
 * of a role; "" = none.
 */
static char *
users_text(const PoolRules *rules, const HbaLine *line, const char *members_of)
{
	StringInfoData text;

	if (members_of == NULL && has_keyword(line->roles, "all"))
		return pstrdup("all");
	initStringInfo(&text);
	for (int i = 0; i < rules->roles->num; i++)
	{
		const PoolRole *role = &rules->roles->roles[i];

		if (role->listed && dbperf_pool_rule_has_role(rules, line->roles, role) &&
			(members_of == NULL || dbperf_pool_is_member(rules->roles, role->oid, members_of)))
			append_name(&text, role->name);
	}
	return text.data;
}

/* Appends the databases of this server that a pattern matches. */
static void
append_matching(StringInfo text, const PoolRules *rules, const AuthToken *token)
{
	ListCell *cell;

	foreach (cell, rules->databases)
	{
		const DbperfDatabase *database = lfirst(cell);

		if (fits_line(database->name) && dbperf_auth_token_is(token, database->name))
			append_name(text, database->name);
	}
}

/* The databases of a line, without those that depend on memberships; "" = none. */
static char *
databases_text(const PoolRules *rules, const HbaLine *line)
{
	StringInfoData text;
	ListCell	  *cell;

	if (has_keyword(line->databases, "all"))
		return pstrdup("all");
	initStringInfo(&text);
	foreach (cell, line->databases)
	{
		const AuthToken *token = lfirst(cell);
		const char		*name = token->string;

		if (!token->quoted && strcmp(name, "sameuser") == 0)
			appendStringInfo(&text, "%ssameuser", text.len > 0 ? "," : "");
		else if (!token->quoted &&
				 (strcmp(name, "samerole") == 0 || strcmp(name, "samegroup") == 0 ||
				  strcmp(name, "replication") == 0))
			continue;
		else if (dbperf_auth_token_is_pattern(token))
			append_matching(&text, rules, token);
		else if (fits_line(name))
			append_name(&text, name);
	}
	return text.data;
}

/* ---- addresses ---- */

/* Appends the line for an address and a mask. */
static void
append_line(RuleText *rule, const char *address, const char *mask)
{
	appendStringInfo(rule->text, "%s %s %s %s %s %s\n", rule->type, rule->databases, rule->users,
					 address, mask, rule->method);
}

static void
append_everywhere(RuleText *rule)
{
	append_line(rule, "0.0.0.0", "0.0.0.0");
	append_line(rule, "::", "::");
}

/*
 * Appends the line for an address and a mask.  What the mask leaves out is
 * cleared: the server ignores it, PgBouncer does not.
 */
static void
append_address(RuleText *rule, const struct sockaddr *address, const struct sockaddr *mask)
{
	uint8 bytes[16];
	uint8 mask_bytes[16];
	char  address_text[INET6_ADDRSTRLEN];
	char  mask_text[INET6_ADDRSTRLEN];
	int	  family = address->sa_family;
	int	  size;

	if (family == AF_INET)
	{
		size = 4;
		memcpy(bytes, &((const struct sockaddr_in *) address)->sin_addr, size);
		memcpy(mask_bytes, &((const struct sockaddr_in *) mask)->sin_addr, size);
	}
	else if (family == AF_INET6)
	{
		size = 16;
		memcpy(bytes, &((const struct sockaddr_in6 *) address)->sin6_addr, size);
		memcpy(mask_bytes, &((const struct sockaddr_in6 *) mask)->sin6_addr, size);
	}
	else
		return;
	for (int i = 0; i < size; i++)
		bytes[i] &= mask_bytes[i];
	if (inet_ntop(family, bytes, address_text, sizeof(address_text)) != NULL &&
		inet_ntop(family, mask_bytes, mask_text, sizeof(mask_text)) != NULL)
		append_line(rule, address_text, mask_text);
}

/* Appends the line for the address of one of the machine's interfaces. */
static void
append_interface(struct sockaddr *address, struct sockaddr *mask, void *arg)
{
	RuleText			   *rule = arg;
	struct sockaddr_storage all;

	if (rule->line->ip_cmp_method == ipCmpSameNet)
	{
		append_address(rule, address, mask);
		return;
	}
	if (pg_sockaddr_cidr_mask(&all, NULL, address->sa_family) == 0)
		append_address(rule, address, (struct sockaddr *) &all);
}

/* Appends the line for all its addresses. */
static void
append_addresses(RuleText *rule, StringInfo errors)
{
	const HbaLine *line = rule->line;

	if (line->ip_cmp_method == ipCmpAll)
		append_everywhere(rule);
	else if (line->ip_cmp_method == ipCmpSameHost || line->ip_cmp_method == ipCmpSameNet)
	{
		if (pg_foreach_ifaddr(append_interface, rule) < 0)
			dbperf_pool_complain(errors,
								 "line %d of %s: the addresses of this machine cannot be listed: "
								 "%m",
								 line->linenumber, dbperf_hba_file(line));
	}
	else if (line->hostname == NULL)
		append_address(rule, (const struct sockaddr *) &line->addr,
					   (const struct sockaddr *) &line->mask);
	else if (strcmp(rule->method, "reject") == 0)
		append_everywhere(rule);
}

/* ---- lines ---- */

/* What a type of line is in the pool, NULL = it matches none of its clients. */
static const char *
type_text(ConnType type)
{
	switch (type)
	{
		case ctHost:
		case ctHostNoGSS:
			return "host";
		case ctHostSSL:
			return "hostssl";
		case ctHostNoSSL:
			return "hostnossl";
		default:
			return NULL;
	}
}

/* What a method is in the pool; says so if it is not what the line says. */
static const char *
method_text(const HbaLine *line, StringInfo errors)
{
	const char *method = "reject";

	switch (line->auth_method)
	{
		case uaReject:
			return method;
		case uaTrust:
		case uaMD5:
		case uaPassword:
			method = "md5";
			break;
		case uaSCRAM:
			method = "scram-sha-256";
			break;
		default:
			dbperf_pool_complain(errors,
								 "line %d of %s: the pool does not have the method %s, and rejects "
								 "the clients",
								 line->linenumber, dbperf_hba_file(line),
								 hba_authname(line->auth_method));
			return method;
	}
	if (line->clientcert == clientCertOff)
		return method;
	dbperf_pool_complain(errors,
						 "line %d of %s: the pool cannot check client certificates, and rejects "
						 "the clients",
						 line->linenumber, dbperf_hba_file(line));
	return "reject";
}

/* Says what becomes of a line for a name of a host. */
static void
complain_of_name(const RuleText *rule, StringInfo errors)
{
	const char *what = "leaves the line out";

	if (rule->line->hostname == NULL)
		return;
	if (strcmp(rule->method, "reject") == 0)
		what = "rejects the clients wherever they come from";
	dbperf_pool_complain(errors, "line %d of %s: the pool does not know names of hosts, and %s",
						 rule->line->linenumber, dbperf_hba_file(rule->line), what);
}

/*
 * Appends one line for each database that is called like a role, for the
 * members of that role.
 */
static void
append_same_role(const PoolRules *rules, RuleText *rule, StringInfo errors)
{
	ListCell *cell;

	if (!has_same_role(rule->line))
		return;
	foreach (cell, rules->databases)
	{
		const DbperfDatabase *database = lfirst(cell);
		StringInfoData		  name;

		if (!fits_line(database->name) || dbperf_pool_role(rules->roles, database->name) == NULL)
			continue;
		initStringInfo(&name);
		append_name(&name, database->name);
		rule->databases = name.data;
		rule->users = users_text(rules, rule->line, database->name);
		if (rule->users[0] != '\0')
			append_addresses(rule, errors);
	}
}

/*
 * The rules for the pool's clients, palloc'd.  Without any nobody gets in.
 */
char *
dbperf_pool_hba_text(const PoolRules *rules, StringInfo errors)
{
	StringInfoData text;
	ListCell	  *cell;

	initStringInfo(&text);
	foreach (cell, rules->lines)
	{
		const HbaLine *line = lfirst(cell);
		RuleText	   rule = {.text = &text, .line = line, .type = type_text(line->conntype)};

		rule.databases = databases_text(rules, line);
		rule.users = users_text(rules, line, NULL);
		if (rule.type == NULL || rule.users[0] == '\0' ||
			(rule.databases[0] == '\0' && !has_same_role(line)))
			continue;
		rule.method = method_text(line, errors);
		complain_of_name(&rule, errors);
		if (rule.databases[0] != '\0')
			append_addresses(&rule, errors);
		append_same_role(rules, &rule, errors);
	}
	return text.data;
}
