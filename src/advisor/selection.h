/*-------------------------------------------------------------------------
 *
 * selection.h
 *		Chooses among the candidates: the objective and the search for the set
 *		of indexes that makes it smallest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_SELECTION_H
#define DBPERF_SELECTION_H

#include "advisor/advise.h"
#include "advisor/cost_cache.h"
#include "advisor/write_cost.h"

DBPERF_PRIVATE_BEGIN

/* A set of candidates and what the workload costs with it. */
typedef struct Config
{
	Bitmapset *set;
	int		   count;
	int64	   bytes;
	double	   objective; /* weighted costs plus writes */
	double	   writes;	  /* the part of it that is writes */
	double	  *costs;	  /* by number of the subject */
} Config;

typedef struct Selection
{
	MemoryContext		 context; /* what is kept until the selection ends */
	MemoryContext		 scratch; /* reset by each evaluation */
	const AdviseRequest *request;
	CostCache			*cache;
	WriteCosts			*writes;
	double				 total_ms;	 /* of all analysed subjects */
	double				 min_saving; /* of one execution, to be worth an index */
	Bitmapset			*alive;		 /* candidates that some plan used */
	List				*bundles;	 /* Bitmapset: candidates used together */
	int64				 work;		 /* costs of subjects looked up so far */
} Selection;

/* selection.c */
extern Selection *
dbperf_selection_create(const AdviseRequest *request, CostCache *cache, WriteCosts *writes);
extern int64  dbperf_candidate_bytes(Selection *sel, int id);
extern bool	  dbperf_selection_fits(Selection *sel, const Bitmapset *set);
extern double dbperf_selection_bound(Selection *sel, const Config *from, const Bitmapset *set);
extern double dbperf_selection_estimate(Selection *sel, const Config *from, const Bitmapset *set);
extern double
dbperf_selection_evaluate(Selection *sel, const Config *from, const Bitmapset *set, double cutoff);
extern Config *dbperf_config_empty(Selection *sel);
extern Config *dbperf_config_with(Selection *sel, const Config *from, const Bitmapset *set);
extern void	   dbperf_config_free(Config *config);
extern bool	   dbperf_selection_qualifies(Selection *sel, const Config *from, const Config *to);

/* selection_greedy.c */
extern Config *dbperf_selection_greedy(Selection *sel, const Config *start, const Bitmapset *banned,
									   double by_bytes);
extern Config *dbperf_selection_prune(Selection *sel, Config *config);

/* selection_tidy.c */
extern Config *dbperf_selection_tidy(Selection *sel, Config *config);

/* selection_rank.c */
extern List *dbperf_selection_rank(Selection *sel, const Config *empty, const Config *config);

/* rounds.c */
extern void dbperf_rounds_own(Selection *sel);
extern void dbperf_rounds_foreign(Selection *sel);

/* replace.c */
extern void dbperf_advice_find_replaced(Selection *sel, List *advice, const Config *final);

/* reason.c */
extern char *dbperf_advice_reason(Selection *sel, const Workload *workload, const Advice *advice,
								  const Config *from, const Config *to);

/* selection_search.c */
extern Config *dbperf_selection_search(Selection *sel, Config *config, bool variants);

/* selection_explore.c */
extern Config *dbperf_selection_explore(Selection *sel, Config *config);
extern Config *dbperf_selection_branch(Selection *sel, const Config *empty, Config *config);

/* selection_variants.c */

/* Indexes of a configuration that one other index could stand in for. */
typedef struct Replacement
{
	Bitmapset *removed;
	int		   added; /* candidate, or -1 = only take out */
} Replacement;

extern List *dbperf_selection_variants(Selection *sel, const Config *config);

DBPERF_PRIVATE_END

#endif /* DBPERF_SELECTION_H */
