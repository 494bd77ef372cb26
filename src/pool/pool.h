/*-------------------------------------------------------------------------
 *
 * pool.h
 *		The connection pool: PgBouncer run, configured and watched by the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_H
#define DBPERF_POOL_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* pool.c */
extern void dbperf_pool_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_H */
