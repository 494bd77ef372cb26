/*-------------------------------------------------------------------------
 *
 * node_answers.c
 *		Takes over what nodes say.
 *
 * Nothing that a node says is believed: numbers are read as such, texts are cut
 * and made valid in our encoding, and rows are tried out here, in a
 * subtransaction, so that no view can fail on them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "cluster/cluster_int.h"
#include "executor/spi.h"
#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define IDENTITY_COLUMNS 15

/*
 * Copies a text that a node has sent, in its encoding, as far as there is room.
 * Control characters become blanks.  Inside a transaction.
 */
void
dbperf_put_text(char *to, size_t size, const char *from, int encoding)
{
	char *text = text_to_cstring(dbperf_server_text(from, (int) strlen(from), encoding));
	int	  len = dbperf_clip(text, (int) strlen(text), (int) size - 1, GetDatabaseEncoding());

	memmove(to, text, len);
	to[len] = '\0';
	for (char *c = to; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 127)
			*c = ' ';
	}
}

/* A column of a result's only row, NULL for null. */
static const char *
value(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? NULL : PQgetvalue(result, 0, column);
}

static bool
has_shape(const PGresult *result, int columns)
{
	return result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		   PQnfields(result) == columns;
}

/* A number that is not negative, -1 for anything else. */
static double
number(const char *text)
{
	char  *end;
	double result = text != NULL ? strtod(text, &end) : -1;

	return text != NULL && *end == '\0' && isfinite(result) && result >= 0 ? result : -1;
}

/* How far a node's replay is behind this server, -1 = not known. */
static int64
bytes_behind(const NodeFacts *facts, const char *replayed)
{
	double position = number(replayed);
	uint64 here;

	if (!facts->in_recovery || position < 0)
		return -1;
	here = GetFlushRecPtr(NULL);
	return here > (uint64) position ? (int64) (here - (uint64) position) : 0;
}

/*
 * Whether a result is a node's answer to what it is; says whether it has our
 * system identifier, and why it cannot be asked for a part, NULL = it can.  Needs
 * no transaction.
 */
bool
dbperf_peek_identity(const PGresult *result, bool *is_replica, const char **refusals)
{
	const char *views;

	if (!has_shape(result, IDENTITY_COLUMNS) || value(result, 0) == NULL)
		return false;
	views = value(result, 11);
	if (views == NULL || strlen(views) != NODE_PARTS)
		return false;
	*is_replica = (uint64) strtoull(value(result, 0), NULL, 10) == GetSystemIdentifier();
	for (int i = 0; i < NODE_PARTS; i++)
	{
		refusals[i] = NULL;
		if (i == PART_INDEX_USAGE)
			continue;
		if (value(result, 6) == NULL)
			refusals[i] = "extension dbperf is not installed there";
		else if (views[i] == '-')
			refusals[i] = "the release of dbperf that is installed there has no such view";
		else if (views[i] != '+')
			refusals[i] = "the role that connects may not read this there: grant it pg_monitor";
		else if ((i == PART_SLOW_QUERIES || i == PART_QUERY_LATENCY) &&
				 strcmp(PQgetvalue(result, 0, 7), "t") != 0)
			refusals[i] =
				"the role that connects sees its own statements only: grant it pg_monitor";
	}
	return true;
}

/* A time of our clock that was so many seconds ago, 0 = not known. */
static TimestampTz
ago(TimestampTz now, const char *seconds)
{
	double age = number(seconds);

	return age < 0 ? 0 : now - (TimestampTz) Min(age * 1e6, 1e17);
}

/*
 * Takes over what a node is, which was heard at that time.  Returns false if this
 * is no answer to the question.  Inside a transaction.
 */
bool
dbperf_take_identity(const PGresult *result, int encoding, TimestampTz heard, NodeFacts *facts)
{

	if (!has_shape(result, IDENTITY_COLUMNS))
		return false;
	for (int i = 0; i < 6; i++)
	{
		if (value(result, i) == NULL)
			return false;
	}
	facts->system_id = (uint64) strtoull(value(result, 0), NULL, 10);
	if (facts->system_id == 0)
		return false;
	facts->in_recovery = strcmp(value(result, 1), "t") == 0;
	dbperf_put_text(facts->server_version, sizeof(facts->server_version), value(result, 2),
					encoding);
	dbperf_put_text(facts->database, sizeof(facts->database), value(result, 3), encoding);
	facts->port = atoi(value(result, 4));
	facts->started = (int64) strtoll(value(result, 5), NULL, 10);
	dbperf_put_text(facts->dbperf_version, sizeof(facts->dbperf_version),
					value(result, 6) != NULL ? value(result, 6) : "", encoding);
	facts->lag_seconds = number(value(result, 8));
	facts->lag_bytes = -1;

	/* the database's texts are not the same bytes in another encoding */
	facts->is_this_server = false;
	if (facts->system_id == GetSystemIdentifier())
	{
		int64 started = PgStartTime + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

		facts->is_this_server =
			!facts->in_recovery && facts->port == PostPortNumber && facts->started == started;
		facts->lag_bytes = bytes_behind(facts, value(result, 9));
	}
	facts->counting_since = ago(heard, value(result, 10));
	facts->receiver_since = ago(heard, value(result, 12));
	dbperf_put_text(facts->receiver_slot, sizeof(facts->receiver_slot),
					value(result, 13) != NULL ? value(result, 13) : "", encoding);
	facts->sender_port = value(result, 14) != NULL ? atoi(value(result, 14)) : 0;
	return true;
}

