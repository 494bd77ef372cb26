/*-------------------------------------------------------------------------
 *
 * advice_worker.c
 *		Runs the advisor in every database, and says how that went.
 *
 * The launcher sends a worker to each database, which is there for as long as
 * the work takes.  What the last run was is kept in the database, for the time
 * after a restart, and in shared memory, for the view of all databases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "advisor/advisor_int.h"
#include "advisor/store.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "core/launcher.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_RUNS 512
#define MEASURE_EVERY 3600 /* seconds */
#define EXTRA_TIME 600	   /* seconds beside dbperf.advisor_time_limit */
#define MAX_INDEXES 20
#define MIN_IMPROVEMENT 0.01
#define STATUS_COLUMNS 10

PGDLLEXPORT void dbperf_advisor_main(Datum arg);

PG_FUNCTION_INFO_V1(dbperf_refresh_index_advice);
PG_FUNCTION_INFO_V1(dbperf_advisor_status);

typedef struct DatabaseRun
{
	Oid		   database; /* InvalidOid = unused */
	AdvisorRun run;
} DatabaseRun;

/* All under the area's only lock. */
typedef struct RunState
{
	DatabaseRun runs[MAX_RUNS];
} RunState;

/* What a visit finds in the database. */
typedef struct Visit
{
	bool	   present; /* the tables are there */
	bool	   due;		/* run the advisor now */
	bool	   measure; /* and measure */
	AdvisorRun run;		/* the last one, then this one */
} Visit;

static RunState		*run_state = NULL;
static LWLockPadded *run_lock = NULL;
static int			 advisor_duty = -1;

#define RUN_LOCK (&run_lock->lock)

static Size
run_size(void)
{
	return sizeof(RunState);
}

static void
run_attach(void *area, bool found)
{
	run_state = area;
	if (!found)
		memset(run_state, 0, sizeof(RunState));
}

/* Measuring needs a visit an hour, however seldom the advisor runs. */
static int
visit_interval(void)
{
	return Min(dbperf_advisor_interval, MEASURE_EVERY);
}

/* Asked by the launcher; the worker itself has dbperf.enabled off. */
static bool
visit_wanted(const char *database)
{
	return dbperf_enabled && dbperf_advisor_wants(database);
}

static int
visit_time_limit(void)
{
	return dbperf_advisor_time_limit / 1000 + EXTRA_TIME;
}

/*
 * Register the shared memory and the duty.  Called once, from the advisor's
 * init function.
 */
void
dbperf_advice_worker_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf advisor runs",
		.size = run_size,
		.attach = run_attach,
		.tranche = "DbperfAdvisorRuns",
		.num_locks = 1,
		.locks = &run_lock,
	};
	static const DbperfDuty duty = {
		.name = "dbperf advisor",
		.entry = "dbperf_advisor_main",
		.interval = visit_interval,
		.wanted = visit_wanted,
		.time_limit = visit_time_limit,
	};

	dbperf_shmem_register(&area);
	advisor_duty = dbperf_duty_register(&duty);
}

/*
 * Show a run in advisor_status.  Without room the one that ended first makes
 * place.
 */
void
dbperf_advice_note_run(Oid database, const AdvisorRun *run)
{
	DatabaseRun *place = NULL;

	if (run_state == NULL)
		return;

	LWLockAcquire(RUN_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_RUNS; i++)
	{
		DatabaseRun *one = &run_state->runs[i];

		if (one->database == database)
		{
			place = one;
			break;
		}
		if (place == NULL ||
			(OidIsValid(place->database) &&
			 (!OidIsValid(one->database) || one->run.finished < place->run.finished)))
			place = one;
	}
	place->database = database;
	place->run = *run;
	LWLockRelease(RUN_LOCK);
}

/*
 * Run the advisor on the recorded workload.  The result lives in the current
 * memory context.
 */
AdviseResult *
dbperf_advice_run(AdvisorRun *run)
{
	AdviseRequest request = {
		.queries = NULL,
		.storage_budget = -1,
		.max_indexes = MAX_INDEXES,
		.min_improvement = MIN_IMPROVEMENT,
		.time_limit_ms = dbperf_advisor_time_limit,
	};
	AdviseResult *result = dbperf_advise(&request);
	ListCell	 *cell;

	run->statements = list_length(result->workload->subjects);
	run->statements_failed = 0;
	foreach (cell, result->workload->subjects)
	{
		if (((Subject *) lfirst(cell))->problem != NULL)
			run->statements_failed++;
	}
	run->advice = list_length(result->advice);
	run->complete = result->complete;
	run->idle = result->candidates->ncandidates == 0;
	return result;
}

/*
 * Whether a run went well, but the workload asked for no index at all: it may soon
 * do so.
 */
static bool
found_nothing(const AdvisorRun *run)
{
	return run->idle && run->finished != 0 && run->error[0] == '\0';
}

