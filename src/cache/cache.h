/*-------------------------------------------------------------------------
 *
 * cache.h
 *		The result cache: repeated reads answered from shared memory.
 *
 * The promise: what is served is exactly what executing the statement now
 * would return.  Where that cannot be shown, the statement is executed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_H
#define DBPERF_CACHE_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* cache.c */
extern void dbperf_cache_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_H */
