/*-------------------------------------------------------------------------
 *
 * pool_guard.h
 *		What the guard of pooled connections counts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_GUARD_H
#define DBPERF_POOL_GUARD_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* Features of a session that do not survive in a pool. */
typedef enum PoolFeature
{
	POOL_FEATURE_SET,
	POOL_FEATURE_LISTEN,
	POOL_FEATURE_ADVISORY_LOCK,
	POOL_FEATURE_HOLD_CURSOR,
	POOL_FEATURE_TEMP_OBJECT,
	POOL_FEATURE_PREPARE,
	POOL_FEATURE_LOAD
} PoolFeature;

#define POOL_FEATURES 7

/* pool_guard.c */
extern bool dbperf_pool_passes_on(const char *setting, size_t length);
extern void dbperf_pool_guard_before_commit(void);
extern void dbperf_pool_guard_xact_end(void);

/* pool_guard_counts.c */
extern void dbperf_pool_guard_counts_init(void);
extern bool dbperf_pool_guard_count(PoolFeature feature, const char *example);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_GUARD_H */
