/*-------------------------------------------------------------------------
 *
 * maint_score_freeze.c
 *		When a table should be frozen: by the days that are left until
 *		autovacuum would be forced to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/multixact.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "maintenance/maint_facts.h"
#include "postmaster/autovacuum.h"

/* Freezing in quiet hours begins when so many days are left, at any hour when one is. */
#define QUIET_DAYS 7
#define URGENT_DAYS 1

/*
 * But not before that share of the limit is used up, in a window and at any
 * hour: where a limit lasts for some hours only, or a rate that is known for a
 * minute says so, to freeze what is young gains nothing and is due again at
 * once.
 */
#define QUIET_SHARE 0.25
#define ANY_SHARE 0.5

/* Without a measured rate: at this share of the limit. */
#define BLIND_SHARE 0.9

/* Of a score that would be due but for the hour. */
#define NOT_YET 0.99

/* Comes before everything else. */
#define WRAPAROUND_SCORE 1000

/* One of the two counters that wrap around. */
typedef struct Runway
{
	const char *what;
	double		age;
	double		limit;
	double		per_day; /* -1 = not known */
	double		score;
} Runway;

/* Days until the limit, a very long time if nothing consumes any. */
static double
days_left(const Runway *runway)
{
	return runway->per_day > 0 ? (runway->limit - runway->age) / runway->per_day : 1e6;
}

/* The share of a limit that has to be used up before it is worth a VACUUM. */
static double
share_due(const MaintFacts *facts)
{
	return facts->window_open ? QUIET_SHARE : ANY_SHARE;
}

/* Give a runway its score. */
static void
score_runway(const MaintFacts *facts, Runway *runway)
{
	double days;
	bool   quiet = !facts->any_window || facts->window_open;

	if (runway->age > runway->limit)
	{
		runway->score = WRAPAROUND_SCORE * runway->age / Max(runway->limit, 1);
		return;
	}
	if (runway->per_day < 0)
	{
		runway->score = runway->age / (BLIND_SHARE * Max(runway->limit, 1));
		return;
	}
	days = days_left(runway);
	runway->score = QUIET_DAYS / Max(days, 0.01);
	if (runway->score >= 1 &&
		((!quiet && days >= URGENT_DAYS) || runway->age <= share_due(facts) * runway->limit))
		runway->score = NOT_YET;
}

/*
 * Ages of a table and their limits, as autovacuum computes them; false if it
 * has no ages, as a partitioned table or one of another access method.
 */
static bool
read_runways(const MaintFacts *facts, const MaintRelation *table, Runway *xid, Runway *mxid)
{
	const AutoVacOpts *options = table->options;

	if (!TransactionIdIsNormal(table->frozenxid))
		return false;
	xid->what = "relfrozenxid";
	/* what is in the future is no age; VACUUM repairs it */
	xid->age = Max((int32) (facts->next_xid - table->frozenxid), 0);
	xid->limit = autovacuum_freeze_max_age;
	if (options != NULL && options->freeze_max_age >= 0)
		xid->limit = Min(options->freeze_max_age, autovacuum_freeze_max_age);
	xid->per_day = facts->xids_per_day;

	mxid->what = "relminmxid";
	mxid->age = MultiXactIdIsValid(table->minmxid)
					? Max((int32) (facts->next_mxid - table->minmxid), 0)
					: 0;
	mxid->limit = facts->mxid_max_age;
	if (options != NULL && options->multixact_freeze_max_age >= 0)
		mxid->limit = Min(options->multixact_freeze_max_age, facts->mxid_max_age);
	mxid->per_day = facts->mxids_per_day;
	return true;
}

/* The reason in words. */
static char *
runway_text(const MaintFacts *facts, const Runway *runway)
{
	if (runway->age > runway->limit)
		return psprintf("the age of %s is %.0f, over the limit of %.0f: wraparound must be "
						"prevented",
						runway->what, runway->age, runway->limit);
	if (runway->per_day < 0)
		return psprintf("the age of %s is %.0f of %.0f, due from %.0f %% on while the rate is "
						"not measured",
						runway->what, runway->age, runway->limit, BLIND_SHARE * 100);
	if (runway->per_day == 0)
		return psprintf("the age of %s is %.0f of %.0f, and does not grow", runway->what,
						runway->age, runway->limit);
	return psprintf("the age of %s is %.0f of %.0f; at %.0f a day %.1f days are left, due from %d "
					"on in quiet hours, once %.0f %% are used up",
					runway->what, runway->age, runway->limit, runway->per_day, days_left(runway),
					QUIET_DAYS, share_due(facts) * 100);
}

/*
 * The VACUUM (FREEZE) of a table, if its score is at least min_score, else NULL.
 * item->horizon says that it would gain nothing.
 */
MaintItem *
dbperf_maint_score_freeze(MaintFacts *facts, MaintRelation *table, double min_score)
{
	Runway		  xid = {0};
	Runway		  mxid = {0};
	const Runway *worst;
	TransactionId horizon;
	MaintItem	 *item;

	if (!read_runways(facts, table, &xid, &mxid))
		return NULL;
	score_runway(facts, &xid);
	score_runway(facts, &mxid);
	worst = mxid.score > xid.score ? &mxid : &xid;
	if (worst->score < min_score)
		return NULL;

	item = dbperf_maint_new_item(facts, table, MAINT_VACUUM_FREEZE, worst->score);
	item->wraparound = worst->age > worst->limit;
	item->reason = runway_text(facts, worst);
	item->command = psprintf("VACUUM (FREEZE, %s%sPROCESS_TOAST off) %s",
							 item->wraparound ? "" : "SKIP_LOCKED, ",
							 facts->window_open ? "" : "TRUNCATE off, ", item->object_name);
	item->est_pages = Max(dbperf_maint_pages(table), 1) + dbperf_maint_index_pages(table);
	/* the age cannot get beyond the horizon */
	horizon = dbperf_maint_table_horizon(facts, table->oid);
	item->horizon = worst == &xid && TransactionIdIsNormal(horizon) &&
					TransactionIdPrecedesOrEquals(horizon, table->frozenxid);
	return item;
}
