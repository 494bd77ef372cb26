/*-------------------------------------------------------------------------
 *
 * usages.h
 *		What one analysed query asks of its tables, in detail: the input of the
 *		generators of candidates.  Private to candidates.c, candidate_*.c and
 *		usage*.c.
 *
 * Everything here lives in the memory context of the subject's visit, except
 * CandidateTable, which lives as long as its set.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_USAGES_H
#define DBPERF_USAGES_H

#include "advisor/candidates.h"
#include "nodes/primnodes.h"

DBPERF_PRIVATE_BEGIN

/* Columns that are wider on average do not fit into a btree's pages. */
#define MAX_BTREE_KEY_WIDTH 2000

/* Statistics of one column, as far as candidates depend on them. */
typedef struct ColumnStats
{
	bool   known;		/* false: defaults */
	bool   not_null;	/* declared so */
	double distinct;	/* number of different values, > 0 */
	double nulls;		/* fraction, 0..1 */
	int	   width;		/* average, bytes */
	double correlation; /* with the physical order, -1..1; 0 = not known */
} ColumnStats;

/* A table, once per set. */
typedef struct CandidateTable
{
	Oid			 relid;
	const char	*problem;  /* why it gets no candidates, or NULL */
	const char	*note;	   /* words for every candidate, or NULL */
	bool		 remarked; /* its problem is among the remarks */
	bool		 partitioned;
	Oid			 largest; /* partition, whose statistics stand in for the table's */
	int64		 pages;	  /* of all partitions */
	double		 tuples;  /* -1 = never analyzed and none seen */
	int			 row_width;
	AttrNumber	 natts;
	ColumnStats *columns; /* by attno - 1 */
	List		*reals;	  /* RealIndex */
	int			 ncandidates;
	int			 subject;  /* the last one that had a candidate for it ... */
	int			 proposed; /* ... and how many */
} CandidateTable;

/* A base relation in one place of a query. */
typedef struct TableUse
{
	CandidateTable *table;
	int				serial;		 /* unique in the query */
	bool			fetches_row; /* it is written or locked: no index-only scan */
	bool			whole_row;	 /* all columns are referenced */
	Bitmapset	   *referenced;	 /* attribute numbers, > 0 */
	Bitmapset	   *repeated;	 /* those of them that are more than once */
	List		   *conditions;	 /* Condition, ANDed */
	List		   *arms;		 /* of ORs: List of List of Condition */
	List		   *orderings;	 /* Ordering */
} TableUse;

/* One level of a query: a SELECT, a subquery, a CTE, a sublink ... */
typedef struct QueryLevel
{
	Query			   *query;
	int					serial; /* place in the list of levels */
	struct QueryLevel  *parent;
	TableUse		  **tables;		/* by range table index - 1, NULL = none */
	struct QueryLevel **subs;		/* of subqueries in FROM, likewise */
	List			   *ctes;		/* QueryLevel, as in cteList */
	bool				all_needed; /* every output column is looked at */
	Bitmapset		   *needed;		/* ... or these */
} QueryLevel;

/* One thing that a query asks of a table's rows. */
typedef struct Condition
{
	TableUse   *use;
	UsageKind	kind;
	IndexColumn column;	 /* what an index must have; with its operator class */
	Oid			am;		 /* in which access method */
	Oid			opno;	 /* the operator, column on the left */
	int			partner; /* what it is compared with; 0 = no column */
	bool		list;	 /* IN: no order of other columns behind it */
	bool		negated; /* IS NOT NULL, NOT column */
	Const	   *value;	 /* a literal it is compared with, or NULL */
	Node	   *clause;	 /* with varno 1, fit for a partial index, or NULL */
	List	   *row;	 /* IndexColumn: the other columns of (a, b) > (1, 2) */
	int			usage;	 /* place in the set's usages */
} Condition;

/* An order or a grouping that an index could deliver. */
typedef struct Ordering
{
	TableUse *use;
	UsageKind kind;	   /* USAGE_ORDER or USAGE_GROUP */
	Oid		  am;	   /* btree, or GiST for a distance */
	List	 *columns; /* IndexColumn */
	bool	  limit;   /* only the first rows are wanted */
	int		  usage;
} Ordering;

