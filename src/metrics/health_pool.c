/*-------------------------------------------------------------------------
 *
 * health_pool.c
 *		The target pool_efficiency_ratio: transactions that needed no new connection.
 *
 * Any pool meets it, so how long its clients wait is said beside it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/health.h"

/* Fewer transactions say nothing of the last minutes. */
#define ENOUGH "100"

/* The last minutes, or all since the server's start if they were quiet. */
static const char efficiency[] =
	"SELECT e.reuse, e.transactions::float8, e.server_connects::float8, e.wait_share,"
	" e.saturation, e.wait_p95_ms, e.period"
	" FROM dbperf.pool_efficiency() AS e"
	" WHERE e.database_name = current_database() AND e.reuse IS NOT NULL"
	" ORDER BY e.period <> 'lifetime' AND e.transactions >= " ENOUGH " DESC,"
	" e.period = 'lifetime' DESC LIMIT 1";

static const char state[] = "SELECT s.state, s.problem, s.port::text FROM dbperf.pool_status() AS s"
							" ORDER BY s.problem IS NULL, s.state = 'running' LIMIT 1";

/* What keeps the pool from its work, if anything does. */
static bool
has_problem(HealthTarget *target)
{
	char *problem;

	if (dbperf_health_ask(state, 0, NULL, NULL) == 0)
		return false;
	problem = dbperf_health_text(0, 2);
	if (problem == NULL)
		return false;
	dbperf_health_evidence(target, "the pool: %s", problem);
	dbperf_health_next(target, "SELECT * FROM dbperf.pool_status;");
	return true;
}

/* There was no transaction: why. */
static void
explain_nothing(HealthTarget *target)
{
	if (!dbperf_health_setting_is("dbperf.pool", "on"))
	{
		dbperf_health_evidence(target, "the connection pool is off");
		dbperf_health_next(target, "ALTER SYSTEM SET dbperf.pool = on; SELECT pg_reload_conf();");
	}
	else if (!has_problem(target))
	{
		char *port = dbperf_health_ask(state, 0, NULL, NULL) > 0 ? dbperf_health_text(0, 3) : NULL;

		dbperf_health_evidence(target,
							   "no transaction of this database went through the pool, on port %s",
							   port != NULL ? port : "?");
		dbperf_health_next(target, "SELECT * FROM dbperf.pool_status;");
	}
}

/* What the numbers beside the ratio say, where there are any. */
static void
add_waits(HealthTarget *target)
{
	double wait_share;
	double saturation;
	double p95;

	if (dbperf_health_number(0, 4, &wait_share))
		dbperf_health_evidence(target, "%s of clients' time was waiting for a server connection",
							   dbperf_health_percent(wait_share));
	if (dbperf_health_number(0, 5, &saturation) && saturation > 0)
		dbperf_health_evidence(target, "a client waited in %s of the samples of one second",
							   dbperf_health_percent(saturation));
	if (dbperf_health_number(0, 6, &p95))
		dbperf_health_evidence(target, "p95 of the waits %s", dbperf_health_ms(p95));
}

/*
 * The share of this database's transactions that found a server connection.
 */
void
dbperf_health_pool(HealthTarget *target)
{
	double transactions = 0;
	double connects = 0;

	target->known = dbperf_health_ask(efficiency, 0, NULL, NULL) > 0 &&
					dbperf_health_number(0, 1, &target->value);
	if (!target->reasons)
		return;
	if (!target->known)
	{
		explain_nothing(target);
		return;
	}
	(void) dbperf_health_number(0, 2, &transactions);
	(void) dbperf_health_number(0, 3, &connects);
	dbperf_health_evidence(target, "%.0f server connections were opened for %.0f transactions (%s)",
						   connects, transactions, dbperf_health_text(0, 7));
	add_waits(target);
	if (has_problem(target) || dbperf_target_is_met(target))
		return;
	dbperf_health_next(target, "SELECT * FROM dbperf.pool_advice();");
}
