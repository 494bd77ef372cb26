/*-------------------------------------------------------------------------
 *
 * sample_store.c
 *		Stores samples in the tables of dbperf.database, a transaction for each time.
 *
 * The tables say of what they have: metrics_series has sets of series by position,
 * and a sample names its set.  The sampler continues the last set if that is how
 * its own directory begins, as it is after a restart, which starts from there.
 * Otherwise it writes its directory down as a new set: the directory has grown on
 * a standby that is a primary now, it was begun anew, or the tables are others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/core.h"
#include "executor/spi.h"
#include "metrics/samples.h"
#include "utils/builtins.h"

/* Where the directory is in the tables; void unless it is known. */
typedef struct StoredSet
{
	bool known;
	Oid	 table; /* metrics_series */
	int	 set;
	int	 count; /* series of it that are stored */
} StoredSet;

static StoredSet stored;

/*
 * Forgets what is in the tables: something has failed, or the directory is another
 * one.
 */
void
dbperf_samples_forget(void)
{
	stored.known = false;
}

/*
 * Whether the tables can be written, or why not.  In a transaction.
 */
SamplerState
dbperf_samples_target(void)
{
	if (RecoveryInProgress())
		return SAMPLER_STANDBY;
	if (!OidIsValid(get_extension_oid("dbperf", true)))
		return SAMPLER_NO_EXTENSION;
	if (!OidIsValid(dbperf_own_table("metrics_series")) ||
		!OidIsValid(dbperf_own_table("metrics_members")) ||
		!OidIsValid(dbperf_own_table("metrics_query_samples_35")))
		return SAMPLER_NO_TABLE;
	return SAMPLER_RUNNING;
}

/* Reads the last set into SPI_tuptable; returns how many series it has. */
static uint64
read_last_set(void)
{
	if (SPI_execute("SELECT set_id, position, identity, octet_length(name), counter "
					"FROM dbperf.metrics_series "
					"WHERE set_id = (SELECT max(set_id) FROM dbperf.metrics_series) "
					"ORDER BY position",
					true, MAX_SERIES + 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read metrics_series");
	return SPI_processed;
}

/* A column of a row of it that is not null; void if it is. */
static Datum
column(uint64 row, int number)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);
}

/*
 * A transaction's task, when the sampler starts: takes the directory over from the
 * last set of the tables.  On a standby, too, so that it can go on there when it is
 * promoted.
 */
void
dbperf_samples_load(void *arg)
{
	uint64 rows;

	if (!OidIsValid(dbperf_own_table("metrics_series")))
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	rows = read_last_set();
	for (uint64 i = 0; i < rows; i++)
	{
		char *identity = TextDatumGetCString(column(i, 3));

		if (DatumGetInt32(column(i, 2)) != (int32) i + 1 ||
			!dbperf_series_add(identity, DatumGetInt32(column(i, 4)), DatumGetBool(column(i, 5))))
			break;
	}
	SPI_finish();
}

/* Whether the directory begins with the set in SPI_tuptable. */
static bool
directory_begins_with_set(uint64 rows)
{
	int			  count;
	const Series *series = dbperf_series_get(&count);

	if (rows == 0 || rows > (uint64) count)
		return false;
	for (uint64 i = 0; i < rows; i++)
	{
		if (DatumGetInt32(column(i, 2)) != (int32) i + 1 ||
			strcmp(TextDatumGetCString(column(i, 3)), series[i].identity) != 0)
			return false;
	}
	return true;
}

