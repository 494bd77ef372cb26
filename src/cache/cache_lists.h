/*-------------------------------------------------------------------------
 *
 * cache_lists.h
 *		The tables behind the lists of what is to be cached.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_LISTS_H
#define DBPERF_CACHE_LISTS_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

typedef enum CacheList
{
	CACHE_LIST_TABLES,
	CACHE_LIST_QUERIES,
	CACHE_LIST_FUNCTIONS,
	CACHE_NUM_LISTS
} CacheList;

/* cache_lists.c */
extern Oid	 dbperf_cache_list_table(CacheList list);
extern char *dbperf_cache_function_name(Oid function);

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_LISTS_H */
