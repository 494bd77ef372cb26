/*-------------------------------------------------------------------------
 *
 * maint_gate.c
 *		Why something that is due is not done now: policies, windows, duty
 *		cycle, the horizon, others at work; and how long it will take.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "commands/vacuum.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/*
 * The share of time that one action on one table may take.  A hot table has its
 * VACUUM and its ANALYZE, which together must stay below an eighth of a core.
 */
#define DUTY_CYCLE 0.08
#define DUTY_CYCLE_ANALYZE 0.02

/* Nobody does more pages in a second, whatever the cost limit is. */
#define MAX_PAGES_PER_SECOND 50000.0

/* Something waits until then; DT_NOEND: nobody knows. */
static bool
wait_until(MaintItem *item, TimestampTz until, char *why)
{
	item->not_now = why;
	item->not_before = until;
	return true;
}

/* The table that policies and settings of a TOAST table or an index are about. */
static const MaintRelation *
main_table(MaintFacts *facts, const MaintItem *item)
{
	const MaintRelation *relation = dbperf_maint_relation(facts, item->table);

	return relation != NULL && relation->main != NULL ? relation->main : relation;
}

/* ---- policies ---- */

/* Take over what the policy says about how; whether is checked by others. */
static void
apply_limits(MaintFacts *facts, const MaintPolicy *policy, MaintItem *item)
{
	TimestampTz changes;

	item->priority = policy->priority;
	item->cost_limit_max = policy->cost_limit;
	item->time_limit = policy->time_limit;
	if (policy->window >= 0 &&
		dbperf_maint_window_open(&facts->policies->windows[policy->window], facts->clock,
								 &changes) &&
		changes != DT_NOEND)
		item->window_end = facts->now + (changes - facts->clock);
}

/* Whether a policy forbids an action, for now or at all. */
static bool
policy_forbids(MaintFacts *facts, const MaintPolicy *policy, MaintItem *item)
{
	const MaintWindow *window;
	TimestampTz		   changes = DT_NOEND;

	if (!policy->enabled)
		return wait_until(item, DT_NOEND,
						  psprintf("policy " INT64_FORMAT " disables it", policy->id));
	if ((policy->actions & (1U << item->action)) == 0)
		return wait_until(item, DT_NOEND,
						  psprintf("policy " INT64_FORMAT " does not allow %s", policy->id,
								   dbperf_maint_action_name(item->action)));
	if (policy->window < 0)
		return false;

	window = &facts->policies->windows[policy->window];
	if (dbperf_maint_window_open(window, facts->clock, &changes))
		return false;
	if (changes == DT_NOEND)
		return wait_until(item, DT_NOEND, psprintf("window \"%s\" does not open", window->name));
	return wait_until(
		item, facts->now + (changes - facts->clock),
		psprintf("window \"%s\" is closed until %s", window->name, timestamptz_to_str(changes)));
}

/* The policy for the table of an item, or NULL. */
static const MaintPolicy *
policy_of(MaintFacts *facts, const MaintItem *item)
{
	const MaintRelation *table = main_table(facts, item);
	char				*schema;

	if (table == NULL || facts->policies == NULL || facts->policies->num_policies == 0)
		return NULL;
	schema = get_namespace_name(table->schema);
	if (schema == NULL)
		return NULL;
	return dbperf_maint_policy_for(facts->policies, facts->database, schema, table->name);
}

/* ---- what was before ---- */

/* Whether it ran a short time ago, or failed. */
static bool
too_soon(const MaintFacts *facts, const MaintMemory *memory, MaintItem *item)
{
	TimestampTz again;
	double		share;

	if (memory->not_before > facts->now)
		return wait_until(item, memory->not_before,
						  psprintf("the last one ended as %s; not again before %s",
								   dbperf_maint_outcome_name(memory->outcome) != NULL
									   ? dbperf_maint_outcome_name(memory->outcome)
									   : "unfinished",
								   timestamptz_to_str(memory->not_before)));
	if (item->wraparound || memory->last_end == 0)
		return false;
	share = item->action == MAINT_ANALYZE ? DUTY_CYCLE_ANALYZE : DUTY_CYCLE;
	again = memory->last_end + (TimestampTz) (memory->duration_ms * 1000.0 / share);
	if (again <= facts->now)
		return false;
	return wait_until(item, again,
					  psprintf("it took %.1f s the last time; not again before %s",
							   memory->duration_ms / 1000.0, timestamptz_to_str(again)));
}

/* Wait for the oldest snapshot, and say who has it. */
static bool
wait_for_horizon(MaintFacts *facts, MaintItem *item, const char *what)
{
	const char *holder = dbperf_maint_table_holder(facts, item->table);

	item->horizon = true;
	return wait_until(item, DT_NOEND,
					  holder != NULL ? psprintf("%s: %s", what, holder) : pstrdup(what));
}

/* Whether it would leave what the last one has left; hopeless says so already. */
static bool
futile(MaintFacts *facts, const MaintMemory *memory, bool hopeless, MaintItem *item)
{
	TransactionId horizon;

	if (hopeless)
		return wait_for_horizon(facts, item, "the oldest snapshot is as old as the table's age");
	if (item->action != MAINT_VACUUM ||
		(memory->dead_left <= 0 && memory->outcome != MAINT_BLOCKED_BY_HORIZON))
		return false;
	horizon = dbperf_maint_table_horizon(facts, item->table);
	if (!TransactionIdIsNormal(memory->horizon) || !TransactionIdIsNormal(horizon) ||
		TransactionIdFollows(horizon, memory->horizon))
		return false;
	return wait_for_horizon(facts, item, "the oldest snapshot has not moved since the last vacuum");
}

