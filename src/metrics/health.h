/*-------------------------------------------------------------------------
 *
 * health.h
 *		Whether a database meets its targets, and why not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_HEALTH_H
#define DBPERF_HEALTH_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

#define TARGETS_TABLE "targets"

/* the targets that are no metrics */
#define TARGET_QUERY_P95 "query_p95_ms"
#define TARGET_POOL "pool_efficiency_ratio"
#define TARGET_CACHE "cache_hit_ratio"
#define TARGET_COVERAGE "index_coverage_ratio"

/* A row of the table, and what is to be said of it. */
typedef struct HealthTarget
{
	char  *name;
	char  *comparison; /* <, <=, > or >= */
	double threshold;

	MemoryContext context; /* of the answer */
	bool		  reasons; /* evidence and next step are wanted, too */
	bool		  known;   /* there is a value */
	double		  value;
	char		 *evidence;	 /* NULL = none yet */
	char		 *next_step; /* a statement, NULL = nothing to be done */
} HealthTarget;

/*
 * Finds the value of a target, and the reasons if they are wanted.  Called in a
 * subtransaction, connected to SPI, as the role that asks.
 */
typedef void (*HealthJudge)(HealthTarget *target);

/* health_ask.c */
extern uint64 dbperf_health_ask(const char *sql, int nargs, const Oid *types, const Datum *values);
extern char	 *dbperf_health_text(uint64 row, int column);
extern bool	  dbperf_health_number(uint64 row, int column, double *value);
extern void
dbperf_health_evidence(HealthTarget *target, const char *format, ...) pg_attribute_printf(2, 3);
extern void
dbperf_health_add(HealthTarget *target, const char *format, ...) pg_attribute_printf(2, 3);
extern void
dbperf_health_next(HealthTarget *target, const char *format, ...) pg_attribute_printf(2, 3);
extern char *dbperf_health_percent(double ratio);
extern char *dbperf_health_ms(double ms);
extern char *dbperf_health_age(double seconds);
extern bool	 dbperf_health_setting_is(const char *setting, const char *value);

/* health_latency.c, health_pool.c, health_cache.c, health_coverage.c, health_metric.c */
extern void dbperf_health_query_p95(HealthTarget *target);
extern void dbperf_health_pool(HealthTarget *target);
extern void dbperf_health_cache(HealthTarget *target);
extern void dbperf_health_coverage(HealthTarget *target);
extern void dbperf_health_metric(HealthTarget *target);
extern bool dbperf_health_metric_is_read(void);
extern bool dbperf_health_metric_exists(const char *name, bool *histogram);

/* targets.c */
extern bool	 dbperf_target_is_met(const HealthTarget *target);
extern List *dbperf_targets_read(void);

/* health.c */
extern void dbperf_health_init(void);
extern void dbperf_health_judge(HealthTarget *target);

DBPERF_PRIVATE_END

#endif /* DBPERF_HEALTH_H */
