/*-------------------------------------------------------------------------
 *
 * maint_xid_rate.c
 *		How fast the server uses up transaction ids and multixacts.
 *
 * The launcher takes a sample each minute; those of the last 24 hours are
 * kept, over a clean restart too, since a rate that is known for a few minutes
 * only says little about days.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/multixact.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "core/core.h"
#include "funcapi.h"
#include "maintenance/maint_blockers.h"
#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "postmaster/autovacuum.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define SAMPLE_INTERVAL (60 * USECS_PER_SEC)
#define SAMPLES (24 * 60 + 1)
#define RATE_SPAN ((int64) SAMPLES * SAMPLE_INTERVAL)
#define RATE_FILE "pg_stat/dbperf_xid_rate.stat"
#define RATE_MAGIC 0x64627872
#define RATE_COLUMNS 9

/* The clock may be set back this far before the samples are worth nothing. */
#define CLOCK_TOLERANCE USECS_PER_HOUR

typedef struct XidSample
{
	TimestampTz at;
	uint64		xid;	/* the next one, with its epoch */
	uint64		mxacts; /* assigned since the first sample of all */
} XidSample;

/*
 * A ring of samples.  All of it is under RATE_LOCK, and nothing else is done
 * while that is held.
 */
typedef struct XidRate
{
	int			count;
	int			first;		/* place of the oldest */
	MultiXactId next_mxact; /* as of the newest sample */
	XidSample	samples[SAMPLES];
} XidRate;

/* The file: this, then the ring. */
typedef struct XidRateFile
{
	uint32	  magic;
	uint32	  size;
	pg_crc32c crc; /* of the ring */
} XidRateFile;

/* What is used per day. */
typedef struct Consumption
{
	uint64		next_xid;
	MultiXactId next_mxact;
	TimestampTz from; /* 0 = there is no sample */
	TimestampTz to;
	double		xids; /* per day, -1 = not known */
	double		mxacts;
} Consumption;

PG_FUNCTION_INFO_V1(dbperf_xid_consumption);

static XidRate		*rate = NULL;
static LWLockPadded *rate_locks = NULL;

#define RATE_LOCK (&rate_locks[0].lock)

/* A sample by its age, 0 = the oldest. */
static XidSample *
sample_at(int i)
{
	return &rate->samples[(rate->first + i) % SAMPLES];
}

/* ---- the file ---- */

/* Returns the checksum of the ring. */
static pg_crc32c
rate_crc(void)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, rate, sizeof(XidRate));
	FIN_CRC32C(crc);
	return crc;
}

/*
 * Write the ring at a clean shutdown.  Problems are logged: without the file
 * measuring begins anew.
 */
static void
rate_dump(int code, Datum arg)
{
	XidRateFile header = {.magic = RATE_MAGIC, .size = sizeof(XidRate)};
	const char *temp = RATE_FILE ".tmp";
	FILE	   *file;
	bool		written;

	/* after a crash nothing in shared memory can be trusted */
	if (code != 0 || rate == NULL || rate->count == 0)
		return;

	header.crc = rate_crc();
	file = AllocateFile(temp, PG_BINARY_W);
	written = file != NULL && fwrite(&header, sizeof(header), 1, file) == 1 &&
			  fwrite(rate, sizeof(XidRate), 1, file) == 1;
	if (file != NULL && FreeFile(file) != 0)
		written = false;
	if (!written)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", temp)));
	if (!written || durable_rename(temp, RATE_FILE, LOG) != 0)
		(void) unlink(temp);
}

/*
 * Read what was written, into the new ring, and remove the file: after a crash
 * there is none.  Whether it fits the server's xids is seen at the next
 * sample.
 */
