/*-------------------------------------------------------------------------
 *
 * monitor_int.h
 *		What the files of the monitor share with each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MONITOR_INT_H
#define DBPERF_MONITOR_INT_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "executor/instrument.h"
#include "lib/stringinfo.h"
#include "monitor/ring.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "port/atomics.h"

DBPERF_PRIVATE_BEGIN

/* ---- settings (monitor.c) ---- */

typedef enum TrackMode
{
	TRACK_NONE,
	TRACK_TOP,
	TRACK_ALL
} TrackMode;

typedef enum PlanCapture
{
	PLAN_CAPTURE_OFF,
	PLAN_CAPTURE_PLAN,	  /* EXPLAIN at the end of a slow statement */
	PLAN_CAPTURE_ROWS,	  /* every statement counts rows per node */
	PLAN_CAPTURE_TIMING,  /* every statement is timed per node */
	PLAN_CAPTURE_ADAPTIVE /* instrument what is expensive or was slow */
} PlanCapture;

typedef enum RedactMode
{
	REDACT_OFF,
	REDACT_LITERALS,   /* constants in texts and plans */
	REDACT_PARAMETERS, /* values of parameters */
	REDACT_ALL		   /* both */
} RedactMode;

extern int	  dbperf_slow_query_min_duration; /* ms; -1 off, 0 everything */
extern int	  dbperf_track;					  /* TrackMode */
extern int	  dbperf_plan_capture;			  /* PlanCapture */
extern int	  dbperf_redact;				  /* RedactMode */
extern int	  dbperf_max_query_length;		  /* bytes */
extern int	  dbperf_max_parameter_length;	  /* bytes, of one value */
extern int	  dbperf_max_plan_length;		  /* bytes */
extern int	  dbperf_slow_query_ring_size;	  /* kB */
extern int	  dbperf_slow_query_ring_entries;
extern int	  dbperf_slow_query_max_rate; /* per second and backend, 0 = no limit */
extern int	  dbperf_max_queries;
extern int	  dbperf_latency_window; /* seconds */
extern double dbperf_instrument_cost;
extern int	  dbperf_wait_sampling_interval; /* ms, 0 = off */
extern bool	  dbperf_log_slow_queries;
extern int	  dbperf_slow_query_history_retention; /* minutes, 0 = off */
extern int	  dbperf_slow_query_history_size;	   /* MB */

#define REDACTS_LITERALS() (dbperf_redact == REDACT_LITERALS || dbperf_redact == REDACT_ALL)
#define REDACTS_PARAMETERS() (dbperf_redact == REDACT_PARAMETERS || dbperf_redact == REDACT_ALL)

/* ---- one record of the ring (record.c builds, record_sql.c shows) ---- */

#define RECORD_MAX_WAITS 16
#define RECORD_MAX_BLOCKERS 8
#define RECORD_MAX_RELATIONS 32

/* One wait event of a statement, and how often the sampler met it. */
typedef struct WaitCount
{
	uint32 event; /* as in PGPROC.wait_event_info */
	uint32 samples;
} WaitCount;

typedef struct RecordWaits
{
	uint32	  interval_us; /* between two samples when they were taken */
	uint16	  nwaits;
	uint16	  nblockers;
	WaitCount waits[RECORD_MAX_WAITS];
	int32	  blockers[RECORD_MAX_BLOCKERS]; /* process ids */
} RecordWaits;

#define RECORD_UNKNOWN (-1) /* an int64 of a record that was not measured */

/*
 * The fixed part of a record.  The variable parts follow in this order, each
 * as long as its length says: query, plan, params, tags, relations.
 *
 * params is a sequence of {Oid type; int32 len; char value[len]}, unaligned,
 * len -1 for a NULL.  tags is a sequence of key '\0' value '\0'.  relations is
 * a sequence of OIDs, unaligned: the tables in the plan, RECORD_MAX_RELATIONS at
 * most.
 */
