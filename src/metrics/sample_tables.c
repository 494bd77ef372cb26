/*-------------------------------------------------------------------------
 *
 * sample_tables.c
 *		The tables of a tier: which one is being filled, and the rows in it.
 *
 * A tier has TIER_MEMBERS tables, its members.  Each is filled for a quarter of the
 * tier's age, then the next one is emptied and filled: so nothing is ever deleted
 * or bloated.  metrics_members says whose turn it is; it changes in the transaction
 * that empties the member, and not by the clock alone, which can be turned back.
 *
 * Emptying a table needs a lock that any reader keeps others from.  It is asked for
 * without waiting: if it cannot be had the present member is filled on, and the
 * next sample tries again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "metrics/samples.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* Whose turn it is in a tier. */
typedef struct Turn
{
	int			member; /* 0 = no one's yet */
	int64		turn;
	TimestampTz began;
	int			next; /* member */
} Turn;

/* The number by which tables and rows call a member. */
static int
member_number(int tier, int member)
{
	return (tier + 1) * 10 + member;
}

/* Reads whose turn it is, and whose is next: that of the longest ago. */
static void
read_turn(int tier, Turn *turn)
{
	Oid	  type = INT4OID;
	Datum value = Int32GetDatum(tier + 1);
	bool  used[TIER_MEMBERS + 1] = {false};

	memset(turn, 0, sizeof(*turn));
	if (SPI_execute_with_args("SELECT member, turn, began FROM dbperf.metrics_members "
							  "WHERE tier = $1 AND member BETWEEN 1 AND 5 ORDER BY turn DESC",
							  1, &type, &value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read metrics_members");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool	  isnull;

		turn->next = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		used[turn->next] = true;
		if (i > 0)
			continue;
		turn->member = turn->next;
		turn->turn = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
		turn->began = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
	}
	for (int member = TIER_MEMBERS; member >= 1; member--)
	{
		if (!used[member])
			turn->next = member;
	}
}

/*
 * Whether a turn is over.  A clock that was turned back so far that the turn's
 * beginning is as far ahead ends it, too, or it would last until then.
 */
static bool
turn_is_over(int tier, const Turn *turn, TimestampTz now)
{
	int64 length = dbperf_tier_age(tier) / (TIER_MEMBERS - 1) * USECS_PER_SEC;

	return turn->member == 0 || now - turn->began >= length || turn->began - now > length;
}

/*
 * Locks a table of ours without waiting.  Returns whether it is there and locked.
 */
bool
dbperf_samples_lock(const char *name, LOCKMODE mode)
{
	Oid table = dbperf_own_table(name);

	return OidIsValid(table) && ConditionalLockRelationOid(table, mode) &&
		   dbperf_own_table(name) == table;
}

/* Locks the tables of a member. */
static bool
lock_member(int tier, int member, LOCKMODE mode)
{
	int number = member_number(tier, member);

	return dbperf_samples_lock(psprintf("metrics_samples_%d", number), mode) &&
		   (tier < FIRST_QUERY_TIER ||
			dbperf_samples_lock(psprintf("metrics_query_samples_%d", number), mode));
}

/*
 * Empties a member, and makes it its turn.  Returns false if somebody has a lock
 * on it.
 */
static bool
begin_turn(int tier, int member, int64 turn, TimestampTz at)
{
	Oid	  types[4] = {INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum values[4];
	int	  number = member_number(tier, member);
	char *command;

	if (!lock_member(tier, member, AccessExclusiveLock))
		return false;
	if (tier >= FIRST_QUERY_TIER)
		command = psprintf("TRUNCATE dbperf.metrics_samples_%d, dbperf.metrics_query_samples_%d",
						   number, number);
	else
		command = psprintf("TRUNCATE dbperf.metrics_samples_%d", number);
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not empty tables of samples");

	values[0] = Int32GetDatum(tier + 1);
	values[1] = Int32GetDatum(member);
	values[2] = Int64GetDatum(turn);
	values[3] = TimestampTzGetDatum(at);
	if (SPI_execute_with_args("INSERT INTO dbperf.metrics_members AS m "
							  "(tier, member, turn, began) VALUES ($1, $2, $3, $4) "
							  "ON CONFLICT (tier, member) "
							  "DO UPDATE SET turn = excluded.turn, began = excluded.began",
							  4, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write metrics_members");
	return true;
}

/*
 * The number of the member that a sample goes to, after it was emptied if its turn
 * begins now.  0 if it cannot be written without waiting.  SPI must be connected.
 */
int
dbperf_samples_member(int tier, TimestampTz at)
{
	Turn turn;

	read_turn(tier, &turn);
	if (turn_is_over(tier, &turn, at) && begin_turn(tier, turn.next, turn.turn + 1, at))
		turn.member = turn.next;
	if (turn.member == 0 || !lock_member(tier, turn.member, RowExclusiveLock))
		return 0;
	return member_number(tier, turn.member);
}

/* Adds what a table takes, unless somebody has locked it. */
static void
measure_table(Samples *samples, const char *name, bool count)
{
	Datum table;

	if (!dbperf_samples_lock(name, AccessShareLock))
		return;
	table = ObjectIdGetDatum(dbperf_own_table(name));
	samples->bytes += DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, table));
	if (count && DatumGetInt64(
					 DirectFunctionCall2(pg_relation_size, table, CStringGetTextDatum("main"))) > 0)
		samples->members++;
}

/*
 * Measures the tables of all tiers.
 */
void
dbperf_samples_measure(Samples *samples)
{
	samples->measured = true;
	for (int tier = 0; tier < NUM_TIERS; tier++)
	{
		for (int member = 1; member <= TIER_MEMBERS; member++)
		{
			int number = member_number(tier, member);

			measure_table(samples, psprintf("metrics_samples_%d", number), true);
			if (tier >= FIRST_QUERY_TIER)
				measure_table(samples, psprintf("metrics_query_samples_%d", number), false);
		}
	}
}

/*
 * Inserts the sample of a tier into a member.
 */
void
dbperf_samples_insert_metrics(int member, const MetricSample *sample)
{
	Oid	   types[6] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID, FLOAT8ARRAYOID};
	Datum  values[6];
	Datum *numbers = palloc(Max(sample->info.count, 1) * sizeof(Datum));

	for (int i = 0; i < sample->info.count; i++)
		numbers[i] = Float8GetDatum(sample->values[i]);
	values[0] = TimestampTzGetDatum(sample->info.at);
	values[1] = TimestampTzGetDatum(sample->info.started);
	values[2] = Int32GetDatum(sample->info.set);
	values[3] = Int32GetDatum(sample->info.step);
	values[4] = Int32GetDatum(member);
	values[5] = PointerGetDatum(construct_array(numbers, sample->info.count, FLOAT8OID,
												sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	if (SPI_execute_with_args(psprintf("INSERT INTO dbperf.metrics_samples_%d (sampled_at, "
									   "started_at, set_id, step, member, numbers) "
									   "VALUES ($1, $2, $3, $4, $5, $6)",
									   member),
							  6, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write metrics_samples");
}

/* An array of one field of all queries. */
typedef Datum (*QueryField)(const TopQuery *query);

static Datum
field_queryid(const TopQuery *query)
{
	return Int64GetDatum((int64) query->key.queryid);
}

static Datum
field_database(const TopQuery *query)
{
	return ObjectIdGetDatum(query->key.dbid);
}

static Datum
field_role(const TopQuery *query)
{
	return ObjectIdGetDatum(query->key.userid);
}

static Datum
field_toplevel(const TopQuery *query)
{
	return BoolGetDatum(query->key.toplevel != 0);
}

static Datum
field_calls(const TopQuery *query)
{
	return Float8GetDatum(query->calls);
}

static Datum
field_total_ms(const TopQuery *query)
{
	return Float8GetDatum(query->total_ms);
}

static Datum
field_new_calls(const TopQuery *query)
{
	return Float4GetDatum(query->new_calls);
}

static Datum
field_new_ms(const TopQuery *query)
{
	return Float4GetDatum(query->new_ms);
}

static Datum
query_array(const QuerySample *sample, QueryField field, Oid type, int size, bool by_value,
			char align)
{
	Datum *fields = palloc(Max(sample->info.count, 1) * sizeof(Datum));

	for (int i = 0; i < sample->info.count; i++)
		fields[i] = field(&sample->queries[i]);
	return PointerGetDatum(
		construct_array(fields, sample->info.count, type, size, by_value, align));
}

/* All buckets of all queries, one query after the other. */
static Datum
bucket_array(const QuerySample *sample)
{
	int	   count = sample->info.count * QUERY_BUCKETS;
	Datum *buckets = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		buckets[i] = Float4GetDatum(sample->queries[i / QUERY_BUCKETS].buckets[i % QUERY_BUCKETS]);
	return PointerGetDatum(
		construct_array(buckets, count, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

/*
 * Inserts the sample of queries of a tier into a member.  Their buckets are stored
 * in the last tier only: they are as much as all the rest.
 */
void
dbperf_samples_insert_queries(int member, const QuerySample *sample)
{
	Oid	  types[13] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID,		  INT4OID,		  INT8ARRAYOID,
					   OIDARRAYOID,	   OIDARRAYOID,	   BOOLARRAYOID,  FLOAT8ARRAYOID, FLOAT8ARRAYOID,
					   FLOAT4ARRAYOID, FLOAT4ARRAYOID, FLOAT4ARRAYOID};
	Datum values[13];
	bool  buckets = member / 10 == NUM_TIERS;

	values[0] = TimestampTzGetDatum(sample->info.at);
	values[1] = TimestampTzGetDatum(sample->info.started);
	values[2] = Int32GetDatum(sample->info.step);
	values[3] = Int32GetDatum(member);
	values[4] = query_array(sample, field_queryid, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	values[5] = query_array(sample, field_database, OIDOID, 4, true, TYPALIGN_INT);
	values[6] = query_array(sample, field_role, OIDOID, 4, true, TYPALIGN_INT);
	values[7] = query_array(sample, field_toplevel, BOOLOID, 1, true, TYPALIGN_CHAR);
	values[8] = query_array(sample, field_calls, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	values[9] = query_array(sample, field_total_ms, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	values[10] = query_array(sample, field_new_calls, FLOAT4OID, 4, true, TYPALIGN_INT);
	values[11] = query_array(sample, field_new_ms, FLOAT4OID, 4, true, TYPALIGN_INT);
	values[12] = buckets ? bucket_array(sample) : (Datum) 0;
	if (SPI_execute_with_args(
			psprintf("INSERT INTO dbperf.metrics_query_samples_%d (sampled_at, started_at, step, "
					 "member, queryids, databases, roles, toplevel, calls, total_ms, new_calls, "
					 "new_ms, buckets) "
					 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
					 member),
			13, types, values, buckets ? NULL : "            n", false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write metrics_query_samples");
}