/* Deletes sets that no sample is of any more. */
static void
delete_old_sets(void)
{
	Oid	  type = INT4OID;
	Datum value = Int32GetDatum(2 * dbperf_tier_age(NUM_TIERS - 1));

	if (SPI_execute_with_args("DELETE FROM dbperf.metrics_series AS s "
							  "WHERE EXISTS (SELECT FROM dbperf.metrics_series AS n "
							  " WHERE n.set_id > s.set_id AND n.position = 1"
							  " AND n.added_at < now() - $1 * interval '1 second')",
							  1, &type, &value, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete old series");
}

/* Finds the set of the directory, or begins one. */
static void
find_set(void)
{
	uint64 rows = read_last_set();
	int	   last = rows > 0 ? DatumGetInt32(column(0, 1)) : 0;

	stored.table = dbperf_own_table("metrics_series");
	if (directory_begins_with_set(rows))
	{
		stored.set = last;
		stored.count = (int) rows;
		return;
	}
	stored.set = last + 1;
	stored.count = 0;
	delete_old_sets();
}

/* Whether the tables still have what was stored of the directory. */
static bool
set_is_there(void)
{
	Oid	   type = INT4OID;
	Datum  value = Int32GetDatum(stored.set);
	uint64 rows;

	if (!stored.known || stored.table != dbperf_own_table("metrics_series"))
		return false;
	if (SPI_execute_with_args("SELECT FROM dbperf.metrics_series WHERE set_id = $1", 1, &type,
							  &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read metrics_series");
	rows = SPI_processed;
	return rows == (uint64) stored.count;
}

/* Stores one series of the directory. */
static void
store_series(int position, const Series *series)
{
	Oid	  types[6] = {INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};
	Datum values[6];

	values[0] = Int32GetDatum(stored.set);
	values[1] = Int32GetDatum(position + 1);
	values[2] = CStringGetTextDatum(series->identity);
	values[3] = PointerGetDatum(cstring_to_text_with_len(series->identity, series->name_len));
	values[4] = CStringGetTextDatum(series->identity + series->name_len);
	values[5] = BoolGetDatum(series->counter);
	if (SPI_execute_with_args("INSERT INTO dbperf.metrics_series "
							  "(set_id, position, identity, name, labels, counter) "
							  "VALUES ($1, $2, $3, $4, CAST($5 AS jsonb), $6)",
							  6, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write metrics_series");
}

/* Stores what is new in the directory.  Returns the number of its set. */
static int
store_directory(void)
{
	int			  count;
	const Series *series = dbperf_series_get(&count);

	if (!set_is_there())
		find_set();
	while (stored.count < count)
	{
		store_series(stored.count, &series[stored.count]);
		stored.count++;
	}
	stored.known = true;
	return stored.set;
}

/* Finds the members that samples go to; false if one cannot be written now. */
static bool
find_members(const Samples *samples, int *members)
{
	for (int tier = 0; tier < NUM_TIERS; tier++)
	{
		if (!samples->due[tier])
			continue;
		members[tier] = dbperf_samples_member(tier, samples->at);
		if (members[tier] == 0)
			return false;
	}
	return true;
}

/* Inserts the samples of all tiers that are due. */
static void
insert_samples(Samples *samples, const int *members, int set)
{
	for (int tier = 0; tier < NUM_TIERS; tier++)
	{
		if (!samples->due[tier])
			continue;
		samples->metrics[tier].info.set = set;
		dbperf_samples_insert_metrics(members[tier], &samples->metrics[tier]);
		if (tier >= FIRST_QUERY_TIER)
			dbperf_samples_insert_queries(members[tier], &samples->queries[tier]);
	}
}

/*
 * A transaction's task: stores samples of one time.  If it fails
 * dbperf_samples_forget() must be called.
 */
void
dbperf_samples_store(void *arg)
{
	Samples *samples = arg;
	int		 members[NUM_TIERS];
	int		 set;

	samples->result = dbperf_samples_target();
	if (samples->result == SAMPLER_RUNNING &&
		(!dbperf_samples_lock("metrics_series", RowExclusiveLock) ||
		 !dbperf_samples_lock("metrics_members", RowExclusiveLock)))
		samples->result = SAMPLER_LOCKED;
	if (samples->result != SAMPLER_RUNNING)
	{
		dbperf_samples_forget();
		return;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	set = store_directory();
	if (find_members(samples, members))
	{
		insert_samples(samples, members, set);
		if (samples->due[FIRST_QUERY_TIER])
			dbperf_samples_measure(samples);
		/* readers that see the rows must not find the same in the ring */
		dbperf_sample_ring_stored(samples->at, true);
	}
	else
		samples->result = SAMPLER_LOCKED;
	SPI_finish();
}