typedef struct SlowRecord
{
	TimestampTz started_at;
	uint64		queryid; /* 0 = none was computed */
	uint64		parent_queryid;
	uint64		plan_id; /* 0 = no plan */
	int64		duration_ns;
	int64		pre_execution_ns; /* RECORD_UNKNOWN below the top level */
	int64		planning_ns;
	int64		jit_ns;
	int64		cpu_ns; /* RECORD_UNKNOWN if not measured */
	int64		rows;
	int64		shared_blks_hit;
	int64		shared_blks_read;
	int64		shared_blks_dirtied;
	int64		shared_blks_written;
	int64		local_blks_hit;
	int64		local_blks_read;
	int64		local_blks_dirtied;
	int64		local_blks_written;
	int64		temp_blks_read;
	int64		temp_blks_written;
	int64		blk_read_ns;
	int64		blk_write_ns;
	int64		wal_records;
	uint64		wal_bytes;
	Oid			dbid;
	Oid			userid;
	int32		pid;
	int32		level;			/* 0 = sent by a client */
	int32		sqlstate;		/* 0 = success, else as in MAKE_SQLSTATE */
	int32		encoding;		/* of all texts below */
	int32		query_full_len; /* before it was cut */
	int32		query_len;
	int32		plan_len;
	int32		params_len;
	int32		nparams; /* -1 = the statement has none recorded */
	int32		tags_len;
	int32		relations_len;
	int32		work_mem_kb; /* the setting at its end */
	uint8		addr_family; /* AF_INET, AF_INET6 or 0: no network address */
	uint8		addr[16];	 /* network byte order */
	char		command[32]; /* command tag */
	char		application_name[NAMEDATALEN];
	RecordWaits waits;
} SlowRecord;

/* Where the variable parts start; all pointers into the record's bytes. */
typedef struct RecordParts
{
	const SlowRecord *head;
	const char		 *query;
	const char		 *plan;
	const char		 *params;
	const char		 *tags;
	const char		 *relations;
} RecordParts;

/* ring of slow statements, set when shared memory is attached */
extern DbperfRing *dbperf_slow_ring;

/* ---- per-backend state in shared memory (backend_slot.c) ---- */

#define RUNNING_PLAN_SIZE 16384

/*
 * What others may know of the statement that a process runs now.  One slot a
 * process, found by its place in ProcGlobal->allProcs.
 *
 * statement is odd while a top-level statement runs and goes up by one at its
 * start and at its end; only the owner writes it.  When an error ends what
 * would have become a statement before it was started (in parse analysis, for
 * example), the owner adds two, so that the next statement does not get the
 * waits of that one; see dbperf_slot_skip_statement().
 *
 * The first group is written by the owner only, between
 * dbperf_slot_begin_change() and dbperf_slot_end_change(), which make change
 * odd and even again; a reader retries if it was odd or has moved meanwhile.
 *
 * The second group is written by the wait sampler only.  Within a statement it
 * only adds: a wait or a blocker is complete before nwaits or nblockers covers
 * it, and samples only go up.  To begin with another statement it sets
 * sampled_statement to 0, clears the group, and then sets sampled_statement.
 * So a reader that finds the statement it wants in sampled_statement before
 * and after has a copy of that statement's waits.
 */
typedef struct BackendSlot
{
	pg_atomic_uint64 statement;

	/* first group: the owner's */
	pg_atomic_uint32 change;
	int32			 pid;			 /* 0 = no process */
	uint64			 plan_statement; /* the statement that the others belong to */
	uint64			 queryid;
	TimestampTz		 started_at;
	int32			 plan_len;

	/* second group: the sampler's */
	pg_atomic_uint64 sampled_statement;
	RecordWaits		 sampled;

	/* of the first group; last, so that the rest lies close together */
	char plan[RUNNING_PLAN_SIZE];
} BackendSlot;

/* A consistent copy of a slot for those who show it. */
typedef struct BackendSlotView
{
	int32		pid;
	uint64		queryid; /* these two are 0 unless a plan was published */
	TimestampTz started_at;
	uint32		wait_event; /* as in PGPROC.wait_event_info, now */
	RecordWaits waits;		/* sampled so far */
	int32		plan_len;	/* 0 = no plan was published */
} BackendSlotView;

/* backend_slot.c */
extern BackendSlot *dbperf_backend_slots; /* MaxBackends of them, or NULL */
extern int			dbperf_num_backend_slots;
extern BackendSlot *dbperf_my_slot; /* NULL until claimed, or if there is none */
extern void			dbperf_backend_slot_init(void);
extern void			dbperf_backend_slot_claim(void);
extern void dbperf_publish_plan(const char *plan, int len, uint64 queryid, TimestampTz started_at);
extern bool dbperf_backend_slot_read(int n, BackendSlotView *view, char *plan);

