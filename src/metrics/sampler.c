/*-------------------------------------------------------------------------
 *
 * sampler.c
 *		The worker that takes samples of all metrics.
 *
 * It is a worker of its own, and not a task of the writer: the writer does not run
 * on a standby, and it can be busy for seconds with the history of slow statements
 * when many of them come, which is when samples must not be missing.
 *
 * A sample goes to shared memory first, where nothing can go wrong, and then to the
 * tables of dbperf.database, where anything can: the disk is full, somebody holds a
 * lock, the extension is dropped, the server is a standby.  Whatever happens there,
 * the next sample is taken when it is due.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "access/xlog.h"
#include "core/core.h"
#include "metrics/metrics.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define DEFAULT_INTERVAL 10 /* s */
#define RESTART_AFTER 5		/* s */

/* what a tier keeps: one of so many samples, for so many seconds at most */
static const int tier_samples[NUM_TIERS] = {1, 6, 60};
static const int tier_ages[NUM_TIERS] = {SECS_PER_DAY, 7 * SECS_PER_DAY, INT_MAX};

/* Percentiles are of what was executed since the previous sample of the tier. */
typedef struct Percentile
{
	DbperfMetric metric;
	double		 fraction;
} Percentile;

static const Percentile percentiles[] = {
	{{"dbperf_statement_p50_seconds", DBPERF_METRIC_GAUGE, "Median latency"}, 0.50},
	{{"dbperf_statement_p95_seconds", DBPERF_METRIC_GAUGE, "95th percentile of latency"}, 0.95},
	{{"dbperf_statement_p99_seconds", DBPERF_METRIC_GAUGE, "99th percentile of latency"}, 0.99},
};

/* What the sampler remembers of a tier. */
typedef struct Tier
{
	TimestampTz	   sampled; /* 0 = not yet */
	LatencySummary total;	/* of all statements then */
} Tier;

static int metrics_interval = DEFAULT_INTERVAL;
static int metrics_retention = 30 * MINS_PER_HOUR * HOURS_PER_DAY;

PGDLLEXPORT void dbperf_sampler_main(Datum arg);

static char				connected_to[NAMEDATALEN] = "";
static Tier				tiers[NUM_TIERS];
static double			values[MAX_SERIES];
static SampleSink		sink;
static TimestampTz		due = 0;
static bool				was_standby = false;
static DbperfWorkerPart collect_part;
static DbperfWorkerPart store_part;

/*
 * Seconds from one sample of a tier to the next.
 */
int
dbperf_tier_step(int tier)
{
	return (metrics_interval > 0 ? metrics_interval : DEFAULT_INTERVAL) * tier_samples[tier];
}

/*
 * How many seconds a tier reaches back, at least.
 */
int
dbperf_tier_age(int tier)
{
	return Min(tier_ages[tier], metrics_retention * SECS_PER_MINUTE);
}

/* Whether samples are taken. */
static bool
sampler_wanted(void)
{
	return metrics_interval > 0;
}

/* Ends the process if nothing is to be done in this database. */
static void
check_place(void)
{
	if (sampler_wanted() && strcmp(dbperf_database, connected_to) == 0)
		return;
	proc_exit(1);
}

/*
 * Whether a tier is to have a sample: one for each of its steps, and one when the
 * sampler has started, with which what comes can be compared.
 */
static bool
tier_is_due(int tier, TimestampTz now)
{
	int64 step = dbperf_tier_step(tier) * USECS_PER_SEC;

	return tier == 0 || tiers[tier].sampled == 0 || tiers[tier].sampled / step != now / step;
}

/* A transaction's task: asks all sources. */
static void
collect(void *arg)
{
	dbperf_metrics_collect(&sink.sink, DBPERF_METRIC_STATEMENT);
}

/* A source that fails leaves those after it without a value. */
static long
collect_step(void *arg)
{
	(void) dbperf_worker_transaction("collecting metrics", collect, NULL);
	return -1;
}

/* Adds a tier's own values to those of all tiers. */
static void
add_percentiles(Tier *tier, const LatencySummary *total)
{
	LatencySummary change = *total;

	dbperf_latency_subtract(&change, &tier->total);
	for (int i = 0; i < (int) lengthof(percentiles); i++)
	{
		double value = NAN;

		if (tier->sampled != 0 && change.calls > 0)
			value = dbperf_latency_percentile(&change, percentiles[i].fraction) / 1e9;
		dbperf_metric(&sink.sink, &percentiles[i].metric, value);
	}
	tier->total = *total;
}

/* What the samples of a tier have beside their values. */
static void
set_info(SampleInfo *info, int tier, TimestampTz at)
{
	info->at = at;
	info->started = PgStartTime;
	info->step = dbperf_tier_step(tier);
}

/* Takes the samples of the tiers that are due. */
static void
take_samples(Samples *samples)
{
	LatencySummary *total = palloc(sizeof(LatencySummary));
	bool			queries[NUM_TIERS] = {false};

	dbperf_series_sink(&sink, values);
	(void) dbperf_worker_part(&collect_part, collect_step, NULL);
	/* a source has just asked for it, as a rule */
	if (!dbperf_latency_last_total(total))
		dbperf_latency_total(InvalidOid, total);

	for (int tier = 0; tier < NUM_TIERS; tier++)
	{
		MetricSample *sample = &samples->metrics[tier];

		samples->due[tier] = tier_is_due(tier, samples->at);
		if (!samples->due[tier])
			continue;
		add_percentiles(&tiers[tier], total);
		tiers[tier].sampled = samples->at;
		set_info(&sample->info, tier, samples->at);
		(void) dbperf_series_get(&sample->info.count);
		sample->values = palloc(MAX_SERIES * sizeof(double));
		memcpy(sample->values, values, MAX_SERIES * sizeof(double));
		queries[tier] = tier >= FIRST_QUERY_TIER;
		set_info(&samples->queries[tier].info, tier, samples->at);
	}
	if (queries[FIRST_QUERY_TIER] || queries[NUM_TIERS - 1])
		dbperf_top_queries_take(queries, samples->at, samples->queries);
}

