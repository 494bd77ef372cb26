/*-------------------------------------------------------------------------
 *
 * cache_reasons.c
 *		The texts of the reasons why an execution went by the cache.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_int.h"

/* In the order of CacheBypass. */
static const char *const reasons[] = {
	"none",
	"not a plain SELECT",
	"reads no table",
	"locks rows",
	"volatile function",
	"stable function",
	"user-defined function",
	"depends on the time",
	"temporary table",
	"foreign table",
	"system catalog",
	"not a heap table",
	"system column",
	"TABLESAMPLE",
	"type",
	"domain",
	"index access method",
	"virtual generated column",
	"transient data",
	"too large a statement",
	"listed as never cached",
	"switched off",
	"commit since the snapshot",
	"transaction has written",
	"serializable transaction",
	"parallel operation",
	"recovery",
	"a writer is committing",
	"a prepared transaction has written",
	"no right to execute a function",
	"gin_fuzzy_search_limit is set",
	"parameter",
	"EXPLAIN ANALYZE",
	"out of memory",
	"cursor",
};

StaticAssertDecl(lengthof(reasons) == CACHE_NUM_BYPASS, "each reason needs its text");

/*
 * The text of a reason, as views and EXPLAIN show it.
 */
const char *
dbperf_cache_reason(CacheBypass reason)
{
	return reasons[reason];
}