/*
 * Before the owner changes fields of the first group of its slot.  There must
 * be no error and no nesting until dbperf_slot_end_change().
 */
static inline void
dbperf_slot_begin_change(BackendSlot *slot)
{
	pg_atomic_write_u32(&slot->change, pg_atomic_read_u32(&slot->change) + 1);
	pg_write_barrier();
}

/* After the owner has changed them. */
static inline void
dbperf_slot_end_change(BackendSlot *slot)
{
	pg_write_barrier();
	pg_atomic_write_u32(&slot->change, pg_atomic_read_u32(&slot->change) + 1);
}

/*
 * To be called at the abort of a transaction, when no statement runs: waits
 * that were met before a statement could start belong to none.
 */
static inline void
dbperf_slot_skip_statement(BackendSlot *slot)
{
	uint64 statement = pg_atomic_read_u64(&slot->statement);

	if (statement % 2 == 0)
		pg_atomic_write_u64(&slot->statement, statement + 2);
}

/* waits.c */

/* 1 while the sampler sleeps without a timeout; never NULL. */
extern pg_atomic_uint32 *dbperf_waits_asleep_flag;

extern void dbperf_waits_init(void);
extern void dbperf_waits_wake(void);
extern void dbperf_waits_copy(RecordWaits *into);
extern bool dbperf_waits_read(BackendSlot *slot, uint64 statement, RecordWaits *into);

/* ---- metrics (monitor_metrics.c) ---- */

extern void dbperf_monitor_metrics_init(bool preloaded);

/* ---- history (history.c) ---- */

typedef enum HistoryState
{
	HISTORY_OFF,		/* retention is 0, or the worker never ran */
	HISTORY_CONNECTING, /* or the connection failed */
	HISTORY_RUNNING,
	HISTORY_NO_EXTENSION, /* not created in the database */
	HISTORY_NO_TABLE,	  /* the SQL side is older than the library */
	HISTORY_READ_ONLY,
	HISTORY_FAILED /* see error */
} HistoryState;

/* What the writer says about itself; a copy is taken under the area's lock. */
typedef struct HistoryStatus
{
	HistoryState state;
	TimestampTz	 since;		   /* of the state */
	int			 pid;		   /* of the worker */
	uint64		 rows_written; /* since the server was started */
	uint64		 records_lost; /* ids that were gone before they were written */
	uint64		 last_id;	   /* the last id that was dealt with */
	int64		 bytes;		   /* in the table, as far as known */
	int			 encoding;	   /* of error */
	char		 database[NAMEDATALEN];
	char		 error[256]; /* message of the last error, "" = none */
} HistoryStatus;

/* history.c */
extern void dbperf_history_init(void);

/* history_status.c */
extern bool	 dbperf_history_status(HistoryStatus *status);
extern char *dbperf_history_state_text(const HistoryStatus *status);

/* ---- texts (redact.c, tags.c): none of these allocates or raises errors ---- */

/* redact.c */
extern Size
dbperf_mask_query(char *dst, Size dstsize, const char *src, Size srclen, bool all, int encoding);
extern Size dbperf_mask_plan(char *dst, Size dstsize, const char *src, Size srclen, int encoding);

/* tags.c */
extern Size dbperf_parse_tags(char *dst, Size dstsize, const char *src, Size srclen);

/* ---- plans (plan.c, plan_outline.c) ---- */

/* What a walk over a finished plan finds, before anything is printed. */
typedef struct PlanFacts
{
	uint64 plan_id;		  /* hash of its structure, never 0 */
	int	   nodes;		  /* plan nodes, subplans included */
	Size   constant_size; /* bytes of the largest constant */
} PlanFacts;

/*
 * plan.c
 *
 * None of these allocates or reads catalogs.  dbperf_plan_inspect raises an error
 * if a plan or an expression is nested too deeply for the stack; the others raise
 * none.
 */
extern Index  dbperf_scanned_rti(Plan *plan);
extern Oid	  dbperf_scanned_index(Plan *plan, ScanDirection *dir);
extern void	  dbperf_plan_inspect(PlannedStmt *stmt, PlanFacts *facts);
extern uint64 dbperf_plan_id(PlannedStmt *stmt);

/* plan_outline.c */
extern void dbperf_plan_structure(PlannedStmt *stmt, StringInfo out);

DBPERF_PRIVATE_END

#endif /* DBPERF_MONITOR_INT_H */
