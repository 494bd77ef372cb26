/*-------------------------------------------------------------------------
 *
 * time_limit.c
 *		A limit on the time that somebody's statement may take inside of a function.
 *
 * The limit is a timer that asks for a cancel, which is the only thing that also
 * stops a function that sleeps.  A cancel of the user's own must not be taken for
 * it, and both look the same to the server.  So meanwhile SIGINT comes through
 * here, to be remembered and handed on: an error is the timer's only if nobody
 * else asked for a cancel after it had fired, or before without having got it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "core/core.h"
#include "miscadmin.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/* the timer repeats: a function may catch the first cancel and go on */
#define TIMER_REPEAT_MS 100

/* of this process, once registered */
static bool		 timer_registered = false;
static TimeoutId timer_id;

/* set by the signal handlers while a limit is on */
static volatile sig_atomic_t timer_fired = false;
static volatile sig_atomic_t user_cancelled = false; /* and not heard before timer_fired */
static volatile sig_atomic_t sigint_seen = false;

static bool				started = false;  /* dbperf_time_limit_end() has to undo it */
static bool				watching = false; /* SIGINT comes through limit_sigint() */
static struct sigaction saved_sigint;

/*
 * The time is over.  A cancel that is pending at the first firing is somebody
 * else's, later it may be our own; the flag is set before looking, so that one
 * that arrives now is noticed by limit_sigint().
 */
static void
timer_handler(void)
{
	bool first = !timer_fired;

	timer_fired = true;
	if (first && QueryCancelPending)
		user_cancelled = true;
	QueryCancelPending = true;
	InterruptPending = true;
}

/*
 * SIGINT while a limit is on.  lock_timeout sends it as well, and is no cancel.
 */
static void
limit_sigint(int signo)
{
	if (!get_timeout_indicator(LOCK_TIMEOUT, false))
	{
		sigint_seen = true;
		if (timer_fired)
			user_cancelled = true;
	}
	saved_sigint.sa_handler(signo);
}

/*
 * Begins to watch for cancels, if SIGINT is one in this process, and starts the
 * timer unless timeout_ms is 0.  No other limit may be on.
 */
void
dbperf_time_limit_begin(int timeout_ms)
{
	if (started)
		elog(ERROR, "a time limit is on already");
	if (!timer_registered && timeout_ms > 0)
	{
		timer_id = RegisterTimeout(USER_TIMEOUT, timer_handler);
		timer_registered = true;
	}
	if (sigaction(SIGINT, NULL, &saved_sigint) != 0)
		elog(ERROR, "could not look up the handler of SIGINT: %m");

	timer_fired = false;
	user_cancelled = false;
	sigint_seen = QueryCancelPending;
	started = true;
	if ((saved_sigint.sa_flags & SA_SIGINFO) == 0 && saved_sigint.sa_handler != SIG_IGN &&
		saved_sigint.sa_handler != SIG_DFL)
	{
		struct sigaction action = saved_sigint;

		action.sa_handler = limit_sigint;
		watching = sigaction(SIGINT, &action, NULL) == 0;
	}
	if (timeout_ms > 0)
		enable_timeout_every(timer_id,
							 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms),
							 TIMER_REPEAT_MS);
}

/*
 * Ends the limit, if one is on.  A cancel that is pending is forgotten if it is
 * the timer's, and stays if it is not.  raised says that the error of a cancel
 * has ended what was limited: the one that was somebody else's, if there was one.
 */
void
dbperf_time_limit_end(bool raised)
{
	if (!started)
		return;
	started = false;
	if (timer_registered)
		disable_timeout(timer_id, false);
	if (timer_fired)
	{
		QueryCancelPending = false;
		if (user_cancelled && !raised)
		{
			QueryCancelPending = true;
			InterruptPending = true;
		}
	}
	if (watching)
		sigaction(SIGINT, &saved_sigint, NULL);
	watching = false;
}

/* Whether a limit is on. */
bool
dbperf_time_limit_on(void)
{
	return started;
}

/*
 * For PG_CATCH: ends the limit, if one is on, and tells whether it was what
 * raised the error.
 */
bool
dbperf_time_limit_caught(void)
{
	bool cancelled = geterrcode() == ERRCODE_QUERY_CANCELED;
	bool was_on = started;

	dbperf_time_limit_end(cancelled);
	return was_on && cancelled && timer_fired && !user_cancelled;
}

/* Whether somebody has asked for a cancel since the last limit began. */
bool
dbperf_time_limit_sigint(void)
{
	return sigint_seen;
}
