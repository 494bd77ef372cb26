/*-------------------------------------------------------------------------
 *
 * hypo.h
 *		Hypothetical indexes as the planner sees them.  Private to whatif.c
 *		and hypo*.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_HYPO_H
#define DBPERF_HYPO_H

#include "access/amapi.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "advisor/whatif.h"
#include "nodes/pathnodes.h"

DBPERF_PRIVATE_BEGIN

/* Some rows of a table, taken apart. */
typedef struct HypoSample
{
	MemoryContext context;
	Oid			  relid;
	double		  table_pages;
	double		  table_rows;
	TupleDesc	  desc;	 /* one column for each attribute of the table, and ctid */
	int			  nrows; /* 0 = there is no sample */
	int64		  seen;	 /* rows read */
	HeapTuple	 *rows;
	Datum		 *values; /* of row i, from i * desc->natts on */
	bool		 *nulls;
	BlockNumber	 *blocks; /* of each row */
	uint64		**hashes; /* of each column, NULL = not yet made; hypo_keys.c */
	int			**widths;
} HypoSample;

/*
 * A table as far as what-ifs need to know it.  What is in "context" is made
 * anew after any invalidation.
 */
typedef struct HypoTable
{
	Oid			  relid;	  /* hash key */
	uint64		  generation; /* of the relation cache when it was read */
	MemoryContext context;
	PlannerInfo	 *root;		 /* of a query on nothing but this table */
	RelOptInfo	 *rel;		 /* the table in it, or NULL: nothing to index */
	List		 *ancestors; /* OIDs of partitioned tables it belongs to */
	List		 *real;		 /* RealIndex */
	Oid			  owner;
	Oid			  tablespace; /* of a new index */
	bool		  has_bitmap_scan;
	HypoSample	 *sample; /* not in "context"; NULL = not read yet */
} HypoTable;

/* Space of a GIN index, which its costs depend on. */
typedef struct GinSpace
{
	double entry_pages;
	double data_pages;
	double entries;
} GinSpace;

/* A hypothetical index on one table: the index's own, or a partition of it. */
struct HypoRelation
{
	HypoIndex *index;
	Oid		   relid;
	Oid		   oid;		   /* private */
	uint64	   generation; /* of the relation cache when it was checked */
	bool	   usable;	   /* the table still is as the definition says */
	char	  *untrusted;  /* why superusers must not plan with it, or NULL */
	IndexDef  *def;		   /* for this table; NULL = it is no index of it */
	List	  *twins;	   /* OIDs of real indexes that are the same */

	/* What does not change between plans, in the form of IndexOptInfo. */
	IndexAmRoutine *am;
	int				indexkeys[INDEX_MAX_KEYS];
	Oid				collations[INDEX_MAX_KEYS];
	Oid				opfamily[INDEX_MAX_KEYS];
	Oid				opcintype[INDEX_MAX_KEYS];
	bool			reverse_sort[INDEX_MAX_KEYS];
	bool			nulls_first[INDEX_MAX_KEYS];
	bool			canreturn[INDEX_MAX_KEYS];
	bytea		   *options[INDEX_MAX_KEYS];

	/* Expressions and predicate as the planner wants them, varno 1. */
	bool  folded;
	List *expressions;
	List *predicate;

	bool		sized;
	BlockNumber pages;
	double		tuples;
	int			tree_height;
	GinSpace	gin;

	HeapTuple stats[INDEX_MAX_KEYS]; /* pg_statistic rows of expressions */
};

/* Keys and entries of the what-if's hash tables. */
typedef struct HypoKey
{
	int index; /* id */
	Oid relid;
} HypoKey;

typedef struct HypoEntry
{
	HypoKey		  key;
	HypoRelation *hypo;
} HypoEntry;

typedef struct HypoOid
{
	Oid			  oid; /* private */
	HypoRelation *hypo;
} HypoOid;

/* What an index would hold of a table's sample. */
typedef struct HypoContents
{
	MemoryContext context;
	HypoSample	 *sample;
	int			  nrows;				  /* that were looked at ... */
	int			  ncovered;				  /* ... and of them, are in the index */
	int			 *rows;					  /* the latter, places in the sample */
	Datum		 *values[INDEX_MAX_KEYS]; /* of expressions, by covered row; or NULL */
	bool		 *nulls[INDEX_MAX_KEYS];
} HypoContents;

