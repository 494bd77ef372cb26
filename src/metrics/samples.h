/*-------------------------------------------------------------------------
 *
 * samples.h
 *		The history of metrics: samples of all values, taken by a worker.
 *
 * A sample is an array of numbers.  What each of them is stands in a directory of
 * series: a series is a metric with one combination of label values, and its
 * position in the directory is its place in the array.  New series are appended
 * and none is moved, so that older samples stay right.
 *
 * Samples are kept in three tiers, each of them rarer and kept longer than the
 * one before: in shared memory (the last hours, on a standby, too) and in tables
 * of dbperf.database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_SAMPLES_H
#define DBPERF_SAMPLES_H

#include "core/compat.h"
#include "core/metric.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "monitor/monitor.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

#define NUM_TIERS 3
#define FIRST_QUERY_TIER 1 /* from this one on samples of queries are taken, too */
#define TIER_MEMBERS 5	   /* tables of a tier, each for a quarter of its age */

#define MAX_SERIES 768
#define SERIES_IDENTITY_SIZE 256

/* Queries in a sample, and how many executions took at most each bound, then all. */
#define MAX_TOP_QUERIES 50
#define QUERY_BUCKETS (LATENCY_NUM_BOUNDS + 1)

/*
 * A series.  Its identity is the metric's name and its labels as JSON, as in
 * dbperf_connections{"state": "idle"}, in the sampler's encoding.
 */
typedef struct Series
{
	char  identity[SERIES_IDENTITY_SIZE];
	int16 name_len;
	bool  counter; /* else it is a gauge */
} Series;

/* What a sample is beside its values. */
typedef struct SampleInfo
{
	TimestampTz at;
	TimestampTz started; /* when the server was started that it is of */
	bool		ring;	 /* read from shared memory, or about to be put there */
	int32		set;	 /* its directory: the epoch of the ring, or a set of metrics_series */
	int32		step;	 /* seconds from one sample of its tier to the next */
	int32		count;	 /* of values or of queries */
} SampleInfo;

/* Values are NaN where there is none. */
typedef struct MetricSample
{
	SampleInfo info;
	double	  *values;
} MetricSample;

/*
 * One of the top queries.  calls and total_ms are counted since the query is
 * known, all else since the previous sample of the same tier.
 */
typedef struct TopQuery
{
	LatencyKey key;
	double	   calls;
	double	   total_ms;
	float	   new_calls;
	float	   new_ms;
	float	   buckets[QUERY_BUCKETS]; /* NaN if they are not known */
} TopQuery;

typedef struct QuerySample
{
	SampleInfo info;
	TopQuery  *queries;
} QuerySample;

/* ---- sampler.c ---- */

extern int	dbperf_tier_step(int tier); /* seconds */
extern int	dbperf_tier_age(int tier);	/* seconds */
extern void dbperf_sampler_init(void);

/* ---- sampler_status.c ---- */

typedef enum SamplerState
{
	SAMPLER_OFF,
	SAMPLER_CONNECTING,
	SAMPLER_RUNNING,
	SAMPLER_STANDBY,
	SAMPLER_NO_EXTENSION,
	SAMPLER_NO_TABLE,
	SAMPLER_LOCKED,
	SAMPLER_FAILED
} SamplerState;

/* Guarded by the area's lock; only the sampler writes it. */
typedef struct SamplerStatus
{
	SamplerState state;
	TimestampTz	 since;
	char		 database[NAMEDATALEN];
	int			 encoding;	 /* of the two texts */
	char		 error[256]; /* the last one, kept when it is over */
	TimestampTz	 failed_at;	 /* 0 = never */
	TimestampTz	 logged_at;
	TimestampTz	 sampled_at;
	TimestampTz	 stored_at;
	int64		 samples;
	int64		 stored;
	int64		 values_refused; /* left out since there are too many series */
	int64		 bytes;			 /* of the tables, and how many have rows */
	int			 members;
	uint32		 failures; /* to connect, in a row */
} SamplerStatus;

extern void	  dbperf_sampler_set_state(SamplerState state, const char *database);
extern uint32 dbperf_sampler_failures(void);
extern void	  dbperf_sampler_connecting(void);
extern void	  dbperf_sampler_connected(void);
extern void	  dbperf_sampler_sampled(TimestampTz at, int64 refused);
extern void	  dbperf_sampler_status(SamplerStatus *status, int *series);
extern char	 *dbperf_sampler_state_text(const SamplerStatus *status);

