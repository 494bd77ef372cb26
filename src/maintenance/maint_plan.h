/*-------------------------------------------------------------------------
 *
 * maint_plan.h
 *		What is due in the current database: facts, scores, policies, and the
 *		parts of a run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_PLAN_H
#define DBPERF_MAINT_PLAN_H

#include "maintenance/maint_state.h"
#include "nodes/pg_list.h"

DBPERF_PRIVATE_BEGIN

/* ---- policies and windows ---- */

#define MAINT_PATTERN_SIZE 256
#define MAINT_ZONE_SIZE 256
#define MAINT_MAX_POLICIES 256
#define MAINT_MAX_WINDOWS 64

/* When a window is open: on these days from start to end, in its time zone. */
typedef struct MaintWindow
{
	char  name[NAMEDATALEN];
	uint8 days;	 /* bit 0 = Sunday; the day on which it opens */
	int	  start; /* seconds since midnight, local time */
	int	  end;	 /* the same, up to 24 h; before start: on the next day */
	char  zone[MAINT_ZONE_SIZE];
} MaintWindow;

/* A row of maintenance_policy. */
typedef struct MaintPolicy
{
	int64  id;
	char   database_pattern[MAINT_PATTERN_SIZE]; /* as of LIKE */
	char   schema_pattern[MAINT_PATTERN_SIZE];
	char   table_pattern[MAINT_PATTERN_SIZE];
	bool   enabled;
	uint32 actions; /* 1 << MaintAction */
	int	   window;	/* index in windows, -1 = any time */
	int	   priority;
	int	   cost_limit; /* 0 = dbperf.maintenance_cost_limit_max */
	int	   time_limit; /* seconds, of one action, 0 = none */
} MaintPolicy;

typedef struct MaintPolicies
{
	int			num_policies; /* best first: by priority, then the newest */
	int			num_windows;
	MaintPolicy policies[MAINT_MAX_POLICIES];
	MaintWindow windows[MAINT_MAX_WINDOWS];
} MaintPolicies;

/* maint_policy.c */
extern void			  dbperf_maint_policy_init(void);
extern MaintPolicies *dbperf_maint_policies(void);
extern const MaintPolicy *
dbperf_maint_policy_for(const MaintPolicies *policies, const char *database, const char *schema,
						const char *table);
extern bool dbperf_maint_database_enabled(const MaintPolicies *policies, const char *database);
extern bool dbperf_maint_policy_publish(void);

/* maint_window.c */
extern bool
dbperf_maint_window_open(const MaintWindow *window, TimestampTz at, TimestampTz *changes);
extern bool dbperf_maint_any_window_open(const MaintPolicies *policies, TimestampTz at);

/* ---- the plan ---- */

/* Something to be done, or that would be if it were not for not_now. */
typedef struct MaintItem
{
	Oid			 table;		  /* the table, that workers claim */
	Oid			 object;	  /* the table itself or one of its indexes */
	char		*object_name; /* qualified and quoted */
	MaintAction	 action;
	char		*command; /* one utility command, or one SELECT of a function */
	double		 score;	  /* > 1 is due */
	char		*reason;  /* a sentence, with the numbers */
	double		 est_pages;
	double		 est_seconds;
	char		*not_now;	 /* a sentence, NULL = it may run now */
	TimestampTz	 not_before; /* when not_now may be over, DT_NOEND = not known, 0 = now */
	bool		 horizon;	 /* not_now is the horizon */
	bool		 wraparound; /* age is over autovacuum_freeze_max_age: yields to nobody */
	int			 priority;
	int			 cost_limit_max;
	int			 time_limit; /* seconds, 0 = none */
	TimestampTz	 window_end; /* DT_NOEND = no window */
	uint32		 missing;	 /* analyze: hash of what has no statistics */
	int64		 changes;	 /* analyze of a parent: changes of its leaves */
	bool		 by_hand;	 /* only reported: no worker ever runs it, whoever asks */
	MaintFigures before;
} MaintItem;

/* What a round of planning has found. */
typedef struct MaintPlan
{
	List		 *items;   /* MaintItem with score >= min_score, in order of execution */
	TransactionId horizon; /* of the current database */
	bool		  waits_for_horizon;
	TimestampTz	  next_look; /* when something that is not now may be, DT_NOEND = not known */
	uint64		  changes;	 /* rows changed in all tables, ever */
} MaintPlan;

/* maint_gather.c / maint_score.c */
extern MaintPlan *dbperf_maint_make_plan(double min_score, Oid only_table);
extern MaintItem *dbperf_maint_item_for(Oid table, int action);
extern bool		  dbperf_maint_figures(Oid object, MaintFigures *figures);

/* maint_index_items.c: items of indexes, without policies and guards */
extern List *dbperf_maint_index_items(Oid only_table);

/* Of which tables the oldest dead rows may have to be kept. */
typedef enum MaintHorizon
{
	HORIZON_TABLES,	  /* ordinary ones of this database */
	HORIZON_CATALOGS, /* its catalogs: for logical slots, too */
	HORIZON_SHARED	  /* shared ones: for all databases, too */
} MaintHorizon;

#define MAINT_HORIZONS (HORIZON_SHARED + 1)

/* maint_horizon.c */
extern MaintHorizon	 dbperf_maint_horizon_of(Oid table);
extern TransactionId dbperf_maint_horizon(MaintHorizon horizon);
extern char			*dbperf_maint_horizon_holder(MaintHorizon horizon);

/* maint_xid_rate.c: consumption, measured by the launcher */
extern void	  dbperf_maint_xid_rate_init(void);
extern void	  dbperf_maint_xid_sample(void);
extern double dbperf_maint_xids_per_day(void);	/* -1 = not measured yet */
extern double dbperf_maint_mxids_per_day(void); /* the same */
extern int	  dbperf_maint_mxid_max_age(void);

/* ---- the launcher's parts ---- */

/* maint_yield.c */
extern void dbperf_maint_yield_poll(void);
extern void dbperf_maint_yield_flag(bool on);

/* maint_throttle.c */
extern void dbperf_maint_throttle_sample(void);
extern void dbperf_maint_throttle_adjust(void);
extern void dbperf_maint_throttle_begin(MaintSlot *slot);
extern void dbperf_maint_throttle_end(void);

/* ---- rebuilding indexes ---- */

/* maint_leftover.c */
extern bool dbperf_maint_can_reindex(void);
extern void dbperf_maint_reindex_begin(Oid index);
extern void dbperf_maint_reindex_end(void);
extern void dbperf_maint_drop_leftovers(void);

/* maint_density.c: how full indexes were at their best */
extern void dbperf_maint_density_note(void);

/* ---- the writer's part ---- */

/* maint_log.c */
extern void dbperf_maint_log_init(void);

/* maint_log_wait.c: for workers */
extern bool dbperf_maint_log_open(int slot);
extern void dbperf_maint_log_close(int slot);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_PLAN_H */
