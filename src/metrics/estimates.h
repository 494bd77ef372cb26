/*-------------------------------------------------------------------------
 *
 * estimates.h
 *		What is too dear to be counted whenever somebody asks: bloat, sizes,
 *		coverage by indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ESTIMATES_H
#define DBPERF_ESTIMATES_H

#include "core/compat.h"
#include "datatype/timestamp.h"

DBPERF_PRIVATE_BEGIN

/* How much room a relation takes, and how much its rows need. */
typedef struct BloatEstimate
{
	Oid			relation;
	bool		index;
	double		pages;	/* by the last VACUUM or ANALYZE */
	double		needed; /* after a rewrite; void without a method */
	const char *method; /* how that is known, NULL = not known */
} BloatEstimate;

typedef void (*BloatVisit)(const BloatEstimate *estimate, void *arg);

/* A column of a relation as the statistics describe it. */
typedef struct EstimateColumn
{
	bool   key;	   /* of an index: not an INCLUDE column */
	bool   known;  /* there are statistics, or its values are all alike */
	int	   len;	   /* as in pg_attribute: negative = it varies */
	int	   align;  /* bytes */
	bool   packed; /* may be stored with a short header, which is not aligned */
	double width;  /* mean of values that are not null */
	double null_frac;
	double distinct; /* as in pg_statistic, 0 = not known */
} EstimateColumn;

/* A relation with its columns. */
typedef struct EstimateRelation
{
	Oid			   oid;
	bool		   index;
	double		   pages;
	double		   rows;
	double		   table_rows; /* of an index's table */
	int			   fillfactor;
	bool		   btree;
	bool		   deduplicated;	/* equal keys share a tuple */
	double		   measured;		/* pages that it needs, by other means; negative = none */
	char		   measured_by[64]; /* which means */
	int			   ncolumns;
	EstimateColumn columns[MaxTupleAttributeNumber];
} EstimateRelation;

/* What is known of a database. */
typedef struct DatabaseEstimate
{
	Oid			database; /* InvalidOid = unused */
	char		name[NAMEDATALEN];
	TimestampTz taken;
	double		size;		 /* bytes */
	double		table_bloat; /* bytes */
	double		index_bloat; /* bytes */
	double		unknown;	 /* relations without the statistics that it takes */
	TimestampTz covered;	 /* when the coverage was measured, 0 = it was not */
	double		coverage;	 /* ratio; NaN = there is nothing to cover, or it is not known */
	int64		indexes;	 /* that the coverage is of: see dbperf_estimates_indexes */
} DatabaseEstimate;

/* estimates_columns.c */
extern void
dbperf_estimate_read(const char *sql, void (*relation)(EstimateRelation *relation, void *arg),
					 void		*arg);
extern double dbperf_estimate_data_size(const EstimateColumn *columns, int n, bool *varies);

/* estimates_table.c */
extern void dbperf_estimate_tables(BloatVisit visit, void *arg);

/* estimates_index.c */
extern void dbperf_estimate_indexes(BloatVisit visit, void *arg);

/* estimates_kept.c */
extern void dbperf_estimates_kept_init(void);
extern void dbperf_estimates_keep(const DatabaseEstimate *estimate);
extern bool dbperf_estimates_of(Oid database, DatabaseEstimate *estimate);

/* estimates_stale.c */
extern int64 dbperf_estimates_indexes(void);
extern void	 dbperf_estimates_renew(const DatabaseEstimate *estimate);
extern bool	 dbperf_estimates_stale(const DatabaseEstimate *estimate);

/* estimates.c */
extern int	dbperf_estimates_interval;
extern void dbperf_estimates_ask(void);
extern void dbperf_estimates_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_ESTIMATES_H */
