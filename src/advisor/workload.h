/*-------------------------------------------------------------------------
 *
 * workload.h
 *		The statements that advice is for, and safe ways to analyse them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_WORKLOAD_H
#define DBPERF_WORKLOAD_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

DBPERF_PRIVATE_BEGIN

#define SUBJECT_MAX_SETS 5

/* A planner setting of the role or the database that a statement ran under. */
typedef struct SubjectSetting
{
	char *name;
	char *value; /* NULL = the value that the session began with */
} SubjectSetting;

/*
 * One statement of the workload.  What could not be analysed has a problem,
 * a sentence for the user, and takes no part in anything else.
 */
typedef struct Subject
{
	int				number; /* place in the workload, from 0 */
	int64			id;		/* query id, or the position (from 1) in an explicit array */
	bool			explicit_text;
	Oid				role; /* whose rights it is analysed with */
	char		   *text;
	char		   *normalized;	 /* to be tried if text does not parse, or NULL */
	List		   *search_path; /* OIDs of schemas */
	bool			has_path;	 /* false: the caller's or the role's own search_path */
	bool			nested;		 /* ran inside of a function, whose variables it may name */
	bool			ignored;	 /* its problem is not worth telling: no table, no query */
	List		   *settings;	 /* SubjectSetting that differ from the session's */
	int				nparams;
	Oid			   *param_types;  /* InvalidOid = to be found by analysis */
	char		  **param_values; /* as text, NULL = null; whole array NULL = not known */
	bool		   *param_known;  /* whether param_values[i] is to be believed */
	double			calls;		  /* 1 for explicit texts */
	double			total_ms;	  /* 0 for explicit texts */
	TimestampTz		first_seen;	  /* when its first and its last execution ended; ... */
	TimestampTz		last_seen;	  /* ... 0 = not known, or explicit */
	double			weight;		  /* of one unit of cost; set once cost_before is known */
	double			cost_before;
	const char	   *problem; /* NULL = can be analysed */
	ErrorData	   *error;	 /* the problem as it was raised, or NULL */
	struct RawStmt *raw;	 /* parsed once (copied before each analysis) */
	int				nsets;	 /* of sets, 0 = not yet made */
	ParamListInfo  *sets;	 /* of the first analysis */
} Subject;

typedef struct Workload
{
	List	   *subjects; /* Subject, in the order of number */
	bool		explicit_texts;
	TimestampTz since;	 /* when recording of the oldest began; 0 = explicit */
	double		seconds; /* that it was recorded over; 0 = explicit */
} Workload;

/* A subject that is analysed now, valid inside of the visitor only. */
typedef struct Analyzed
{
	List		  *queries; /* rewritten Query, plannable ones only (no utility) */
	int			   nsets;	/* >= 1: each query is planned with each set ... */
	ParamListInfo *sets;	/* ... and the mean cost counts; never NULL entries */
	int			   cursor_options;
} Analyzed;

typedef void (*SubjectVisitor)(Subject *subject, const Analyzed *analyzed, void *arg);

/* workload.c */

/*
 * The recorded workload of the current database, as far as the caller may see
 * it: samples of the monitor, and pg_stat_statements' texts for queries that
 * have no sample.
 */
extern Workload *dbperf_workload_recorded(void);

/* Explicit texts.  Null elements become subjects with a problem. */
extern Workload *dbperf_workload_explicit(ArrayType *texts);

/* visit.c */

/*
 * Analyses the subject and calls the visitor with it: in an internal
 * subtransaction that is always rolled back, so that all locks are released;
 * as the subject's role in a security-restricted operation, with its
 * search_path, its and the database's planner settings, a short lock_timeout,
 * and the visitor's planning limited to timeout_ms (0 = no limit).
 *
 * The visitor runs in a memory context that is gone afterwards: what it wants
 * to keep it copies to a context of its own.
 *
 * Returns whether the visitor has returned.  If not, subject->problem is set
 * for errors that mean "cannot be analysed", except for the own timeout, for
 * which *timed_out is set instead.  Cancel, shutdown, deadlock, out of memory
 * and the like are re-thrown.
 */
extern bool dbperf_subject_visit(Subject *subject, int timeout_ms, SubjectVisitor visitor,
								 void *arg, bool *timed_out);

/*
 * Raises the own timeout's error if the visit's time is over: for long work
 * inside of a visitor, and called from the planner's hooks (see whatif.c).
 */
extern void dbperf_visit_check_time(void);

/* rights.c */

/*
 * Becomes the role in a security-restricted operation, until
 * dbperf_rights_restore() or the end of the (sub)transaction by an error.
 */
typedef struct SavedRights
{
	Oid role;
	int context;
} SavedRights;

extern SavedRights dbperf_rights_become(Oid role);
extern void		   dbperf_rights_restore(SavedRights saved);

/*
 * If the current role is powerful, then from here on to dbperf_rights_trust_end()
 * it can call no function but built-in ones and those owned by superusers: others
 * raise an error.  What is examined beforehand may be changed by a table's owner
 * in between, and this catches it.  Returns whether it has begun: it has not for
 * other roles, and not if it was on already.  The end must be reached after an
 * error, too.
 */
extern bool dbperf_rights_trust_begin(void);
extern void dbperf_rights_trust_end(void);

/* A superuser, or a member of a role that can do what superusers can. */
extern bool dbperf_role_is_powerful(Oid role);

/*
 * NULL if planning the query runs no function but built-in ones and those
 * owned by superusers; else a sentence that names the first other one.  Covers
 * the tree and what the planner evaluates of its relations: index expressions
 * and predicates, constraints, partition keys, extended statistics.
 */
extern char *dbperf_untrusted_in_query(Query *query);

/* The same for one expression, whose functions may also be owned by "owner". */
extern char *dbperf_untrusted_in_expr(Node *expr, Oid owner);

/* The same for what planning evaluates of one relation (and its partitions). */
extern char *dbperf_untrusted_in_relation(Oid relid);

DBPERF_PRIVATE_END

#endif /* DBPERF_WORKLOAD_H */