/* All of one statement. */
typedef struct QueryUses
{
	CandidateSet *set;
	Subject		 *subject;
	ParamListInfo params; /* values of $n, or NULL */
	List		 *levels; /* QueryLevel, parents before children */
	List		 *uses;	  /* TableUse */
} QueryUses;

/* usages.c */
extern void		   dbperf_usages_collect(QueryUses *uses, Query *query);
extern QueryLevel *dbperf_usages_level_of(QueryUses *uses, Query *subselect);

/* usage_clauses.c */
extern void dbperf_usages_of_level(QueryUses *uses, QueryLevel *level);

/* usage_operators.c */
extern void
dbperf_usages_of_operator(QueryUses *uses, const Condition *condition, Node *other, List **out);
extern bool dbperf_usage_distance_class(Oid opno, Oid type, Oid *am, Oid *opclass);

/* usage_orders.c */
extern void dbperf_usages_of_orders(QueryUses *uses, QueryLevel *level);

/* usage_exprs.c */

/* Where an expression's column comes from. */
typedef struct UsageKey
{
	TableUse   *use;
	IndexColumn column; /* without an operator class */
} UsageKey;

extern Node		  *dbperf_usage_canonical(QueryLevel *level, Node *node);
extern List		  *dbperf_usage_keys(QueryLevel *level, Node *node);
extern Node		  *dbperf_usage_clause(QueryLevel *level, Node *clause, TableUse *use);
extern int		   dbperf_usage_partner(QueryLevel *level, Node *node);
extern bool		   dbperf_usage_independent(QueryLevel *level, Node *key, Node *other);
extern QueryLevel *dbperf_usage_cte_level(QueryLevel *level, RangeTblEntry *rte);

/* usage_text.c */
extern int dbperf_usage_add(QueryUses *uses, Usage *usage, List *columns, bool negated);

/* candidate_table.c */
extern CandidateTable	 *dbperf_candidate_table(CandidateSet *set, Oid relid);
extern const ColumnStats *dbperf_candidate_column(CandidateTable *table, const IndexColumn *column);
extern double dbperf_candidate_frequency(CandidateTable *table, AttrNumber attno, Const *value);
extern void	  dbperf_candidate_remark(CandidateSet *set, Oid relid, int subject, const char *text);

/* candidate_column.c */
extern bool dbperf_column_same(const IndexColumn *a, const IndexColumn *b);
extern bool dbperf_column_in(const IndexColumn *column, List *columns);
extern int	dbperf_column_in_key(const IndexColumn *column, const IndexDef *def);

/* candidate_btree.c */

/* The conditions of a use (or of one arm of an OR) by what they do in a key. */
typedef struct KeyParts
{
	List *equal;  /* IndexColumn: equal to a value, most selective first */
	List *lists;  /* those of them that are IN lists */
	List *joins;  /* List of IndexColumn for each partner */
	List *ranges; /* List of IndexColumn: one, or more for (a, b) > (1, 2) */
} KeyParts;

extern void dbperf_candidates_btree(QueryUses *uses, TableUse *use);
extern void dbperf_key_parts(TableUse *use, List *conditions, KeyParts *parts);
extern bool dbperf_candidates_key(QueryUses *uses, TableUse *use, List *equal, List *rest,
								  List *predicate, bool cover);

/* candidate_partial.c */
extern void dbperf_candidates_partial(QueryUses *uses, TableUse *use);

/* candidate_cover.c */
extern bool dbperf_candidate_too_wide(const CandidateTable *table, const IndexDef *def);
extern bool
dbperf_candidate_cover(const CandidateTable *table, IndexDef *def, const Bitmapset *columns);

/* candidate_class.c */
extern void dbperf_candidates_class(QueryUses *uses, TableUse *use);

/* candidate_serves.c */
extern bool dbperf_candidate_in_predicate(const IndexDef *def, AttrNumber attno);
extern bool dbperf_candidate_serves(const IndexDef *def, int nequal, const Usage *usage);

/* candidate_merge.c */
extern void dbperf_candidates_merge_table(CandidateSet *set, Oid relid);

/* candidates.c */
extern bool
dbperf_candidate_propose(QueryUses *uses, TableUse *use, const IndexDef *def, int nequal);

DBPERF_PRIVATE_END

#endif /* DBPERF_USAGES_H */
