/*-------------------------------------------------------------------------
 *
 * pool_config.h
 *		What the files share that write the configuration of PgBouncer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_CONFIG_H
#define DBPERF_POOL_CONFIG_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "core/central.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "pool/pool_int.h"

DBPERF_PRIVATE_BEGIN

/* ---- pool_limits.c, pool_limits_row.c, pool_limits_sql.c ---- */

#define POOL_DATABASES_TABLE "pool_databases"
#define POOL_ROLES_TABLE "pool_roles"

/* Rows that count of each of the two tables. */
#define POOL_MAX_LIMITS 256

/* A row; -1 and POOL_MODE_DEFAULT are what the settings say. */
typedef struct PoolLimit
{
	char name[NAMEDATALEN];
	int	 mode;
	int	 size;
	int	 min_size;	  /* of a database only */
	int	 reserve;	  /* of a database only */
	int	 max_servers; /* of all pools of the database or role */
	int	 max_clients; /* the same */
} PoolLimit;

typedef struct PoolLimits
{
	int		  num_databases;
	int		  num_roles;
	PoolLimit databases[POOL_MAX_LIMITS];
	PoolLimit roles[POOL_MAX_LIMITS];
} PoolLimits;

extern PoolLimits	   *dbperf_pool_limits(StringInfo errors);
extern bool				dbperf_pool_limits_changed(void);
extern void				dbperf_pool_limits_touched(void);
extern void				dbperf_pool_set_socket_base(const char *base);
extern char			   *dbperf_pool_socket_base(void);
extern const PoolLimit *dbperf_pool_limit_of(const PoolLimit *limits, int n, const char *name);
extern bool dbperf_pool_parse_limit(HeapTuple row, TupleDesc desc, bool of_role, PoolLimit *limit,
									DbperfRowProblem *problem);

/* ---- pool_auth.c ---- */

typedef struct PoolRole
{
	Oid	  oid;
	char  name[NAMEDATALEN];
	bool  listed; /* in the auth file: may log in to the pool */
	char *secret; /* NULL = has none */
} PoolRole;

typedef struct PoolMember
{
	Oid role;
	Oid member; /* directly */
} PoolMember;

typedef struct PoolRoles
{
	PoolRole   *roles;
	int			num;
	PoolMember *members;
	int			num_members;
	TimestampTz next_expiry; /* DT_NOEND = never */
	uint32		changes;	 /* pool_auth.c's own */
} PoolRoles;

extern PoolRoles	  *dbperf_pool_read_roles(StringInfo errors);
extern void			   dbperf_pool_roles_written(const PoolRoles *roles);
extern const PoolRole *dbperf_pool_role(const PoolRoles *roles, const char *name);
extern bool			   dbperf_pool_is_member(const PoolRoles *roles, Oid member, const char *role);
extern char			  *dbperf_pool_auth_text(const PoolRoles *roles);

/* ---- pool_hba.c, pool_hba_text.c ---- */

/* The rules of pg_hba.conf, and what they are matched with. */
typedef struct PoolRules
{
	List			*lines; /* HbaLine, NIL = could not be read */
	const PoolRoles *roles;
	List			*databases; /* DbperfDatabase */
} PoolRules;

extern void dbperf_pool_read_rules(PoolRules *rules, StringInfo errors);
extern bool
dbperf_pool_rule_has_role(const PoolRules *rules, const List *tokens, const PoolRole *role);
extern bool	 dbperf_pool_rule_has_database(const PoolRules *rules, const List *tokens,
										   const char *database, const PoolRole *role);
extern void	 dbperf_pool_check_rules(const PoolRules *rules, StringInfo errors);
extern char *dbperf_pool_hba_text(const PoolRules *rules, StringInfo errors);

/* ---- pool_evict.c ---- */
extern void dbperf_pool_evict_others(const PoolLaunch *launch, const PoolRoles *roles);
extern void dbperf_pool_evict_nobody(void);
extern void dbperf_pool_hold_names(PoolRoles *roles);
extern bool dbperf_pool_evict(void);

/* ---- pool_tls.c ---- */
extern void dbperf_pool_append_tls(StringInfo text, StringInfo errors);

/* ---- pool_files.c ---- */
extern void		   dbperf_pool_make_directories(const PoolLaunch *launch);
extern const char *dbperf_pool_auth_path(void);
extern const char *dbperf_pool_hba_path(void);
extern bool		   dbperf_pool_write_file(const char *path, const char *text);

/* ---- pool_ini.c ---- */

/* What one writing of all files works with. */
typedef struct PoolWriting
{
	const PoolLaunch *launch;
	const PoolLimits *limits;
	const PoolRoles	 *roles;
	char			 *server; /* host= and port= */
	StringInfoData	  errors;
} PoolWriting;

extern char *dbperf_pool_server_address(void);
extern char *dbperf_pool_ini_text(PoolWriting *writing, int process);
extern void	 dbperf_pool_forget_entries(void);

/* ---- pool_config.c ---- */
extern void
dbperf_pool_complain(StringInfo errors, const char *format, ...) pg_attribute_printf(2, 3);
extern bool dbperf_pool_plain_text(const char *text);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_CONFIG_H */
