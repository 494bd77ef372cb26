/*-------------------------------------------------------------------------
 *
 * write_cost.h
 *		What indexes cost those who write to their tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_WRITE_COST_H
#define DBPERF_WRITE_COST_H

#include "advisor/cost_cache.h"

DBPERF_PRIVATE_BEGIN

/* What one plan of a statement writes to a table. */
typedef struct Write
{
	Subject	  *subject;
	CmdType	   operation;
	double	   rows;  /* over the whole workload */
	Bitmapset *attrs; /* that an UPDATE changes, numbered as pull_varattnos() does */
} Write;

/* Updates that are known to change certain columns. */
typedef struct KnownUpdate
{
	Bitmapset *attrs; /* numbered as pull_varattnos() does */
	double	   rows;
} KnownUpdate;

typedef struct TableWrites
{
	Oid		   relid;
	List	  *writes;	/* Write */
	Bitmapset *fillers; /* numbers of the subjects that INSERT into it */
	double	   loaded;	/* rows that INSERTs wrote which are over */
	List	  *users;	/* Subject that do anything else with it */
	double	   inserts; /* rows, over the whole workload */
	double	   deletes;
	double	   updates;		  /* of columns that nobody knows */
	List	  *known_updates; /* KnownUpdate */
	bool	   described;	  /* whether what follows is filled */
	double	   rows;		  /* that the table has */
	double	   pages;
	double	   hot;			   /* share of updates that spare the indexes */
	double	   existing;	   /* what one row costs in all of its real indexes */
	Bitmapset *existing_attrs; /* columns in those */
} TableWrites;

typedef struct WriteCosts
{
	MemoryContext context;
	CostCache	 *cache;
	double		  scale;	/* from planner's units to those of the objective */
	List		 *tables;	/* TableWrites */
	int			  nindexes; /* length of the next two arrays */
	double		 *units;	/* by candidate: cost of one entry, -1 = not yet known */
	Bitmapset	**attrs;	/* by candidate: columns it depends on */
} WriteCosts;

/* write_cost.c */
extern WriteCosts *dbperf_write_costs_create(CostCache *cache);
extern void
dbperf_write_costs_observe(Subject *subject, PlannedStmt *plan, double share, void *arg);
extern void	  dbperf_write_costs_finish(WriteCosts *writes, Workload *workload);
extern double dbperf_table_pages(WriteCosts *writes, Oid relid);
extern double dbperf_write_cost_of(WriteCosts *writes, const Bitmapset *set);
extern double dbperf_write_rows(WriteCosts *writes, int id);
extern double dbperf_write_overhead_pct(WriteCosts *writes, int id);

/* write_setup.c */
extern bool dbperf_write_is_over(const TableWrites *table, const Subject *writer);

DBPERF_PRIVATE_END

#endif /* DBPERF_WRITE_COST_H */
