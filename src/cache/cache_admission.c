/*-------------------------------------------------------------------------
 *
 * cache_admission.c
 *		Which statements auto mode asks the cache for.
 *
 * A statement is admitted when it was executed twice within an hour, or once
 * with cache_admission = always, and takes cache_min_duration on average.  What
 * it takes is learned from clients' statements that have no node on their plan
 * (a statement module hears of them), and by the node itself, be it in a
 * function or not, when it runs the plan.  A statement that was executed fifty
 * times without being answered at least three times in between pays for nothing,
 * be it because its tables are written too often or because it is never
 * repeated with the same values: it pauses.
 *
 * All sessions share a table of fixed size.  Everything in it is advice: a lost
 * update, or one that goes to the next owner of a place, costs at most a wrong
 * guess for a while.  So there are no locks, only atomics, and a place that is
 * read often is rarely written.
 *
 * A plan that a session keeps may have been made before its statement was
 * admitted, or while the cache was switched off.  When such a one is seen to
 * run, or the cache is switched on, all plans of the session are made anew: as
 * if an invalidation of everything had come in, which could happen at that
 * moment, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "access/xact.h"
#include "cache/cache_int.h"
#include "common/hashfn.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"

#define ADMISSION_PLACES 8192 /* a power of two */
#define ADMISSION_PROBES 8

#define REMEMBERED (60 * 60) /* s that an execution counts as the first of two */
#define FRESH 60			 /* s after which a hit counts as one */
#define MAX_EXECUTIONS 255
#define AVERAGED 8		 /* the average is over about so many executions */
#define QUICK_SAMPLED 16 /* of so many executions that take little one is learned from */

#define TRIAL_MISSES 50 /* so many misses */
#define TRIAL_HITS 3	/* need so many hits */
#define PAUSE 300		/* s, otherwise */

#define REPLAN_INTERVAL 10 /* s between two times that plans are made anew */

/* marks of the session, a power of two */
#define NUM_MARKS 512

/*
 * What is known of a statement.  All are atomics that anybody writes.
 */
typedef struct Admission
{
	pg_atomic_uint64 key;	/* of database and query id, 0 = unused */
	pg_atomic_uint64 state; /* see AdmissionState */
	pg_atomic_uint64 trial; /* see AdmissionTrial */
} Admission;

/* The contents of the two, so that each is read and written at once. */
typedef union AdmissionState
{
	struct
	{
		uint32 mean_us;
		uint32 executions : 8;
		uint32 last : 24; /* when, in units of 16 s */
	} part;
	uint64 all;
} AdmissionState;

typedef union AdmissionTrial
{
	struct
	{
		uint32 until; /* s, end of a pause */
		uint16 misses;
		uint16 hits;
	} part;
	uint64 all;
} AdmissionTrial;

typedef struct Mark
{
	int64	  queryid;
	CacheMark mark;
} Mark;

static Admission *admissions = NULL;
static Mark		  marks[NUM_MARKS];
static int		  module_number = -1;

/* ---- marks ---- */

static inline Mark *
mark_of(int64 queryid)
{
	return &marks[(uint64) queryid % NUM_MARKS];
}

/* What is known of a statement in this session. */
CacheMark
dbperf_cache_marked(int64 queryid)
{
	Mark *mark = mark_of(queryid);

	return mark->queryid == queryid ? mark->mark : CACHE_MARK_NONE;
}

/* Remembers it, until another statement needs the place. */
void
dbperf_cache_mark(int64 queryid, CacheMark mark)
{
	mark_of(queryid)->queryid = queryid;
	mark_of(queryid)->mark = mark;
}

/* ---- the shared table ---- */

static inline uint64
admission_key(int64 queryid)
{
	uint64 key = hash_combine64((uint64) queryid, MyDatabaseId);

	return key != 0 ? key : 1;
}

/* Seconds, of the statement that runs. */
static inline uint32
seconds_now(void)
{
	return (uint32) (GetCurrentStatementStartTimestamp() / USECS_PER_SEC);
}

static inline uint32
seconds_since(const AdmissionState *state, uint32 now)
{
	return (((now >> 4) - state->part.last) & 0xFFFFFF) << 4;
}

/*
 * The place of a statement, or NULL.  No place becomes unused again, so the
 * first one that is ends the search.
 */
