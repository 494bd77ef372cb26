/*-------------------------------------------------------------------------
 *
 * maint_blockers.h
 *		Who keeps vacuum from removing dead rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_BLOCKERS_H
#define DBPERF_MAINT_BLOCKERS_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "maintenance/maint_plan.h"
#include "nodes/pg_list.h"

DBPERF_PRIVATE_BEGIN

typedef enum MaintBlockerKind
{
	BLOCKER_PROCESS,  /* a client's session, or a worker */
	BLOCKER_STANDBY,  /* a walsender that has a standby's feedback and no slot */
	BLOCKER_PREPARED, /* a prepared transaction */
	BLOCKER_SLOT,	  /* a replication slot */
	BLOCKER_SETTING	  /* vacuum_defer_cleanup_age */
} MaintBlockerKind;

/* Whose dead rows stay, as the current database sees it; shared tables' always do. */
typedef enum MaintAffects
{
	AFFECTS_DATABASE,  /* this database's */
	AFFECTS_ALL,	   /* all databases' */
	AFFECTS_SNAPSHOTS, /* those of any database in which a snapshot is taken meanwhile */
	AFFECTS_CATALOGS,  /* system catalogs' of all databases */
	AFFECTS_SHARED,	   /* only shared tables' (and those of its own database) */
	AFFECTS_PRIMARY,   /* on a standby: the primary's, by hot_standby_feedback */
	AFFECTS_REPLAY	   /* on a standby: replay of what vacuum did may wait */
} MaintAffects;

/* Somebody who needs old row versions.  Texts are allocated or constant. */
typedef struct MaintBlocker
{
	MaintBlockerKind kind;
	int				 pid;		 /* 0 = none */
	const char		*name;		 /* gid, slot, standby or worker; NULL = none */
	const char		*state;		 /* as in pg_stat_activity; NULL = not known */
	bool			 idle;		 /* an open transaction that waits for its client */
	Oid				 database;	 /* InvalidOid = none */
	Oid				 role;		 /* the same */
	TimestampTz		 since;		 /* it holds since then, 0 = not known */
	TimestampTz		 idle_since; /* of an idle one, else 0 */
	TransactionId	 xid;		 /* the oldest that it needs */
	TransactionId	 own_xid;	 /* that it writes with */
	const char		*source;	 /* what xid is: xid, xmin or catalog_xmin */
	MaintAffects	 affects;
	bool			 holds; /* the horizon that was asked for is this one's */
} MaintBlocker;

/* maint_blockers.c */
extern List *dbperf_maint_blockers(MaintHorizon horizon, TransactionId *oldest);

/* maint_remedy.c */
extern const char *dbperf_maint_blocker_kind(const MaintBlocker *blocker);
extern const char *dbperf_maint_blocker_affects(const MaintBlocker *blocker);
extern char		  *dbperf_maint_blocker_remedy(const MaintBlocker *blocker);
extern char		  *dbperf_maint_blocker_sentence(const MaintBlocker *blocker);

/* maint_xid_rate.c */
extern TimestampTz dbperf_maint_xid_time(TransactionId xid);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_BLOCKERS_H */
