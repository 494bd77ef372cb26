/*-------------------------------------------------------------------------
 *
 * track.h
 *		What the monitor keeps of a statement while it runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_TRACK_H
#define DBPERF_TRACK_H

#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/monitor_int.h"

DBPERF_PRIVATE_BEGIN

typedef struct TrackedStatement
{
	LatencySlot *slot; /* its query's histogram, while it has slot_generation */
	uint64		 slot_generation;
	int64		 pre_ns; /* time before it, RECORD_UNKNOWN below the top level */
	int64		 planning_ns;
	int64		 rows;		  /* processed so far */
	Oid			 userid;	  /* whose rights it runs with */
	bool		 has_pre;	  /* pre_ns is known */
	bool		 done;		  /* counted, and recorded if it was slow */
	bool		 counts_rows; /* the monitor asked for instrumentation */
	bool		 has_usage;	  /* buffers and wal have been set */
	bool		 usage_added; /* they include what the last part used */
	BufferUsage	 buffers;	  /* its own, see has_usage */
	WalUsage	 wal;
	char		*saved_text; /* masked text of a cursor, or NULL */
	int			 saved_len;
	int			 saved_full_len;
} TrackedStatement;

/* dbperf.slow_query_min_duration in nanoseconds, PG_INT64_MAX when it is off */
extern int64 dbperf_min_duration_ns;

/* track.c */
extern Size dbperf_track_offset;

extern void dbperf_track_init(void);
extern void dbperf_track_follow(int track);
extern void dbperf_track_ask(void);
extern void dbperf_track_first(void);
extern void dbperf_track_usage(DbperfStatement *stmt);

/* The monitor's part of a statement. */
static inline TrackedStatement *
dbperf_tracked(DbperfStatement *stmt)
{
	return dbperf_statement_data(stmt, dbperf_track_offset);
}

/*
 * Whether a statement took long, in execution or, at the top level, before it.
 */
static inline bool
dbperf_is_slow(const DbperfStatement *stmt, const TrackedStatement *tracked)
{
	return stmt->elapsed_ns >= dbperf_min_duration_ns || tracked->pre_ns >= dbperf_min_duration_ns;
}

/* clock.c */

/* What a process knows of the time outside of the executor. */
typedef struct ClockState
{
	int64  wall_offset_ns;	/* nanoseconds since 2000 minus dbperf_now_ns() */
	int64  wall_checked_ns; /* when that was found */
	int64  top_end_ns;		/* when the last top-level statement ended */
	int64  parsed_ns;		/* duration of the last parse analysis, 0 = used */
	int64  planned_ns;		/* of the last planning, 0 = used */
	uint64 planned_queryid;
} ClockState;

extern ClockState dbperf_clock;

extern void	  dbperf_wall_clock(int64 now);
extern int64  dbperf_parsed_extra(TimestampTz message);
extern void	  dbperf_note_parsed(uint64 queryid, NodeTag utility);
extern uint64 dbperf_parsed_queryid(NodeTag utility);

/*
 * The histogram of a statement's query and plan.  It may have got another owner
 * while the statement ran; then it is looked up again.  Without a plan it is
 * that of the query's executions with none; the plan of a statement that is
 * described must still be there.
 */
static inline LatencySlot *
dbperf_tracked_slot(DbperfStatement *stmt, TrackedStatement *tracked)
{
	if (unlikely(tracked->slot == NULL ||
				 pg_atomic_read_u64(&tracked->slot->generation) != tracked->slot_generation))
	{
		PlannedStmt *planned = stmt->described ? stmt->planned : NULL;

		if (planned != NULL && planned->planTree != NULL)
			tracked->slot = dbperf_latency_slot_of_plan(
				stmt->queryid, tracked->userid, stmt->level == 0, planned,
				tracked->planning_ns != 0 || dbperf_clock.planned_ns != 0);
		else
			tracked->slot =
				dbperf_latency_slot(stmt->queryid, tracked->userid, stmt->level == 0, NULL);
		tracked->slot_generation = pg_atomic_read_u64(&tracked->slot->generation);
	}
	return tracked->slot;
}

/*
 * The offset from dbperf_now_ns() to nanoseconds since 2000.  Looked up anew
 * once a second, so that a clock that was set is followed.
 */
static inline int64
dbperf_wall_offset_ns(int64 now)
{
	if (unlikely(now - dbperf_clock.wall_checked_ns > INT64CONST(1000000000)))
		dbperf_wall_clock(now);
	return dbperf_clock.wall_offset_ns;
}

/*
 * How long it took from the arrival of the client's message until now, or from
 * the end of the statement before it in the same message.  In the extended
 * protocol every message is a beginning, so the time of Parse is added if
 * this is the query that was parsed last.  Only for client sessions: elsewhere
 * nobody says when a statement arrived.
 */
