/*-------------------------------------------------------------------------
 *
 * cluster_int.h
 *		What the files share that work on many servers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CLUSTER_INT_H
#define DBPERF_CLUSTER_INT_H

#include "cluster/cluster.h"
#include "core/central.h"
#include "core/core.h"
#include "lib/stringinfo.h"
#include "storage/condition_variable.h"

DBPERF_PRIVATE_BEGIN

#define NODES_TABLE "nodes"
#define LOCAL_NODE "local" /* this server, in the views */

/* What a node tells of one index that it has scanned. */
typedef struct NodeIndexUse
{
	Oid	   index;
	uint32 scans; /* PG_UINT32_MAX = so many or more */
} NodeIndexUse;

#define NODE_MAX_USED 8192

/* The answers that are rows of views, as a jsonb array's text each. */
typedef enum NodePart
{
	PART_SLOW_QUERIES,
	PART_QUERY_LATENCY,
	PART_INDEX_USAGE,
	PART_HEALTH
} NodePart;

#define NODE_PARTS 4
#define NODE_BYTES (256 * 1024)		/* of all parts of a node */
#define NODE_PART_BYTES (64 * 1024) /* that a node sends of one part: more than it is asked for */

#define NODE_ADDRESS_LEN 64

typedef enum NodeState
{
	NODE_NEW, /* not asked yet */
	NODE_REACHED,
	NODE_UNREACHED
} NodeState;

typedef struct NodePartAnswer
{
	int	 start; /* in data */
	int	 len;
	char problem[128]; /* why there is none, "" = there is one */
} NodePartAnswer;

/*
 * A node as its last answer shows it.  Texts are in the encoding of the database
 * that the poller was connected to.
 */
typedef struct NodeFacts
{
	char		name[NAMEDATALEN];
	char		server[NAMEDATALEN];
	char		role[NAMEDATALEN]; /* whose user mapping is used */
	uint32		options;		   /* a hash of what it is reached with */
	NodeState	state;
	TimestampTz asked;	  /* the last time */
	TimestampTz answered; /* the last time that it did, 0 = never */
	char		error[256];

	/* the rest is of that time */
	uint64		system_id; /* 0 = not known */
	bool		is_this_server;
	bool		in_recovery;
	int			port;
	int64		started; /* microseconds since 1970, by its own clock */
	char		database[NAMEDATALEN];
	char		server_version[64];
	char		dbperf_version[32]; /* "" = not installed */
	double		lag_seconds;		/* -1 = not known */
	int64		lag_bytes;			/* the same */
	TimestampTz counting_since;		/* by our clock; 0 = not known */
	TimestampTz receiver_since;		/* its WAL receiver's start, by our clock; 0 = not known */
	char		receiver_slot[NAMEDATALEN]; /* "" = none */
	int			sender_port;				/* of whom it receives from */
	char		address[NODE_ADDRESS_LEN];	/* that it was reached at, "" = a socket */
	bool		used_is_complete;			/* no index was left out of "used" */
	int			num_used;

	NodePartAnswer parts[NODE_PARTS];
} NodeFacts;

/* A node in shared memory. */
typedef struct NodeSlot
{
	NodeFacts	 facts;
	NodeIndexUse used[NODE_MAX_USED]; /* ordered by index */
	char		 data[NODE_BYTES];
} NodeSlot;

/*
 * All fields are under CLUSTER_LOCK, empty_in and the condition variable apart.
 * Only the poller writes; readers copy what they want, and allocate before they
 * lock.
 */
typedef struct ClusterShared
{
	pg_atomic_uint32  empty_in; /* database known to have no nodes: its name's hash, 0 = none */
	uint64			  rounds_begun;
	uint64			  rounds_done;
	ConditionVariable round_done;
	int				  encoding; /* of all texts */
	int				  max_nodes;
	int				  num_nodes;
	int				  left_out; /* rows of the table beyond max_nodes */
	NodeSlot		  nodes[FLEXIBLE_ARRAY_MEMBER];
} ClusterShared;