/* ---- sample_ring.c ---- */

typedef enum RingKind
{
	RING_METRICS,
	RING_QUERIES
} RingKind;

/* Which samples of a ring somebody wants to read. */
typedef enum RingChoice
{
	RING_ALL,
	RING_PRIMARY, /* not those that were taken on a standby */
	RING_UNSTORED /* nor those that the tables have */
} RingChoice;

extern void			  dbperf_sample_ring_init(void);
extern SamplerStatus *dbperf_sample_ring_lock(LWLockMode mode); /* its status */
extern void			  dbperf_sample_ring_unlock(void);
extern int			  dbperf_sample_ring_num_series(void);
extern void
dbperf_sample_ring_series_set(const Series *series, int num_series, int encoding, bool new_epoch);
extern int	 dbperf_sample_ring_series(Series **series, int *encoding, int *epoch);
extern void	 dbperf_sample_ring_put_metrics(int tier, const MetricSample *sample);
extern void	 dbperf_sample_ring_put_queries(int tier, const QuerySample *sample);
extern void	 dbperf_sample_ring_stored(TimestampTz at, bool stored);
extern List *dbperf_sample_ring_read(RingKind kind, int tier, TimestampTz since, TimestampTz until,
									 RingChoice choice);

/* ---- sample_series.c: the sampler's own directory ---- */

/* Takes what sources hand out. */
typedef struct SampleSink
{
	DbperfMetricSink sink;	 /* MUST BE FIRST */
	double			*values; /* by position, NaN where there is none */
	int64			 refused;
	StringInfoData	 identity;
} SampleSink;

extern bool			 dbperf_series_init(void);
extern bool			 dbperf_series_add(const char *identity, int name_len, bool counter);
extern const Series *dbperf_series_get(int *count);
extern void			 dbperf_series_sink(SampleSink *sink, double *values);
extern void			 dbperf_series_publish(void);
extern bool			 dbperf_series_renew(const double *values);

/* ---- sample_queries.c ---- */

extern void dbperf_top_queries_init(void);
extern void dbperf_top_queries_take(const bool *tiers, TimestampTz at, QuerySample *samples);

/* ---- sample_store.c, sample_tables.c ---- */

/* What was sampled at one time. */
typedef struct Samples
{
	TimestampTz	 at;
	bool		 due[NUM_TIERS];
	MetricSample metrics[NUM_TIERS]; /* these two are void unless they are due */
	QuerySample	 queries[NUM_TIERS];
	SamplerState result;
	bool		 measured; /* the next two are set, as in SamplerStatus */
	int64		 bytes;
	int			 members;
} Samples;

extern void			dbperf_sampler_stored(const Samples *samples);
extern void			dbperf_samples_measure(Samples *samples);
extern void			dbperf_samples_forget(void);
extern SamplerState dbperf_samples_target(void);
extern void			dbperf_samples_load(void *arg);
extern void			dbperf_samples_store(void *arg);
extern bool			dbperf_samples_lock(const char *name, LOCKMODE mode);
extern int			dbperf_samples_member(int tier, TimestampTz at);
extern void			dbperf_samples_insert_metrics(int member, const MetricSample *sample);
extern void			dbperf_samples_insert_queries(int member, const QuerySample *sample);

/* ---- sample_read.c ---- */

/* A series as a reader sees it: everything in the reader's encoding. */
typedef struct SeriesName
{
	char *identity;
	char *name;
	Datum labels; /* jsonb */
	bool  counter;
} SeriesName;

/* The directory of a set. */
typedef struct SeriesSet
{
	bool		ring; /* set is the epoch of the ring */
	int			set;
	int			count;
	SeriesName *series; /* by position */
} SeriesSet;

extern bool		  dbperf_samples_tables_count(void);
extern List		 *dbperf_series_sets(void);
extern SeriesSet *dbperf_series_set_of(List *sets, const SampleInfo *info);
typedef void (*SampleVisit)(const void *sample, void *arg);

extern void dbperf_samples_visit(RingKind kind, int tier, bool others, TimestampTz since,
								 TimestampTz until, SampleVisit visit, void *arg);
extern void dbperf_samples_check_period(TimestampTz since, TimestampTz until);
extern void dbperf_samples_clamp(TimestampTz *since, TimestampTz *until);
extern int	dbperf_samples_tier(TimestampTz since, TimestampTz until, int points);

DBPERF_PRIVATE_END

#endif /* DBPERF_SAMPLES_H */
