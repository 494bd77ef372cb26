/*-------------------------------------------------------------------------
 *
 * drops.h
 *		Which indexes nobody needs, and what else is found about indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_DROPS_H
#define DBPERF_DROPS_H

#include "advisor/index_def.h"
#include "datatype/timestamp.h"

DBPERF_PRIVATE_BEGIN

typedef enum DropReason
{
	DROP_INVALID,	/* left over from a build that failed */
	DROP_DUPLICATE, /* there is an equal one */
	DROP_COVERED,	/* another one serves whatever it serves */
	DROP_UNUSED		/* no scan since "since" */
} DropReason;

/* An index that may be dropped, as far as the catalog tells. */
typedef struct DropProposal
{
	RealIndex  *real;
	DropReason	reason;
	RealIndex  *replaced_by; /* for duplicate and covered ones, else NULL */
	TimestampTz since;		 /* its scans are counted from then on */
	List	   *indexes;	 /* OIDs: it, and those of partitions that belong to it */
	List	   *tables;		 /* OIDs of their tables */
	double		before;		 /* cost of the statements that touch the tables ... */
	double		after;		 /* ... and without the index; both 0 = there are none */
	bool		rejected;	 /* the workload would become dearer */
} DropProposal;

/* A foreign key of a table. */
typedef struct ForeignKey
{
	char	  *name;
	Oid		   referenced; /* table */
	bool	   inherited;  /* the parent table has it, too */
	int		   ncolumns;
	AttrNumber columns[INDEX_MAX_KEYS];
} ForeignKey;

/* Whether two lists have an OID in common. */
static inline bool
dbperf_oids_overlap(const List *a, const List *b)
{
	ListCell *lc;

	foreach (lc, a)
	{
		if (list_member_oid(b, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* drops.c */

/*
 * What may be dropped of the tables that the caller may see.  unused_before:
 * indexes without a scan since then, or longer, count as unused.
 */
extern List *dbperf_drop_proposals(TimestampTz unused_before);

/* Judged by the recorded workload.  Returns how many statements were not. */
extern int dbperf_drops_judge(List *proposals, int limit_ms);

/* table_list.c */

/*
 * OIDs of the tables and materialized views that advice may speak of: not
 * temporary, of no catalog and no extension, and the caller owns them or may
 * read them.  Ordered by OID, partitioned tables last.
 */
extern List *dbperf_tables_visible(void);

/* Bytes of the main fork, partitions included, without waiting for a lock. */
extern int64 dbperf_relation_bytes(Oid relid);

/* foreign_keys.c */

/* All foreign keys of a table, as ForeignKey. */
extern List *dbperf_foreign_keys(Oid relid);

/*
 * How many columns of the key an index can look up at once: its first columns
 * that are columns of the key.  0 = it is of no use to the key.
 */
extern int dbperf_foreign_key_support(const ForeignKey *key, const RealIndex *real);

DBPERF_PRIVATE_END

#endif /* DBPERF_DROPS_H */
