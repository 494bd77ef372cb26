/*-------------------------------------------------------------------------
 *
 * index_build.h
 *		Builds of advised indexes: what sessions and workers share.
 *
 * What is to be built stands in the table index_build_queue, written by the
 * transaction that asked for it.  A manager, sent by the launcher, looks into
 * it and starts a build worker.  The build runs with the rights of the role
 * that asked for it; the slot in shared memory says how it goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_INDEX_BUILD_H
#define DBPERF_INDEX_BUILD_H

#include "advisor/index_def.h"
#include "advisor/store.h"
#include "datatype/timestamp.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

#define BUILD_SLOTS 4
#define BUILD_TABLE_NAME_SIZE (4 * NAMEDATALEN + 8) /* both quoted */

typedef enum BuildState
{
	BUILD_STARTING,
	BUILD_LOCKING,
	BUILD_BUILDING,
	BUILD_ATTACHING,
	BUILD_CLEANING, /* dropping an INVALID index */
	BUILD_FINISHING /* cannot be canceled any more */
} BuildState;

/* One build, under the area's only lock. */
typedef struct BuildSlot
{
	Oid			database; /* InvalidOid = unused */
	char		database_name[NAMEDATALEN];
	int64		id;	 /* of the advice */
	int			pid; /* of the worker, 0 = not there yet */
	bool		cleanup;
	Oid			role;	 /* whose rights the build has */
	Oid			connect; /* the role that connects, which can log in */
	TimestampTz reserved;
	TimestampTz requested;
	TimestampTz started; /* 0 = not yet */
	BuildState	state;
	char		table[BUILD_TABLE_NAME_SIZE];
	char		index[NAMEDATALEN];
	Oid			tablespace;
	int64		index_bytes; /* estimated, -1 = unknown */
	int64		table_bytes;
	int			partitions_done;
	int			partitions_total;
	char		canceled_by[NAMEDATALEN]; /* "" = nobody */
} BuildSlot;

typedef struct BuildShared
{
	BuildSlot slots[BUILD_SLOTS];
} BuildShared;

extern BuildShared	*dbperf_builds;
extern LWLockPadded *dbperf_build_locks;
extern int			 dbperf_build_duty;

#define BUILD_LOCK (&dbperf_build_locks->lock)

/* build_space.c */
extern Oid	dbperf_build_tablespace(void);
extern void dbperf_build_check_space(Oid tablespace, int64 index_bytes);

/* index_build.c */
extern bool dbperf_build_role_can_login(Oid role);

/* build_steps.c */

/* What a build has to do next. */
typedef enum BuildAction
{
	BUILD_DONE,
	BUILD_CREATE,	   /* CREATE INDEX CONCURRENTLY */
	BUILD_CREATE_ONLY, /* CREATE INDEX ON ONLY a partitioned table */
	BUILD_ATTACH	   /* a partition's index to that of its parent */
} BuildAction;

typedef struct BuildStep
{
	BuildAction action;
	Oid			table;
	char	   *schema_name;
	char	   *table_name;
	char	   *index_name; /* to be created; of the whole if it is done */
	char	   *command;
	int			partitions_done;
	int			partitions_total;
} BuildStep;

extern IndexDef *dbperf_build_parse(const char *identity);
extern void		 dbperf_build_next_step(const IndexDef *def, BuildStep *step);
extern char		*dbperf_build_leftover(const IndexDef *def, const char *schema, const char *table,
									   const char *index, Oid *relid);

DBPERF_PRIVATE_END

#endif /* DBPERF_INDEX_BUILD_H */
