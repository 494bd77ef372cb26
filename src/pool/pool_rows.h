/*-------------------------------------------------------------------------
 *
 * pool_rows.h
 *		Rows of the pool's SQL functions, filled from left to right.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_ROWS_H
#define DBPERF_POOL_ROWS_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "nodes/execnodes.h"

DBPERF_PRIVATE_BEGIN

#define POOL_ROW_COLUMNS 24

typedef struct PoolRow
{
	Datum values[POOL_ROW_COLUMNS];
	bool  nulls[POOL_ROW_COLUMNS];
	int	  column;
} PoolRow;

extern void dbperf_pool_put(PoolRow *row, Datum value);
extern void dbperf_pool_put_null(PoolRow *row);
extern void dbperf_pool_put_ms(PoolRow *row, int64 us);
extern void dbperf_pool_put_ratio(PoolRow *row, double part, double whole);
extern void dbperf_pool_put_time(PoolRow *row, TimestampTz time);
extern void dbperf_pool_put_name(PoolRow *row, const char *name);
extern void dbperf_pool_put_text(PoolRow *row, const char *value);
extern void dbperf_pool_store(ReturnSetInfo *rsinfo, PoolRow *row);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_ROWS_H */