static Admission *
find_place(uint64 key)
{
	for (uint32 i = 0; i < ADMISSION_PROBES; i++)
	{
		Admission *place = &admissions[(key + i) % ADMISSION_PLACES];
		uint64	   found = pg_atomic_read_u64(&place->key);

		if (found == key)
			return place;
		if (found == 0)
			break;
	}
	return NULL;
}

/*
 * Gives a place to a statement that has none: an unused one, or that of the
 * statement which was not executed for the longest time.
 */
static Admission *
take_place(uint64 key, uint32 now)
{
	Admission *oldest = NULL;
	uint32	   age = 0;

	for (uint32 i = 0; i < ADMISSION_PROBES; i++)
	{
		Admission	  *place = &admissions[(key + i) % ADMISSION_PLACES];
		AdmissionState state;

		if (pg_atomic_read_u64(&place->key) == 0)
		{
			oldest = place;
			break;
		}
		state.all = pg_atomic_read_u64(&place->state);
		if (oldest == NULL || seconds_since(&state, now) > age)
		{
			oldest = place;
			age = seconds_since(&state, now);
		}
	}
	pg_atomic_write_u64(&oldest->state, 0);
	pg_atomic_write_u64(&oldest->trial, 0);
	pg_atomic_write_u64(&oldest->key, key);
	return oldest;
}

/*
 * What an execution took that was not answered from the cache.  One that took
 * little is of interest only if the statement is known already.
 */
void
dbperf_cache_learn(int64 queryid, int64 ns)
{
	uint64		   key = admission_key(queryid);
	uint32		   now = seconds_now();
	uint32		   us = (uint32) Min(ns / 1000, (int64) PG_UINT32_MAX);
	Admission	  *place;
	AdmissionState state;

	if (admissions == NULL || queryid == 0)
		return;
	place = find_place(key);
	if (place == NULL && ns < dbperf_cache_min_duration * 1e6)
		return;
	if (place == NULL)
		place = take_place(key, now);

	state.all = pg_atomic_read_u64(&place->state);
	if (state.part.executions == 0 || seconds_since(&state, now) > REMEMBERED)
	{
		state.part.mean_us = us;
		state.part.executions = 1;
	}
	else
	{
		int64 weight = Min(state.part.executions, AVERAGED - 1);

		state.part.mean_us = (state.part.mean_us * weight + us) / (weight + 1);
		if (state.part.executions < MAX_EXECUTIONS)
			state.part.executions++;
	}
	state.part.last = now >> 4;
	pg_atomic_write_u64(&place->state, state.all);
}

/*
 * Whether executions of a statement should be answered from the cache.
 */
bool
dbperf_cache_admitted(int64 queryid)
{
	bool		   always = dbperf_cache_admission == CACHE_ADMIT_ALWAYS;
	Admission	  *place;
	AdmissionState state;
	AdmissionTrial trial;
	uint32		   now;

	if (always && dbperf_cache_min_duration == 0)
		return true;
	if (admissions == NULL || queryid == 0)
		return false;
	place = find_place(admission_key(queryid));
	if (place == NULL)
		return false;

	state.all = pg_atomic_read_u64(&place->state);
	if (state.part.executions < (always ? 1 : 2) ||
		state.part.mean_us < dbperf_cache_min_duration * 1000)
		return false;
	now = seconds_now();
	trial.all = pg_atomic_read_u64(&place->trial);
	return seconds_since(&state, now) <= REMEMBERED && trial.part.until <= now;
}

/*
 * A statement was answered.  Counted up to what is asked for, so that many
 * sessions that are answered do not write the same place all the time.
 */
void
dbperf_cache_learn_hit(int64 queryid)
{
	Admission	  *place = admissions != NULL ? find_place(admission_key(queryid)) : NULL;
	uint32		   now = seconds_now();
	AdmissionState state;
	AdmissionTrial trial;

	if (place == NULL)
		return;
	trial.all = pg_atomic_read_u64(&place->trial);
	if (trial.part.hits < TRIAL_HITS)
	{
		trial.part.hits++;
		pg_atomic_write_u64(&place->trial, trial.all);
	}
	state.all = pg_atomic_read_u64(&place->state);
	if (seconds_since(&state, now) > FRESH)
	{
		state.part.last = now >> 4;
		pg_atomic_write_u64(&place->state, state.all);
	}
}