/*
 * Sets what is not kept in the database of its last run.  After a restart of the
 * server only that there was advice says that there was something to do.
 */
static void
recall_idle(AdvisorRun *run)
{
	run->idle = run->advice == 0;
	LWLockAcquire(RUN_LOCK, LW_SHARED);
	for (int i = 0; i < MAX_RUNS; i++)
	{
		const DatabaseRun *one = &run_state->runs[i];

		if (one->database == MyDatabaseId && one->run.started == run->started)
			run->idle = one->run.idle;
	}
	LWLockRelease(RUN_LOCK);
}

/* Reads the last run of this database; false if there was none. */
static bool
read_last_run(AdvisorRun *run)
{
	StoreSession session;
	bool		 found;
	bool		 isnull;

	dbperf_store_open(&session);
	found = dbperf_store_execute("SELECT started_at, finished_at, coalesce(statements, 0),"
								 " coalesce(statements_failed, 0), coalesce(advice, 0),"
								 " coalesce(complete, false), last_error "
								 "FROM dbperf.advisor_runs",
								 NULL) > 0;
	if (found)
	{
		Datum value;
		char *error = dbperf_store_string(0, 7);

		run->started = DatumGetTimestampTz(dbperf_store_value(0, 1, &isnull));
		value = dbperf_store_value(0, 2, &isnull);
		run->finished = isnull ? 0 : DatumGetTimestampTz(value);
		run->statements = DatumGetInt64(dbperf_store_value(0, 3, &isnull));
		run->statements_failed = DatumGetInt64(dbperf_store_value(0, 4, &isnull));
		run->advice = DatumGetInt64(dbperf_store_value(0, 5, &isnull));
		run->complete = DatumGetBool(dbperf_store_value(0, 6, &isnull));
		strlcpy(run->error, error != NULL ? error : "", sizeof(run->error));
	}
	dbperf_store_close(&session);
	return found;
}

/* Whether there is advice to be judged, and the last look at it is an hour old. */
static bool
measuring_is_due(void)
{
	StoreSession session;
	bool		 due;

	dbperf_store_open(&session);
	due = dbperf_store_execute(
			  "SELECT FROM dbperf.index_advice AS a"
			  " WHERE (a.status IN ('open', 'building', 'failed') OR"
			  "        a.status = 'applied' AND a.applied_at > now() - interval '8 days')"
			  "   AND NOT EXISTS (SELECT FROM dbperf.index_advice_measurements AS m"
			  "                    WHERE m.taken_at > now() - interval '55 minutes') LIMIT 1",
			  NULL) > 0;
	dbperf_store_close(&session);
	return due;
}

/*
 * A transaction's task: see what there is to do, and note that it has begun.
 */
static void
look(void *arg)
{
	Visit	   *visit = arg;
	AdvisorRun *run = &visit->run;
	TimestampTz now = GetCurrentTimestamp();

	visit->present = !XactReadOnly && dbperf_store_present();
	if (!visit->present)
		return;

	visit->due = dbperf_advisor_interval > 0;
	visit->measure = visit->due && measuring_is_due();
	if (read_last_run(run))
	{
		if (run->finished == 0 && run->error[0] == '\0')
			strlcpy(run->error, "the run did not end, its worker was terminated",
					sizeof(run->error));
		recall_idle(run);
		dbperf_advice_note_run(MyDatabaseId, run);

		/*
		 * Less than a second early is in time, or it would come twice.  One
		 * that failed or found nothing is tried again whenever the launcher
		 * says so.
		 */
		if ((run->finished == 0 || run->error[0] == '\0') && !found_nothing(run) &&
			run->started <= now &&
			!TimestampDifferenceExceeds(run->started, now, dbperf_advisor_interval * 1000 - 500))
			visit->due = false;
	}
	if (visit->due)
	{
		memset(run, 0, sizeof(*run));
		run->started = now;
		dbperf_store_save_run(run);
	}
}

/* A transaction's task: run the advisor and keep what it says. */
static void
refresh(void *arg)
{
	AdvisorRun	 *run = arg;
	AdviseResult *result = dbperf_advice_run(run);

	CommandCounterIncrement();
	dbperf_store_merge(result);
	run->finished = GetCurrentTimestamp();
	dbperf_store_save_run(run);
}

/* A transaction's task: keep the error of a run that failed. */
static void
save_failure(void *arg)
{
	dbperf_store_save_run(arg);
}

/* A transaction's task: measure and judge. */
static void
measure(void *arg)
{
	(void) arg;
	dbperf_judge_measure();
	dbperf_judge_all();
}

/* Milliseconds until the next run is due. */
static long
until_next_run(const AdvisorRun *run)
{
	TimestampTz next =
		TimestampTzPlusMilliseconds(run->started, dbperf_advisor_interval * INT64CONST(1000));

	return Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next), 100);
}

/*
 * Entry of the worker.  A visit that fails ends without "done", and the
 * launcher waits longer before it sends the next one.
 */