/* Puts samples where they are safe. */
static void
keep_samples(const Samples *samples)
{
	dbperf_series_publish();
	for (int tier = 0; tier < NUM_TIERS; tier++)
	{
		if (!samples->due[tier])
			continue;
		dbperf_sample_ring_put_metrics(tier, &samples->metrics[tier]);
		if (tier >= FIRST_QUERY_TIER)
			dbperf_sample_ring_put_queries(tier, &samples->queries[tier]);
	}
	dbperf_sampler_sampled(samples->at, sink.refused);
}

/* Stores samples in tables, and says how that went. */
static long
store_step(void *arg)
{
	Samples *samples = arg;

	if (!dbperf_worker_transaction("storing metrics", dbperf_samples_store, samples))
	{
		samples->result = SAMPLER_FAILED;
		dbperf_samples_forget();
		dbperf_sample_ring_stored(samples->at, false);
	}
	else if (samples->result == SAMPLER_RUNNING)
		dbperf_sampler_stored(samples);
	dbperf_sampler_set_state(samples->result, connected_to);
	return -1;
}

/* Takes samples and stores them. */
static void
sample(TimestampTz now)
{
	Samples *samples = palloc0(sizeof(Samples));
	bool	 standby = RecoveryInProgress();

	/* what this server counted as a standby does not continue what tables have */
	if (was_standby && !standby)
		dbperf_samples_forget();
	was_standby = standby;

	samples->at = now;
	take_samples(samples);
	keep_samples(samples);
	(void) dbperf_worker_part(&store_part, store_step, samples);
	if (sink.refused > 0 && dbperf_series_renew(values))
		dbperf_samples_forget();
}

/*
 * One step.  Samples are due at multiples of the interval, so that they do not
 * drift; a clock that was turned back does not make anybody wait for it.
 */
static long
sampler_step(void *arg)
{
	int64		step = dbperf_tier_step(0) * USECS_PER_SEC;
	TimestampTz now = GetCurrentTimestamp();

	check_place();
	if (now >= due || due - now > step)
	{
		sample(now);
		due = (now / step + 1) * step;
		now = GetCurrentTimestamp();
	}
	return Max(TimestampDifferenceMilliseconds(now, due), 1);
}

/* The process ends: whatever it was about, it is not connected now. */
static void
sampler_exit(int code, Datum arg)
{
	dbperf_sampler_set_state(sampler_wanted() ? SAMPLER_CONNECTING : SAMPLER_OFF, connected_to);
}

/*
 * Entry of the worker.
 */
void
dbperf_sampler_main(Datum arg)
{
	dbperf_worker_begin();
	before_shmem_exit(sampler_exit, (Datum) 0);
	dbperf_worker_wait_after_failures(dbperf_sampler_failures());
	dbperf_sampler_set_state(sampler_wanted() ? SAMPLER_CONNECTING : SAMPLER_OFF, dbperf_database);
	dbperf_worker_wait(sampler_wanted);

	strlcpy(connected_to, dbperf_database, NAMEDATALEN);
	dbperf_sampler_set_state(SAMPLER_CONNECTING, connected_to);
	dbperf_sampler_connecting();
	dbperf_worker_connect(connected_to);
	dbperf_sampler_connected();
	/* what does not get its lock at once is tried again at the next sample */
	SetConfigOption("lock_timeout", "100ms", PGC_SUSET, PGC_S_OVERRIDE);

	dbperf_top_queries_init();
	if (!dbperf_series_init())
		(void) dbperf_worker_transaction("reading series of metrics", dbperf_samples_load, NULL);
	dbperf_worker_loop("sampler", sampler_step, NULL);
}

static void
define_settings(void)
{
	DefineCustomIntVariable(
		"dbperf.metrics_interval", "How often samples of all metrics are taken.",
		"0 turns the history of metrics off.", &metrics_interval, DEFAULT_INTERVAL, 0,
		SECS_PER_HOUR, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"dbperf.metrics_retention", "How long every 60th sample of metrics is kept.",
		"All of them are kept for a day, every 6th for a week, or for this "
		"time if it is less.",
		&metrics_retention, metrics_retention, MINS_PER_HOUR, 3650 * MINS_PER_HOUR * HOURS_PER_DAY,
		PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
}

/*
 * Defines the settings and registers shared memory and the worker.  Called once,
 * from dbperf_metrics_init().
 */
void
dbperf_sampler_init(void)
{
	static const DbperfWorker worker = {
		.name = "dbperf sampler",
		.entry = "dbperf_sampler_main",
		.start = BgWorkerStart_ConsistentState,
		.database = true,
		.restart = RESTART_AFTER,
	};

	define_settings();
	dbperf_sample_ring_init();
	dbperf_worker_register(&worker);
}