/* ---- others ---- */

/* Whether the table's owner has turned autovacuum off for it. */
static bool
disabled_for_table(MaintFacts *facts, const MaintItem *item)
{
	const MaintRelation *table = dbperf_maint_relation(facts, item->table);

	return table != NULL && table->options != NULL && !table->options->enabled &&
		   (item->action == MAINT_VACUUM || item->action == MAINT_VACUUM_FREEZE ||
			item->action == MAINT_ANALYZE);
}

/*
 * Whether somebody is at work on the table.  Against wraparound the command
 * queues for the lock, unless autovacuum is doing the same.
 */
static bool
in_use(const MaintFacts *facts, MaintItem *item)
{
	TimestampTz again = facts->now + MAINT_RETRY * USECS_PER_SEC;
	bool		autovacuum;
	char	   *lock;

	if (dbperf_maint_claimed(MyDatabaseId, item->table))
		return wait_until(item, again, pstrdup("another maintenance worker is at work on it"));
	lock = dbperf_maint_lock_text(facts, item->table, &autovacuum);
	return lock != NULL && (autovacuum || !item->wraparound) && wait_until(item, again, lock);
}

/*
 * Whether all rows that a table may have are still being written: an ANALYZE
 * would find none, and the planner would take the table for an empty one from
 * the commit until the next ANALYZE.  What has rows that were there before has
 * been analyzed, or the counters know of them; after an upgrade or a crash
 * neither is so, and only a writer makes it wait.
 */
static bool
being_filled(MaintFacts *facts, MaintItem *item)
{
	const MaintRelation *table = dbperf_maint_relation(facts, item->table);
	LOCKTAG				 tag;
	int					 writers;

	if (item->action != MAINT_ANALYZE || table == NULL || table->rows >= 0 ||
		table->kind == RELKIND_PARTITIONED_TABLE || table->stats.live > 0 ||
		table->stats.changed_since_analyze > 0)
		return false;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, item->table);
	(void) GetLockConflicts(&tag, ShareLock, &writers);
	return writers > 0 && wait_until(item, facts->now + MAINT_RETRY * USECS_PER_SEC,
									 pstrdup("its first rows are not committed yet"));
}

/* What nothing but wraparound overrules; the first that applies. */
static bool
not_allowed(MaintFacts *facts, const MaintPolicy *policy, MaintItem *item)
{
	if (disabled_for_table(facts, item))
		return wait_until(item, DT_NOEND, pstrdup("autovacuum is disabled for the table"));
	if (facts->paused_until > facts->now)
		return wait_until(item, facts->paused_until,
						  facts->paused_until == DT_NOEND
							  ? pstrdup("maintenance is paused")
							  : psprintf("maintenance is paused until %s",
										 timestamptz_to_str(facts->paused_until)));
	return policy != NULL && policy_forbids(facts, policy, item);
}

/* ---- time ---- */

/*
 * Seconds that an action will take: as long as the last time, by pages, or what
 * the cost limit allows.
 */
static double
estimate_seconds(const MaintMemory *memory, const MaintItem *item)
{
	double page_cost = VacuumCostPageMiss;
	double delay_ms = autovacuum_vac_cost_delay >= 0 ? autovacuum_vac_cost_delay : VacuumCostDelay;
	double limit =
		item->cost_limit_max > 0 ? item->cost_limit_max : dbperf_maintenance_cost_limit_max;
	double rate = MAX_PAGES_PER_SECOND;

	if (memory->duration_ms > 0 && memory->pages > 0)
		return Max(memory->duration_ms / 1000.0 * Max(item->est_pages, 1) / memory->pages, 0.001);
	if (item->action != MAINT_ANALYZE)
		page_cost += VacuumCostPageDirty;
	if (delay_ms > 0 && page_cost > 0)
		rate = Min(rate, limit / page_cost / delay_ms * 1000.0);
	return Max(item->est_pages / Max(rate, 1), 0.001);
}

/*
 * Complete an item: how it is to be done, how long it takes, and why not now.
 * What has a not_now already keeps it.
 */
void
dbperf_maint_gate(MaintFacts *facts, MaintItem *item)
{
	const MaintPolicy *policy = policy_of(facts, item);
	bool			   hopeless = item->horizon;
	MaintMemory		   memory;

	item->horizon = hopeless && item->not_now != NULL;
	item->window_end = DT_NOEND;
	dbperf_maint_remember_table(item->object, item->action, &memory);
	if (policy != NULL)
		apply_limits(facts, policy, item);
	item->est_seconds = estimate_seconds(&memory, item);
	if (item->wraparound)
	{
		item->window_end = DT_NOEND;
		item->time_limit = 0;
	}
	if (item->not_now != NULL)
		return;
	if (facts->recovery)
		(void) wait_until(item, DT_NOEND, pstrdup("the server is in recovery"));
	else if (item->wraparound || !not_allowed(facts, policy, item))
	{
		if (!too_soon(facts, &memory, item) && !futile(facts, &memory, hopeless, item) &&
			!in_use(facts, item))
			(void) being_filled(facts, item);
	}
}
