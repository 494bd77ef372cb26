/*-------------------------------------------------------------------------
 *
 * cluster.h
 *		Public face of the work on many servers: nodes, and what they told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CLUSTER_H
#define DBPERF_CLUSTER_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

DBPERF_PRIVATE_BEGIN

/* cluster.c */
extern void dbperf_cluster_init(void);

/* ---- replica_use.c ---- */

/* What the servers that replay this one's WAL say of an index. */
typedef enum DbperfReplicaUse
{
	REPLICAS_NONE,	  /* there are none, as far as is known */
	REPLICAS_UNUSED,  /* all of them were asked, and none has scanned it for long enough */
	REPLICAS_USED,	  /* some have scanned it */
	REPLICAS_UNKNOWN, /* some were not asked, or know too little */
} DbperfReplicaUse;

typedef struct DbperfReplicas DbperfReplicas;

extern DbperfReplicas  *dbperf_replicas(void);
extern DbperfReplicaUse dbperf_replica_use(const DbperfReplicas *replicas, const List *indexes,
										   TimestampTz unused_before, char **evidence);

DBPERF_PRIVATE_END

#endif /* DBPERF_CLUSTER_H */
