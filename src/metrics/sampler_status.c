/*-------------------------------------------------------------------------
 *
 * sampler_status.c
 *		What the sampler says about itself.
 *
 * It goes on in shared memory when the tables cannot be written, and a history
 * that is not kept must not look like one that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "mb/pg_wchar.h"
#include "metrics/samples.h"
#include "utils/timestamp.h"

#define WARN_AGAIN_AFTER 3600000 /* ms */

/* Says in the log why nothing is stored; not for what is as it should be. */
static void
log_state(SamplerState state, const char *database, const char *error)
{
	switch (state)
	{
		case SAMPLER_NO_TABLE:
			ereport(LOG, (errmsg("metrics are kept in shared memory only: extension dbperf in "
								 "database \"%s\" is too old",
								 database),
						  errhint("Run ALTER EXTENSION dbperf UPDATE in that database.")));
			break;
		case SAMPLER_FAILED:
			ereport(WARNING, (errmsg("metrics are kept in shared memory only: they could not be "
									 "stored in database \"%s\"",
									 database),
							  errdetail("%s", error)));
			break;
		case SAMPLER_OFF:
		case SAMPLER_CONNECTING:
		case SAMPLER_RUNNING:
		case SAMPLER_STANDBY:
		case SAMPLER_NO_EXTENSION:
		case SAMPLER_LOCKED:
			break;
	}
}

/*
 * Publishes the state of this worker, which is or wants to be connected to the
 * database.  One that was not there before is logged, and one that is a failure
 * once an hour, as long as there are any.
 */
void
dbperf_sampler_set_state(SamplerState state, const char *database)
{
	const char	  *error = dbperf_worker_last_error();
	TimestampTz	   now = GetCurrentTimestamp();
	SamplerStatus *status = dbperf_sample_ring_lock(LW_EXCLUSIVE);
	bool		   log = status->state != state;

	if (log)
		status->since = now;
	status->state = state;
	status->encoding = GetDatabaseEncoding();
	strlcpy(status->database, database, NAMEDATALEN);
	if (state == SAMPLER_FAILED)
	{
		strlcpy(status->error, error, sizeof(status->error));
		status->failed_at = now;
		log = status->logged_at == 0 || now < status->logged_at ||
			  TimestampDifferenceExceeds(status->logged_at, now, WARN_AGAIN_AFTER);
		if (log)
			status->logged_at = now;
	}
	dbperf_sample_ring_unlock();

	if (log)
		log_state(state, database, error);
}

/*
 * How often it could not connect, in a row.
 */
uint32
dbperf_sampler_failures(void)
{
	uint32 failures = dbperf_sample_ring_lock(LW_SHARED)->failures;

	dbperf_sample_ring_unlock();
	return failures;
}

/*
 * Counts a failure to connect beforehand: it ends the process.
 */
void
dbperf_sampler_connecting(void)
{
	dbperf_sample_ring_lock(LW_EXCLUSIVE)->failures++;
	dbperf_sample_ring_unlock();
}

/*
 * It was none.
 */
void
dbperf_sampler_connected(void)
{
	dbperf_sample_ring_lock(LW_EXCLUSIVE)->failures = 0;
	dbperf_sample_ring_unlock();
}

/*
 * A sample was taken, and so many values were left out.
 */
void
dbperf_sampler_sampled(TimestampTz at, int64 refused)
{
	SamplerStatus *status = dbperf_sample_ring_lock(LW_EXCLUSIVE);

	status->sampled_at = at;
	status->samples++;
	status->values_refused += refused;
	dbperf_sample_ring_unlock();
}

/*
 * A sample was stored in tables, which may have been measured as well.
 */
void
dbperf_sampler_stored(const Samples *samples)
{
	SamplerStatus *status = dbperf_sample_ring_lock(LW_EXCLUSIVE);

	status->stored_at = samples->at;
	status->stored++;
	if (samples->measured)
	{
		status->bytes = samples->bytes;
		status->members = samples->members;
	}
	dbperf_sample_ring_unlock();
}

/*
 * Copies what the sampler says about itself, and how many series it knows.
 */
void
dbperf_sampler_status(SamplerStatus *status, int *series)
{
	*status = *dbperf_sample_ring_lock(LW_SHARED);
	*series = dbperf_sample_ring_num_series();
	dbperf_sample_ring_unlock();
}

/*
 * The state in words, palloc'd, in the current database's encoding.
 */
char *
dbperf_sampler_state_text(const SamplerStatus *status)
{
	switch (status->state)
	{
		case SAMPLER_OFF:
			return pstrdup("off");
		case SAMPLER_CONNECTING:
			return psprintf("not connected to database \"%s\"", status->database);
		case SAMPLER_RUNNING:
			return pstrdup("running");
		case SAMPLER_STANDBY:
			return pstrdup("standby: in shared memory only");
		case SAMPLER_NO_EXTENSION:
			return psprintf("extension missing in database \"%s\"", status->database);
		case SAMPLER_NO_TABLE:
			return psprintf("extension in database \"%s\" is too old", status->database);
		case SAMPLER_LOCKED:
			return pstrdup("tables are locked: in shared memory only");
		case SAMPLER_FAILED:
			return pstrdup("failed: in shared memory only");
	}
	return pstrdup("unknown");
}
