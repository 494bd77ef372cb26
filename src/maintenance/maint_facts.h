/*-------------------------------------------------------------------------
 *
 * maint_facts.h
 *		What the plan knows of the tables of the current database, and the
 *		steps from there to a list of what is due.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_FACTS_H
#define DBPERF_MAINT_FACTS_H

#include "maintenance/maint_plan.h"
#include "nodes/bitmapset.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

DBPERF_PRIVATE_BEGIN

/* Seconds after which a table that somebody else is at work on is looked at again. */
#define MAINT_RETRY 30

/* A table, a TOAST table, a partitioned table, or an index of one. */
typedef struct MaintRelation
{
	Oid			  oid; /* hash key, must be first */
	Oid			  schema;
	char		 *name;
	char		  kind; /* relkind */
	bool		  shared;
	double		  pages_then; /* as of the last VACUUM or ANALYZE */
	double		  rows;		  /* the same, -1 = not known */
	double		  visible;	  /* pages that were all-visible then */
	double		  pages;	  /* by the size of its file, -1 = not looked at yet */
	TransactionId frozenxid;
	MultiXactId	  minmxid;

	AutoVacOpts			 *options;	/* reloptions, NULL = none are set */
	StdRdOptIndexCleanup  cleanup;	/* reloption vacuum_index_cleanup */
	struct MaintRelation *main;		/* of a TOAST table (or NULL) and an index: whose it is */
	struct MaintRelation *parent;	/* of a partition */
	struct MaintRelation *children; /* its indexes, only those that are kept up */
	struct MaintRelation *sibling;	/* next index of the same table */

	DbperfRelationStats stats;			 /* not of indexes */
	Bitmapset		   *exprs;			 /* of an index: columns that are expressions */
	Bitmapset		   *have;			 /* columns that have statistics of the kind it needs */
	Bitmapset		   *missing;		 /* columns that should have */
	List			   *missing_objects; /* OIDs of extended statistics without data */
	int					columns;		 /* that should have statistics */
	int					target;			 /* the highest statistics target */

	/* of a partitioned table, from all of its leaves */
	int	   leaves;
	double leaf_rows;
	double leaf_pages;
	int64  leaf_changes; /* ever */
	int64  leaf_changed_since_analyze;
} MaintRelation;

/* What another process holds on a relation. */
typedef struct MaintLock
{
	Oid		 relation;
	int		 pid; /* 0 = a prepared transaction */
	LOCKMODE mode;
} MaintLock;

/* All of it; lives in its own memory context. */
typedef struct MaintFacts
{
	MemoryContext context;
	HTAB		 *relations; /* MaintRelation */
	List		 *tables;	 /* those that are to be judged */
	uint64		  changes;	 /* rows changed in tables of this database, ever */

	/* for the scores */
	TransactionId next_xid;
	MultiXactId	  next_mxid;
	int			  mxid_max_age;
	double		  xids_per_day;	 /* -1 = not known */
	double		  mxids_per_day; /* the same */
	bool		  any_window;	 /* a window is defined */
	bool		  window_open;	 /* and one is open */

	/* for what must wait */
	char		  *database;
	bool		   recovery;
	TimestampTz	   now;
	TimestampTz	   clock; /* by which windows are open */
	TimestampTz	   paused_until;
	TransactionId  horizons[MAINT_HORIZONS]; /* invalid = not asked for yet */
	bool		   waits_for_horizon;		 /* pages could be marked visible after it */
	bool		   holder_known[MAINT_HORIZONS];
	char		  *holders[MAINT_HORIZONS]; /* NULL = nobody is known */
	MaintPolicies *policies;
	MaintLock	  *locks; /* by relation */
	int			   num_locks;
} MaintFacts;

/* maint_gather.c */
extern MaintFacts	 *dbperf_maint_gather(Oid only_table);
extern MaintRelation *dbperf_maint_relation(MaintFacts *facts, Oid oid);
extern double		  dbperf_maint_pages(MaintRelation *relation);
extern double		  dbperf_maint_index_pages(const MaintRelation *table);
extern int64		  dbperf_maint_file_size(Oid oid);
extern char			 *dbperf_maint_qualified_name(const MaintRelation *relation);

/* maint_missing.c */
extern void	  dbperf_maint_read_columns(MaintFacts *facts, Oid relation);
extern void	  dbperf_maint_read_objects(MaintFacts *facts, Oid relation);
extern uint32 dbperf_maint_missing_hash(const MaintRelation *table);
extern char	 *dbperf_maint_missing_text(const MaintRelation *table);

/* maint_situation.c: what holds for all tables */
extern void			 dbperf_maint_read_situation(MaintFacts *facts);
extern TransactionId dbperf_maint_table_horizon(MaintFacts *facts, Oid table);
extern const char	*dbperf_maint_table_holder(MaintFacts *facts, Oid table);
extern char *dbperf_maint_lock_text(const MaintFacts *facts, Oid relation, bool *autovacuum);

/* maint_score.c */
extern double	  dbperf_maint_own_threshold(double rows);
extern MaintItem *dbperf_maint_new_item(const MaintFacts *facts, MaintRelation *table,
										MaintAction action, double score);
extern void		  dbperf_maint_remember_table(Oid table, MaintAction action, MaintMemory *memory);
extern MaintItem *
dbperf_maint_score_vacuum(MaintFacts *facts, MaintRelation *table, double min_score);

/* maint_score_freeze.c */
extern MaintItem *
dbperf_maint_score_freeze(MaintFacts *facts, MaintRelation *table, double min_score);

/* maint_score_analyze.c */
extern MaintItem *
dbperf_maint_score_analyze(MaintFacts *facts, MaintRelation *table, double min_score);

/* maint_gate.c */
extern void dbperf_maint_gate(MaintFacts *facts, MaintItem *item);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_FACTS_H */
