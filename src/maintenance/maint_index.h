/*-------------------------------------------------------------------------
 *
 * maint_index.h
 *		Indexes: what is known of them, and the tables in which it is kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_INDEX_H
#define DBPERF_MAINT_INDEX_H

#include "maintenance/maint_plan.h"
#include "utils/relcache.h"

DBPERF_PRIVATE_BEGIN

#define MAINT_DENSITY_TABLE "maintenance_index_density"
#define MAINT_LEFTOVER_TABLE "maintenance_leftovers"

/* An index has to have that many pages before it is worth a rebuild. */
#define MAINT_REINDEX_PAGES 1000

/* Below that many rows the bytes of a row say nothing. */
#define MAINT_DENSITY_ROWS 1000

/* An index as the catalogs and dbperf's own tables know it. */
typedef struct MaintIndex
{
	Oid			index;
	Oid			table;
	Oid			method;
	Oid			tablespace; /* InvalidOid = the database's */
	char	   *schema;
	char	   *name;
	bool		valid;
	bool		can_reindex; /* concurrently, if it is valid */
	bool		is_ours;	 /* left by a rebuild of ours */
	double		pages;		 /* as of the last vacuum, analyze or build */
	double		rows;		 /* the same, -1 = not known */
	double		table_pages; /* the same */
	double		best;		 /* bytes for a row at its best, 0 = never seen */
	double		bloat;		 /* by its sample: pages for each one needed, 0 = none taken */
	TimestampTz rebuilt;	 /* by us, 0 = never */
} MaintIndex;

/* maint_index_list.c */
extern List *dbperf_maint_list_indexes(Oid only_table);

/* maint_index_probe.c */

/* What a look into an index needs and finds; relation is locked and open. */
typedef void (*MaintProbe)(Relation index, void *arg);

/* The ranges of a BRIN index. */
typedef struct MaintRanges
{
	Oid			table;
	BlockNumber per_range; /* pages */
	BlockNumber total;	   /* full ranges in the table */
	BlockNumber missing;   /* those without a summary, as far as was looked */
} MaintRanges;

/* The pending list of a GIN index. */
typedef struct MaintPending
{
	double pages;
	double limit; /* the same, of gin_pending_list_limit */
} MaintPending;

extern bool	  dbperf_maint_probe(Oid index, MaintProbe probe, void *arg);
extern void	  dbperf_maint_probe_brin(Relation index, void *arg);
extern void	  dbperf_maint_probe_gin(Relation index, void *arg);
extern double dbperf_maint_sample_btree(Oid index);

/* maint_density.c */
extern void dbperf_maint_density_rebuilt(Oid index);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_INDEX_H */