static int
compare_use(const void *a, const void *b)
{
	Oid left = ((const NodeIndexUse *) a)->index;
	Oid right = ((const NodeIndexUse *) b)->index;

	return left < right ? -1 : left > right ? 1 : 0;
}

/*
 * Takes over which indexes a node has scanned.  Returns false if this is no
 * answer to the question.
 */
bool
dbperf_take_usage(const PGresult *result, NodeSlot *slot)
{
	const char *c;

	slot->facts.num_used = 0;
	slot->facts.used_is_complete = true;
	if (!has_shape(result, 1))
		return false;
	c = value(result, 0);
	while (c != NULL && *c != '\0')
	{
		char		 *end;
		unsigned long index = strtoul(c, &end, 10);
		unsigned long scans;

		if (end == c || *end != ' ' || index == 0 || index > OID_MAX)
			return false;
		c = end;
		scans = strtoul(c, &end, 10);
		if (end == c || (*end != ' ' && *end != '\0'))
			return false;
		c = end;
		if (slot->facts.num_used == NODE_MAX_USED)
		{
			slot->facts.used_is_complete = false;
			break;
		}
		slot->used[slot->facts.num_used].index = (Oid) index;
		slot->used[slot->facts.num_used++].scans = (uint32) Min(scans, PG_UINT32_MAX);
	}
	qsort(slot->used, slot->facts.num_used, sizeof(NodeIndexUse), compare_use);
	return true;
}

/*
 * Whether text is JSON as jsonb writes it: no number has an exponent, which would
 * make a few bytes many thousands when they are written again.
 */
static bool
is_plain(const char *json)
{
	bool in_string = false;

	for (const char *c = json; *c != '\0'; c++)
	{
		if (*c == '"')
			in_string = !in_string;
		else if (in_string && *c == '\\' && c[1] != '\0')
			c++;
		else if (!in_string && (*c == 'e' || *c == 'E') && c > json &&
				 (c[-1] == '.' || (c[-1] >= '0' && c[-1] <= '9')))
			return false;
	}
	return true;
}

/*
 * The rows of a part, unchecked, in the current memory context; NULL if this is
 * no answer to the question.
 */
char *
dbperf_take_part(const PGresult *result)
{
	if (!has_shape(result, 1) || value(result, 0) == NULL ||
		PQgetlength(result, 0, 0) > NODE_PART_BYTES || !is_plain(value(result, 0)))
		return NULL;
	return pstrdup(value(result, 0));
}

/* Rows that are tried out. */
typedef struct Trial
{
	NodePart part;
	char	*rows;
	char	*accepted; /* what was read, as jsonb writes it; NULL = nothing */
} Trial;

/*
 * Reads rows as the views will; an error says that they cannot.  What is kept is
 * what was read here: the same text may be read otherwise in a session with other
 * settings, or not at all.
 */
static void
try_rows(void *arg)
{
	Trial		 *trial = arg;
	MemoryContext context = CurrentMemoryContext;
	Oid			  type = JSONBOID;
	Datum		  json = DirectFunctionCall1(jsonb_in, CStringGetDatum(trial->rows));
	bool		  isnull;
	Datum		  read;

	if (!JB_ROOT_IS_ARRAY(DatumGetJsonbP(json)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not an array")));
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(dbperf_part_check(trial->part), 1, &type, &json, NULL, true, 0) !=
			SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not check the rows of a node");
	read = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		trial->accepted =
			MemoryContextStrdup(context, DatumGetCString(DirectFunctionCall1(jsonb_out, read)));
	SPI_finish();
}

/*
 * Keeps the rows of one part after the bytes that are used, if they can be shown.
 * Returns how many bytes are used then.
 */
static int
keep_part(NodeSlot *slot, NodePart which, const char *rows, int encoding, int used)
{
	NodePartAnswer *part = &slot->facts.parts[which];
	Trial			trial = {which, NULL, NULL};
	int				len;

	trial.rows = text_to_cstring(dbperf_server_text(rows, (int) strlen(rows), encoding));
	if (!dbperf_try(try_rows, &trial) || trial.accepted == NULL)
	{
		strlcpy(part->problem, "the answer cannot be read", sizeof(part->problem));
		return used;
	}
	len = (int) strlen(trial.accepted);
	if (len > NODE_BYTES - used)
	{
		strlcpy(part->problem, "the answer is too long", sizeof(part->problem));
		return used;
	}
	memcpy(slot->data + used, trial.accepted, len);
	part->len = len;
	return used + len;
}

/*
 * Keeps the rows of all parts that can be shown.  Inside a transaction of a
 * superuser's.  Of what that takes nothing is left for the next part.
 */
void
dbperf_keep_answers(NodeSlot *slot, const NodeAnswers *answers)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf node part", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	int			  used = 0;

	for (int i = 0; i < NODE_PARTS; i++)
	{
		slot->facts.parts[i].start = used;
		slot->facts.parts[i].len = 0;
		if (answers->parts[i] != NULL)
			used = keep_part(slot, (NodePart) i, answers->parts[i], answers->encoding, used);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
