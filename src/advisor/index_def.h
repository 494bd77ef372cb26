/*-------------------------------------------------------------------------
 *
 * index_def.h
 *		The definition of an index, real or not: what it indexes and how.
 *
 * All trees in a definition have varno 1 and the attribute numbers of the
 * definition's own table, as in pg_index.  Nothing here evaluates a user's
 * expression: definitions of real indexes come from the stored trees of
 * pg_index, never from the relation cache, which folds constants.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_INDEX_DEF_H
#define DBPERF_INDEX_DEF_H

#include "core/compat.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

DBPERF_PRIVATE_BEGIN

/* One column of an index: of the key, or only carried along (INCLUDE). */
typedef struct IndexColumn
{
	AttrNumber attno; /* of the table; InvalidAttrNumber = an expression */
	Node	  *expr;  /* the expression, or NULL for a plain column */
	Oid		   type;  /* of the column or expression, not of what is stored */
	int32	   typmod;
	Oid		   collation;
	Oid		   opclass; /* InvalidOid for INCLUDE columns */
	bool	   desc;
	bool	   nulls_first;
} IndexColumn;

typedef struct IndexDef
{
	Oid			relid; /* of the table; may be partitioned */
	Oid			am;	   /* access method */
	bool		unique;
	int			nkeys;			 /* key columns ... */
	int			ncolumns;		 /* ... and INCLUDE columns behind them */
	int			pages_per_range; /* BRIN; 0 = default */
	List	   *predicate;		 /* implicit AND of a partial index, or NIL */
	IndexColumn columns[INDEX_MAX_KEYS];
} IndexDef;

/* A real index, with what matters for advice. */
typedef struct RealIndex
{
	Oid		  oid;
	char	 *name; /* unqualified, unquoted */
	IndexDef *def;
	int64	  bytes;	/* main fork, partitions included */
	bool	  valid;	/* and ready and live: queries may use it */
	bool	  leftover; /* INVALID, and nobody builds it now */
	bool	  primary;
	bool	  unique;
	bool	  exclusion;
	bool	  constraint; /* some constraint is built on it, or an FK uses it */
	bool	  replica_identity;
	bool	  clustered;
	bool	  partition; /* it belongs to an index of the parent table */
	double	  scans;	 /* idx_scan since the statistics were reset, partitions included */
} RealIndex;

/* index_def.c */

/*
 * Definition of a real index; NULL if it is gone.  Takes no lock on the index
 * and needs none on the table; reads the catalog only.
 */
extern IndexDef *dbperf_index_def_of(Oid indexid);

/* All indexes of a table as RealIndex, ordered by oid. */
extern List *dbperf_real_indexes(Oid relid);

extern IndexDef *dbperf_index_def_copy(const IndexDef *def);

/*
 * Whether the table still has what the definition speaks of: columns with
 * these types.  Table statistics may have changed, the shape must not.
 */
extern bool dbperf_index_def_valid(const IndexDef *def);

/*
 * The same definition for a partition or child table of def's table, attribute
 * numbers mapped by name; NULL if it lacks a column.
 */
extern IndexDef *dbperf_index_def_for_child(const IndexDef *def, Oid child);

/* index_match.c */

/*
 * Same table, method, columns, order, operator classes and predicate.  Neither
 * the order of INCLUDE columns counts, nor whether it is unique.
 */
extern bool dbperf_index_def_equal(const IndexDef *a, const IndexDef *b);

/*
 * Whether "wide" serves whatever "narrow" serves: same table and method, equal
 * predicate (or none), and narrow's key is a prefix of wide's (btree; scanning
 * backwards counts), its INCLUDE columns are in wide.
 */
extern bool dbperf_index_def_serves(const IndexDef *wide, const IndexDef *narrow);

/* Hash that is equal for equal definitions. */
extern uint32 dbperf_index_def_hash(const IndexDef *def);

/*
 * Whether two expressions are the same but for the way they were written: how
 * casts look, which side of an operator the constant is on, and the like.
 * Evaluates nothing.
 */
extern bool dbperf_index_expr_equal(const Node *a, const Node *b);

/* The same for two lists in implicit AND, in any order. */
extern bool dbperf_index_predicate_equal(const List *a, const List *b);

/*
 * Those of real_indexes (RealIndex, of the same table) that nobody needs once
 * "created" exists, and that may be dropped: no constraint, replica identity
 * and so on depends on them.
 */
extern List *dbperf_index_def_superseded(const IndexDef *created, List *real_indexes);

/* index_parse.c */

/*
 * Definition from the text of one CREATE INDEX statement, analysed as the
 * current role with the current search_path.  Errors as CREATE INDEX itself:
 * syntax, no such table or column, not immutable.  Needs the right to see the
 * table (SELECT on it or ownership), not the right to create.
 */
extern IndexDef *dbperf_index_def_parse(const char *ddl);

/* index_ddl.c */

/*
 * The statement that creates it, one line, every name qualified and quoted
 * where needed.  name NULL = let dbperf choose one that is free.
 * A partitioned table gives the first statement (ON ONLY) here;
 * dbperf_index_def_script() gives all of them.
 */
extern char *dbperf_index_def_ddl(const IndexDef *def, const char *name, bool concurrently);

/* All statements in order, a List of char *: more than one if partitioned. */
extern List *dbperf_index_def_script(const IndexDef *def, const char *name);

/*
 * What identifies it among advice: DDL without a name and CONCURRENTLY, as in
 * "ON shop.orders USING btree (customer_id) WHERE ...".
 */
extern char *dbperf_index_def_identity(const IndexDef *def);

/* A name for it that no relation of the schema has; at most NAMEDATALEN - 1. */
extern char *dbperf_index_def_name(const IndexDef *def);

/* The same, and not one of "taken" (List of char *), names chosen before. */
extern char *dbperf_index_def_name_free(const IndexDef *def, List *taken);

/* "schema.table", quoted where needed; the schema always.  The OID if it is gone. */
extern char *dbperf_table_name(Oid relid);

DBPERF_PRIVATE_END

#endif /* DBPERF_INDEX_DEF_H */