static inline int64
dbperf_pre_execution_ns(TimestampTz message, int64 now)
{
	int64 start = message * INT64CONST(1000) - dbperf_wall_offset_ns(now);
	int64 ns = now - Max(start, dbperf_clock.top_end_ns);

	if (unlikely(dbperf_clock.parsed_ns != 0))
		ns += dbperf_parsed_extra(message);
	return Max(ns, 0);
}

/*
 * How long the query that starts now was planned: 0 if its plan came from a
 * cache.
 */
static inline int64
dbperf_take_planned(uint64 queryid)
{
	int64 ns = dbperf_clock.planned_ns;

	if (likely(ns == 0) || dbperf_clock.planned_queryid != queryid)
		return 0;
	dbperf_clock.planned_ns = 0;
	return ns;
}

extern void	 dbperf_cpu_baseline(void);
extern int64 dbperf_cpu_ns(void);

/* a baseline of CPU time serves until this much work was done since */
#define CPU_BASELINE_NS INT64CONST(1000000)

/* what a statement costs beside its execution, generously */
#define CPU_STATEMENT_NS INT64CONST(50000)

extern int64 dbperf_cpu_spent_ns;

/*
 * A top-level statement of ns nanoseconds has ended.  A system call for each
 * would cost more than all the rest, so a new baseline is taken only when
 * enough was executed since the last that it would be wrong by more than
 * CPU_BASELINE_NS.
 */
static inline void
dbperf_cpu_spent(int64 ns)
{
	dbperf_cpu_spent_ns += ns + CPU_STATEMENT_NS;
	if (unlikely(dbperf_cpu_spent_ns > CPU_BASELINE_NS))
		dbperf_cpu_baseline();
}

/* instrument.c */
extern void dbperf_instrument(DbperfStatement *stmt);
extern void dbperf_instrument_slow(LatencySlot *slot);
extern void dbperf_instrument_learn(DbperfStatement *stmt, LatencySlot *slot);

/* guard.c */
typedef enum GuardResult
{
	GUARD_OK,
	GUARD_NO_MEMORY,
	GUARD_ERROR,
	GUARD_IMPOSSIBLE /* no subtransaction can be started here */
} GuardResult;

extern GuardResult dbperf_guarded(void (*task)(void *arg), void *arg);
extern void		   dbperf_guard_reset(void);

/* capture.c */

/* The variable parts of a record, and how they were come by. */
typedef struct Capture
{
	DbperfStatement	 *stmt;
	bool			  want_params;
	bool			  want_plan;
	bool			  want_texts; /* for its histogram: the sample, the plan */
	bool			  want_log;	  /* one line in the server's log */
	const SlowRecord *head;
	const char		 *query; /* masked, not terminated */
	int				  query_len;
	int				  query_full_len;
	const char		 *plan;
	int				  plan_len;
	uint64			  plan_id;
	const char		 *params;
	int				  params_len;
	int				  nparams;
} Capture;

extern void dbperf_capture(void *arg);
extern void dbperf_capture_plan_now(DbperfStatement *stmt);

/* params.c */
extern int dbperf_params_text(ParamListInfo params, StringInfo out);
extern int dbperf_params_plain(ParamListInfo params, char *dst, int size, int *len);

/* record.c */
extern void dbperf_record_init(void);
extern void dbperf_record_prepare(void);
extern void dbperf_record_done(DbperfStatement *stmt);
extern void dbperf_record_failed(DbperfStatement *stmt, int sqlstate);
extern void dbperf_record_abandoned(DbperfStatement *stmt);
extern void dbperf_record_unstarted(const char *source, uint64 queryid, int64 pre_ns, int sqlstate);
extern void dbperf_record_commit(const SlowRecord *head, const char *query, int query_len);
extern void dbperf_record_save_text(DbperfStatement *stmt);
extern void dbperf_record_head(SlowRecord *head, int64 duration_ns, int64 now);
extern int	dbperf_record_mask(const char *source, int location, int length, char *dst, int size,
							   int *full_len);

/* commit.c */
extern void dbperf_commit_xact(XactEvent event);
extern bool dbperf_commit_begins(DbperfStatement *stmt, const QueryCompletion *qc);
extern bool dbperf_commit_failed(int sqlstate);
extern bool dbperf_commit_implicit(int64 now);

/* errors.c */
extern void dbperf_errors_init(void);
extern void dbperf_unstarted(int sqlstate);

/* log_line.c */
extern void dbperf_log_line(const Capture *capture);

DBPERF_PRIVATE_END

#endif /* DBPERF_TRACK_H */