/* ---- cluster.c ---- */
extern ClusterShared *dbperf_cluster;
extern LWLockPadded	 *dbperf_cluster_locks;
extern int			  dbperf_max_nodes;
extern int			  dbperf_node_timeout;
extern int			  dbperf_node_poll_interval;
extern int			  dbperf_node_duty;

#define CLUSTER_LOCK (&dbperf_cluster_locks->lock)

extern bool	  dbperf_cluster_request(void);
extern uint32 dbperf_cluster_database_hash(const char *database);

/* ---- node_row.c ---- */

/* A row of the table. */
typedef struct NodeRow
{
	char *name;
	char *server;
	char *role;
} NodeRow;

extern bool
dbperf_node_row(HeapTuple row, TupleDesc desc, NodeRow *node, DbperfRowProblem *problem);

/* ---- node_options.c ---- */

/*
 * What a node is reached with.  keywords and values end with a NULL; nothing of
 * this leaves the poller.
 */
typedef struct NodeOptions
{
	int			 num;
	const char **keywords;
	const char **values;
	bool		 password_required; /* it must be asked for, and be the mapping's */
} NodeOptions;

extern bool dbperf_node_server(const char *server, Oid role, Oid *oid, DbperfRowProblem *problem);
extern bool
dbperf_node_options(const NodeRow *node, NodeOptions *options, DbperfRowProblem *problem);
extern uint32 dbperf_node_options_hash(const NodeRow *node, const NodeOptions *options);
extern void	  dbperf_forget_environment(void);

/* ---- node_lookup.c ---- */

/* Addresses that are being looked up by a child process. */
typedef struct NodeLookup
{
	pid_t pid; /* 0 = none */
	int	  fd;
	int	  len;
	char  said[4096];
} NodeLookup;

extern bool dbperf_lookup_needed(const NodeOptions *options);
extern bool dbperf_lookup_begin(NodeLookup *lookup, const NodeOptions *options);
extern bool dbperf_lookup_advance(NodeLookup *lookup);
extern bool
dbperf_lookup_take(const NodeLookup *lookup, NodeOptions *options, char *error, size_t size);
extern void dbperf_lookup_end(NodeLookup *lookup);

/* ---- node_questions.c ---- */
extern const char *const dbperf_part_names[NODE_PARTS];
extern const char		*dbperf_part_check(NodePart part);
extern char				*dbperf_identity_question(int timeout_ms);
extern char				*dbperf_usage_question(int timeout_ms);
extern char				*dbperf_part_question(NodePart part, int timeout_ms);

/* ---- node_answers.c ---- */

/* What a node has said so far, unchecked; in memory of the round. */
typedef struct NodeAnswers
{
	int	  encoding; /* of its database */
	char *parts[NODE_PARTS];
} NodeAnswers;

struct pg_result;
extern bool
dbperf_peek_identity(const struct pg_result *result, bool *is_replica, const char **refusals);
extern bool	 dbperf_take_identity(const struct pg_result *result, int encoding, TimestampTz heard,
								  NodeFacts *facts);
extern bool	 dbperf_take_usage(const struct pg_result *result, NodeSlot *slot);
extern char *dbperf_take_part(const struct pg_result *result);
extern void	 dbperf_keep_answers(NodeSlot *slot, const NodeAnswers *answers);
extern void	 dbperf_put_text(char *to, size_t size, const char *from, int encoding);

/* ---- node_status_sql.c ---- */
extern NodeFacts *dbperf_copy_facts(int *num, int *encoding);
extern bool		  dbperf_node_is_fresh(const NodeFacts *facts);

/* ---- replica_use.c ---- */
extern bool dbperf_node_same_server(const NodeFacts *a, const NodeFacts *b);

/* ---- replica_standbys.c ---- */
extern void
dbperf_note_unasked_standbys(const NodeFacts **asked, int num_asked, StringInfo unasked);

/* ---- cluster_metrics.c ---- */
extern void dbperf_cluster_metrics_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_CLUSTER_INT_H */