static void
rate_load(void)
{
	XidRateFile header;
	FILE	   *file = AllocateFile(RATE_FILE, PG_BINARY_R);
	bool		good;

	if (file == NULL)
		return;
	good = fread(&header, sizeof(header), 1, file) == 1 && header.magic == RATE_MAGIC &&
		   header.size == sizeof(XidRate) && fread(rate, sizeof(XidRate), 1, file) == 1 &&
		   EQ_CRC32C(header.crc, rate_crc()) && rate->count > 0 && rate->count <= SAMPLES &&
		   rate->first >= 0 && rate->first < SAMPLES;
	(void) FreeFile(file);
	if (!good)
	{
		memset(rate, 0, sizeof(XidRate));
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
					  errmsg("file \"%s\" is damaged or of another version of dbperf, "
							 "measuring of transaction ids begins anew",
							 RATE_FILE)));
	}
	if (unlink(RATE_FILE) != 0)
		ereport(LOG,
				(errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", RATE_FILE)));
}

/* ---- shared memory ---- */

static Size
rate_size(void)
{
	return sizeof(XidRate);
}

static void
rate_attach(void *area, bool found)
{
	rate = area;
	if (found)
		return;
	memset(rate, 0, sizeof(XidRate));
	rate_load();
	if (!IsUnderPostmaster)
		on_shmem_exit(rate_dump, (Datum) 0);
}

/*
 * Register the ring.  Called once, from the module's init function.
 */
void
dbperf_maint_xid_rate_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf xid rate",
		.size = rate_size,
		.attach = rate_attach,
		.tranche = "DbperfXidRate",
		.num_locks = 1,
		.locks = &rate_locks,
	};

	dbperf_shmem_register(&area);
}

/* ---- sampling ---- */

/*
 * Whether the newest sample cannot be from this server's past: it was restored
 * or reset meanwhile, or the clock was.  Caller must hold the lock.
 */
static bool
samples_are_void(TimestampTz now, uint64 xid, MultiXactId mxact)
{
	const XidSample *newest = sample_at(rate->count - 1);

	return newest->xid > xid || (int32) (mxact - rate->next_mxact) < 0 ||
		   newest->at > now + CLOCK_TOLERANCE;
}

/* Add a sample.  Caller must hold the lock exclusively. */
static void
add_sample(TimestampTz now, uint64 xid, MultiXactId mxact)
{
	uint64 mxacts = 0;

	if (rate->count > 0 && samples_are_void(now, xid, mxact))
		rate->count = 0;
	if (rate->count > 0)
	{
		const XidSample *newest = sample_at(rate->count - 1);

		if (now < newest->at + SAMPLE_INTERVAL)
			return;
		mxacts = newest->mxacts + (uint32) (mxact - rate->next_mxact);
	}
	if (rate->count == SAMPLES)
		rate->first = (rate->first + 1) % SAMPLES;
	else
		rate->count++;
	*sample_at(rate->count - 1) = (XidSample){.at = now, .xid = xid, .mxacts = mxacts};
	rate->next_mxact = mxact;
}

/*
 * Take a sample, unless there is one of the last minute.  May be called at any
 * time, by any process; the launcher does.
 */
void
dbperf_maint_xid_sample(void)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		xid;
	MultiXactId mxact;
	TimestampTz newest = 0;

	if (rate == NULL)
		return;

	LWLockAcquire(RATE_LOCK, LW_SHARED);
	if (rate->count > 0)
		newest = sample_at(rate->count - 1)->at;
	LWLockRelease(RATE_LOCK);
	if (newest != 0 && now < newest + SAMPLE_INTERVAL && now + CLOCK_TOLERANCE > newest)
		return;

	xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	mxact = ReadNextMultiXactId();
	LWLockAcquire(RATE_LOCK, LW_EXCLUSIVE);
	add_sample(now, xid, mxact);
	LWLockRelease(RATE_LOCK);
}

/* ---- reading ---- */

/*
 * The oldest sample that is not older than the span, and how many multixacts
 * were assigned since it; false if there is none that fits.
 */
