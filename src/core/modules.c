/*-------------------------------------------------------------------------
 *
 * modules.c
 *		Which modules want to hear of which statements.
 *
 * What the hooks have to look at for each statement is worked out here
 * whenever a setting changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "core/exec_int.h"
#include "utils/float.h"

static int	  follow_levels[MAX_MODULES];
static double ask_costs[MAX_MODULES];

DbperfAround dbperf_around = {NULL, NULL, NULL};

/*
 * Registers the module that puts something in force around statements.
 */
void
dbperf_around_register(const DbperfAround *around)
{
	if (dbperf_around.begin != NULL)
		elog(ERROR, "there is a module around statements already");
	dbperf_around = *around;
}

/*
 * Whether that module is asked.  Each process has its own answer, which the module
 * gives; statements pay nothing for it while it has nothing to do.
 */
void
dbperf_around_want(bool wanted)
{
	if (wanted)
		dbperf_exec.attention |= HOOK_AROUND;
	else
		dbperf_exec.attention &= ~HOOK_AROUND;
}

/*
 * dbperf.enabled has another value now.
 */
void
dbperf_around_switched(void)
{
	if (dbperf_around.switched != NULL)
		dbperf_around.switched();
}

/*
 * Registers a module, which wants nothing yet.  *data_offset is where its own
 * data are in a statement.  Returns its number.
 */
int
dbperf_statement_register(const DbperfStatementModule *module, Size *data_offset)
{
	if (dbperf_exec.num_modules >= MAX_MODULES)
		elog(ERROR, "too many statement modules");
	dbperf_exec.modules[dbperf_exec.num_modules] = module;
	follow_levels[dbperf_exec.num_modules] = FOLLOW_NONE;
	*data_offset = dbperf_statement_reserve(module->data_size);
	return dbperf_exec.num_modules++;
}

/*
 * From here to dbperf_statements_resume() dbperf itself executes something
 * that nobody should hear of.
 */
void
dbperf_statements_suspend(void)
{
	dbperf_pending_demote(GetCurrentSubTransactionId());
	dbperf_exec.suspended++;
	dbperf_statement_follow_update();
}

void
dbperf_statements_resume(void)
{
	dbperf_exec.suspended--;
	dbperf_statement_follow_update();
}

/*
 * Is there one module that wants the statements of clients, or are there more?
 */
static void
find_sole(void)
{
	uint32 wanted = dbperf_exec.wanted_top;

	dbperf_exec.sole = NOT_ONE;
	if (wanted == 0 || (wanted & (wanted - 1)) != 0)
		return;
	dbperf_exec.sole_ran = dbperf_exec.modules[pg_rightmost_one_pos32(wanted)]->ran;
	if (dbperf_exec.sole_ran != NULL)
		dbperf_exec.sole = wanted;
}

/*
 * Of which queries of clients is it enough to hear when they have run?
 */
static void
find_pending_cost(void)
{
	double cost = get_float8_infinity();

	for (int i = 0; i < dbperf_exec.num_modules; i++)
		cost = Min(cost, ask_costs[i]);
	if (!dbperf_exec.ready || dbperf_exec.wanted_top == 0)
		cost = -get_float8_infinity();
	dbperf_exec.pending_cost = cost;
}

/*
 * Works out anew which statements are followed.
 */
void
dbperf_statement_follow_update(void)
{
	dbperf_exec.follow = FOLLOW_NONE;
	dbperf_exec.wanted_top = dbperf_exec.wanted_nested = 0;
	for (int i = 0; i < dbperf_exec.num_modules && dbperf_enabled && dbperf_exec.suspended == 0;
		 i++)
	{
		dbperf_exec.follow = Max(dbperf_exec.follow, follow_levels[i]);
		if (follow_levels[i] >= FOLLOW_TOP)
			dbperf_exec.wanted_top |= 1U << i;
		if (follow_levels[i] > FOLLOW_TOP)
			dbperf_exec.wanted_nested |= 1U << i;
	}
	if (dbperf_exec.follow >= FOLLOW_TOP)
		EnableQueryId();
	find_sole();
	find_pending_cost();
	dbperf_attention_update();
}

/*
 * Up to which level a module wants statements: FOLLOW_NONE, FOLLOW_TOP or
 * FOLLOW_ALL.  Statements that are open already stay as they are.
 */
void
dbperf_statement_follow(int module, int level)
{
	follow_levels[module] = level;
	dbperf_statement_follow_update();
}

/*
 * A module wants to hear of a query's start if its plan costs at least this
 * much, and of those whose query id has a flag that is not zero (flags may be
 * NULL, else there are ASK_FLAGS of them).
 */
void
dbperf_statement_ask(int module, double cost, pg_atomic_uint32 *flags)
{
	ask_costs[module] = cost;
	if (flags != NULL)
		dbperf_exec.ask_flags = flags;
	find_pending_cost();
}