void
dbperf_advisor_main(Datum arg)
{
	Visit visit = {0};
	bool  ok = true;

	(void) arg;
	dbperf_duty_begin(advisor_duty);

	if (!dbperf_worker_transaction("looking for index advice to refresh", look, &visit))
		proc_exit(0);
	if (!visit.present)
		dbperf_duty_done_idle();

	if (visit.due)
	{
		dbperf_advice_note_run(MyDatabaseId, &visit.run);
		ok = dbperf_worker_transaction("refreshing index advice", refresh, &visit.run);
		if (!ok)
		{
			strlcpy(visit.run.error, dbperf_worker_last_error(), sizeof(visit.run.error));
			visit.run.finished = GetCurrentTimestamp();
			(void) dbperf_worker_transaction("refreshing index advice", save_failure, &visit.run);
		}
		dbperf_advice_note_run(MyDatabaseId, &visit.run);
	}
	if (visit.measure)
		ok &= dbperf_worker_transaction("measuring the effect of indexes", measure, NULL);
	if (!ok)
		proc_exit(0);
	if (found_nothing(&visit.run))
		dbperf_duty_done_idle();
	dbperf_duty_done(dbperf_advisor_interval > 0 ? until_next_run(&visit.run) : -1);
}

/*
 * refresh_index_advice() returns int: a run now, in the caller's transaction.
 * The caller must see all of the workload, or advice would look forgotten.
 */
Datum
dbperf_refresh_index_advice(PG_FUNCTION_ARGS)
{
	AdvisorRun	  run = {0};
	AdviseResult *result;

	dbperf_require_shmem();
	dbperf_own_call();
	PreventCommandDuringRecovery("dbperf.refresh_index_advice()");
	PreventCommandIfReadOnly("dbperf.refresh_index_advice()");
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to refresh index advice"),
				 errdetail("Only roles with privileges of the role \"%s\" see the whole workload.",
						   "pg_read_all_stats")));

	run.started = GetCurrentTimestamp();
	result = dbperf_advice_run(&run);
	CommandCounterIncrement();
	dbperf_store_merge(result);
	run.finished = GetCurrentTimestamp();
	dbperf_store_save_run(&run);
	dbperf_advice_note_run(MyDatabaseId, &run);
	PG_RETURN_INT32((int32) run.advice);
}

/* Fills the columns of one run. */
static void
put_run(Datum *values, bool *nulls, const AdvisorRun *run)
{
	bool ended = run->finished != 0 && run->error[0] == '\0';

	nulls[2] = run->started == 0;
	values[2] = TimestampTzGetDatum(run->started);
	nulls[3] = run->finished == 0;
	values[3] = Float8GetDatum((double) (run->finished - run->started) / 1000.0);
	for (int i = 4; i <= 7; i++)
		nulls[i] = !ended;
	values[4] = Int64GetDatum(run->statements);
	values[5] = Int64GetDatum(run->statements_failed);
	values[6] = Int64GetDatum(run->advice);
	values[7] = BoolGetDatum(run->complete);
	nulls[8] = run->error[0] == '\0';
	if (!nulls[8])
		values[8] = CStringGetTextDatum(run->error);
}

/*
 * advisor_status() returns setof record: the last run in each database.
 */
Datum
dbperf_advisor_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DatabaseRun	  *runs;

	dbperf_require_shmem();
	(void) dbperf_srf_begin(fcinfo, STATUS_COLUMNS);

	runs = palloc(sizeof(run_state->runs));
	LWLockAcquire(RUN_LOCK, LW_SHARED);
	memcpy(runs, run_state->runs, sizeof(run_state->runs));
	LWLockRelease(RUN_LOCK);

	for (int i = 0; i < MAX_RUNS; i++)
	{
		DbperfDutyStatus duty = {.next_visit = DT_NOEND};
		Datum			 values[STATUS_COLUMNS] = {0};
		bool			 nulls[STATUS_COLUMNS] = {0};
		char			*name;

		if (!OidIsValid(runs[i].database))
			continue;
		name = get_database_name(runs[i].database);
		if (name == NULL)
			continue;
		(void) dbperf_duty_status(advisor_duty, runs[i].database, &duty);
		values[0] = DirectFunctionCall1(namein, CStringGetDatum(name));
		values[1] = BoolGetDatum(duty.running);
		put_run(values, nulls, &runs[i].run);
		nulls[9] = duty.next_visit == DT_NOEND || dbperf_advisor_interval == 0;
		if ((runs[i].run.finished == 0 || runs[i].run.error[0] == '\0') &&
			!found_nothing(&runs[i].run))
			duty.next_visit =
				Max(duty.next_visit,
					TimestampTzPlusMilliseconds(runs[i].run.started,
												dbperf_advisor_interval * INT64CONST(1000)));
		values[9] = TimestampTzGetDatum(duty.next_visit);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