static bool
oldest_sample(TimestampTz now, uint64 xid, MultiXactId mxact, XidSample *oldest, uint64 *mxacts)
{
	bool found = false;

	if (rate == NULL)
		return false;

	LWLockAcquire(RATE_LOCK, LW_SHARED);
	if (rate->count > 0 && !samples_are_void(now, xid, mxact))
	{
		for (int i = 0; i < rate->count && !found; i++)
		{
			*oldest = *sample_at(i);
			found = oldest->at >= now - RATE_SPAN;
		}
		*mxacts = sample_at(rate->count - 1)->mxacts - oldest->mxacts +
				  (uint32) (mxact - rate->next_mxact);
	}
	LWLockRelease(RATE_LOCK);
	return found;
}

/* What is used, from the oldest sample until now. */
static Consumption
consumption(void)
{
	Consumption use = {.xids = -1, .mxacts = -1, .to = GetCurrentTimestamp()};
	XidSample	oldest;
	uint64		mxacts = 0;

	use.next_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	use.next_mxact = ReadNextMultiXactId();
	if (oldest_sample(use.to, use.next_xid, use.next_mxact, &oldest, &mxacts))
	{
		int64 span = use.to - oldest.at;

		use.from = oldest.at;
		if (span >= SAMPLE_INTERVAL)
		{
			use.xids = (double) (use.next_xid - oldest.xid) * USECS_PER_DAY / span;
			use.mxacts = (double) mxacts * USECS_PER_DAY / span;
		}
	}
	return use;
}

/*
 * Transaction ids used per day; -1 until a minute has been measured.
 */
double
dbperf_maint_xids_per_day(void)
{
	return consumption().xids;
}

/*
 * Multixacts used per day; -1 until a minute has been measured.
 */
double
dbperf_maint_mxids_per_day(void)
{
	return consumption().mxacts;
}

/*
 * The age of multixacts from which on autovacuum is forced to freeze.  A standby
 * does not know how many members they have, which the server's function would
 * take for the worst.
 */
int
dbperf_maint_mxid_max_age(void)
{
	return RecoveryInProgress() ? autovacuum_multixact_freeze_max_age
								: MultiXactMemberFreezeThreshold();
}

/*
 * When the xid was the next one, to the minute; 0 if that was before the
 * samples, or is not known.
 */
TimestampTz
dbperf_maint_xid_time(TransactionId xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint64		full = next - (uint32) ((TransactionId) next - xid);
	TimestampTz at = 0;

	if (rate == NULL)
		return 0;

	LWLockAcquire(RATE_LOCK, LW_SHARED);
	for (int i = rate->count - 1; i >= 0; i--)
	{
		if (sample_at(i)->xid <= full)
		{
			at = sample_at(i)->at;
			break;
		}
	}
	LWLockRelease(RATE_LOCK);
	return at;
}

/* Put a number per day, null for -1. */
static void
put_rate(Datum *values, bool *nulls, int column, double per_day)
{
	nulls[column] = per_day < 0;
	values[column] = Float8GetDatum(per_day);
}

/*
 * dbperf.xid_consumption(): one row of what is used, and of the limits that
 * apply to the whole server.
 */
Datum
dbperf_xid_consumption(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[RATE_COLUMNS];
	bool		nulls[RATE_COLUMNS] = {0};
	Consumption use = consumption();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, RATE_COLUMNS);

	values[0] = TimestampTzGetDatum(use.to);
	nulls[1] = use.from == 0;
	if (use.from != 0)
		values[1] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(use.to),
										TimestampTzGetDatum(use.from));
	values[2] = UInt64GetDatum(use.next_xid);
	values[3] = Int64GetDatum((int64) use.next_mxact);
	put_rate(values, nulls, 4, use.xids);
	put_rate(values, nulls, 5, use.mxacts);
	values[6] = Int64GetDatum((int64) dbperf_maint_mxid_max_age());
	/* what varsup.c and multixact.c leave between the last one and wraparound */
	values[7] = Int64GetDatum((int64) (MaxTransactionId >> 1) - 3000000);
	values[8] = Int64GetDatum((int64) (MaxMultiXactId >> 1) - 3000000);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