/*
 * A statement was not answered.
 */
void
dbperf_cache_learn_missed(int64 queryid)
{
	Admission	  *place = admissions != NULL ? find_place(admission_key(queryid)) : NULL;
	AdmissionTrial trial;

	if (place == NULL)
		return;
	trial.all = pg_atomic_read_u64(&place->trial);
	if (++trial.part.misses >= TRIAL_MISSES)
	{
		if (trial.part.hits < TRIAL_HITS)
			trial.part.until = seconds_now() + PAUSE;
		trial.part.misses = trial.part.hits = 0;
	}
	pg_atomic_write_u64(&place->trial, trial.all);
}

/* ---- clients' statements ---- */

/*
 * Has the plans that this session keeps made anew, unless that was done for the
 * same reason just now.
 */
static bool
replan(TimestampTz *last)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (now - *last < REPLAN_INTERVAL * USECS_PER_SEC)
		return false;
	*last = now;
	ResetPlanCache();
	return true;
}

/*
 * The cache is switched on in this session.
 */
void
dbperf_cache_replan(void)
{
	static TimestampTz last = 0;

	(void) replan(&last);
}

/*
 * A statement that is admitted has run without the node.  If it was not refused
 * when it was planned, its plan is an old one.
 */
static void
ran_unwrapped(int64 queryid)
{
	static TimestampTz last = 0;
	CacheMark		   mark = dbperf_cache_marked(queryid);

	if (mark != CACHE_MARK_REFUSED && mark != CACHE_MARK_REPLAN && dbperf_explaining == 0 &&
		dbperf_cache_admitted(queryid) && replan(&last))
		dbperf_cache_mark(queryid, CACHE_MARK_REPLAN);
}

/*
 * A client's statement has run.  Most take too little to be of interest; only
 * some of these are looked at, so that those that usually take little have a
 * low average.
 */
static bool
admission_ran(DbperfStatement *stmt, uint64 count)
{
	static uint32 quick = 0;
	PlannedStmt	 *planned = stmt->desc->plannedstmt;

	if (stmt->elapsed_ns < dbperf_cache_min_duration * 1e6 && quick++ % QUICK_SAMPLED != 0)
		return true;
	if (stmt->queryid == 0 || stmt->level > 0 || stmt->desc->operation != CMD_SELECT ||
		planned->relationOids == NIL || planned->rowMarks != NIL || planned->hasModifyingCTE ||
		dbperf_cache_is_wrapped(planned->planTree))
		return true;
	ran_unwrapped((int64) stmt->queryid);
	dbperf_cache_learn((int64) stmt->queryid, stmt->elapsed_ns);
	return true;
}

/*
 * Whether this session's statements are to be heard of.
 */
void
dbperf_cache_admission_follow(bool follow)
{
	if (module_number >= 0)
		dbperf_statement_follow(module_number, follow ? FOLLOW_TOP : FOLLOW_NONE);
}

static Size
admission_size(void)
{
	return mul_size(ADMISSION_PLACES, sizeof(Admission));
}

static void
admission_attach(void *area, bool found)
{
	admissions = area;
	if (found)
		return;
	for (int i = 0; i < ADMISSION_PLACES; i++)
	{
		pg_atomic_init_u64(&admissions[i].key, 0);
		pg_atomic_init_u64(&admissions[i].state, 0);
		pg_atomic_init_u64(&admissions[i].trial, 0);
	}
}

/*
 * Called once, while the library is preloaded.
 */
void
dbperf_cache_admission_init(void)
{
	static const DbperfStatementModule module = {
		.name = "cache",
		.ran = admission_ran,
	};
	static const DbperfShmemArea area = {
		.name = "dbperf cache admission",
		.size = admission_size,
		.attach = admission_attach,
	};
	Size offset;

	StaticAssertStmt(sizeof(AdmissionState) == sizeof(uint64) &&
						 sizeof(AdmissionTrial) == sizeof(uint64),
					 "must fit into an atomic");
	dbperf_shmem_register(&area);
	module_number = dbperf_statement_register(&module, &offset);

	/* nothing is to be heard of starts */
	dbperf_statement_ask(module_number, DBL_MAX, NULL);
	dbperf_cache_admission_follow(dbperf_cache_mode == CACHE_MODE_AUTO);
}