/* What statistics say of one column of an index. */
typedef struct ColumnFacts
{
	double	width;	/* average, of those that are not null */
	int		align;	/* 1, 2, 4 or 8 */
	bool	varies; /* width is not the same for all */
	double	null_frac;
	double	distinct; /* values, without NULL */
	int		nmcvs;
	float4 *mcvs; /* frequencies of the most common values */
} ColumnFacts;

/* How often keys occur in an index. */
typedef struct KeyCounts
{
	int		nfrequent;	   /* keys known to be frequent */
	double *frequent;	   /* how often each of them occurs */
	double	rare;		   /* tuples with other keys, not all null ... */
	double	rare_distinct; /* ... and how many such keys there are */
	double	nulls;		   /* tuples whose key is all null */
	double	width;		   /* average of all distinct keys, if they had one */
} KeyCounts;

/* A key in a row of the sample. */
typedef struct SampledKey
{
	uint64		hash;
	BlockNumber block;
	int			width;
} SampledKey;

/* hypo.c */
extern void			 dbperf_hypo_init(void);
extern bool			 dbperf_hypo_supported(Oid am);
extern HypoTable	*dbperf_hypo_table(WhatIf *whatif, Oid relid);
extern HypoRelation *dbperf_hypo_relation(WhatIf *whatif, HypoIndex *index, HypoTable *table);
extern HypoRelation *dbperf_hypo_by_oid(WhatIf *whatif, Oid oid);
extern Oid			 dbperf_hypo_new_oid(WhatIf *whatif);
extern bool			 dbperf_hypo_prepare(WhatIf *whatif, HypoRelation *hypo, HypoTable *table);
extern IndexOptInfo *dbperf_hypo_info(HypoRelation *hypo, HypoTable *table, RelOptInfo *rel);
extern char			*dbperf_hypo_name(const IndexDef *def);

/* whatif.c */
extern HypoRelation *dbperf_hypo_planned(Oid oid);

/* hypo_btree.c */
extern void dbperf_hypo_size_btree(HypoRelation *hypo, HypoTable *table, HypoContents *contents);

/* hypo_gin.c */
extern void dbperf_hypo_size_gin(HypoRelation *hypo, HypoTable *table, HypoContents *contents);

/* hypo_size.c */
extern void
dbperf_hypo_column_facts(const HypoRelation *hypo, HypoTable *table, int i, ColumnFacts *facts);
extern void dbperf_hypo_estimate(HypoRelation *hypo, HypoTable *table, HypoContents *contents);

/* hypo_cost.c */
extern void dbperf_hypo_set_cost(IndexOptInfo *info, HypoRelation *hypo);

/* hypo_sample.c */
extern bool		   dbperf_hypo_as_owner(Oid owner, void (*function)(void *arg), void *arg);
extern HypoSample *dbperf_hypo_sample(WhatIf *whatif, HypoTable *table);

/* hypo_keys.c */
extern bool dbperf_hypo_value(const HypoContents *contents, const IndexDef *def, int place,
							  int column, Datum *value, bool *isnull);
extern bool dbperf_hypo_count_keys(const HypoContents *contents, const IndexDef *def, int first,
								   int nkeys, double tuples, KeyCounts *counts);
extern void dbperf_hypo_count_sampled(const SampledKey *keys, int nkeys, double scale, double kept,
									  KeyCounts *counts);
extern double dbperf_hypo_tuple_size(const HypoContents *contents, const IndexDef *def);
extern double dbperf_hypo_distinct(double total, double sampled, double distinct, double once);
extern Oid	  dbperf_hypo_stored_type(const IndexColumn *column);
extern uint64 dbperf_hypo_hash(Datum value, int16 len, bool byval);
extern int	  dbperf_hypo_width(Datum value, int16 len, char typalign, int *align);

/* hypo_stats.c */
extern HypoContents *dbperf_hypo_contents(WhatIf *whatif, HypoRelation *hypo, HypoTable *table);

DBPERF_PRIVATE_END

#endif /* DBPERF_HYPO_H */
