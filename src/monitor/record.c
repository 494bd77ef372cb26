/*-------------------------------------------------------------------------
 *
 * record.c
 *		Builds the records of slow and failed statements and stores them.
 *
 * A record is a fixed part, filled from what is at hand, and texts.  Masking
 * the query's text needs no memory beyond a buffer that each process makes at
 * its first statement, so that a record can be written where nothing may be
 * allocated: after an error, and at commit.  Whatever reads catalogs is in
 * capture.c; if that fails, the record is stored without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include "catalog/pg_class.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "monitor/counters.h"
#include "monitor/track.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define TAGS_SIZE 2048
#define PLAIN_PARAMS_SIZE 8192
#define RING_DUMP_PATH "pg_stat/dbperf_slow_queries.stat"

/* changes with the layout of what is dumped */
#define RING_DUMP_FORMAT ((2 << 16) | (uint32) sizeof(SlowRecord))

/* What lies in shared memory beside the ring of slow statements. */
typedef struct RecordShared
{
	MonitorCounters counters;
} RecordShared;

DbperfRing		*dbperf_slow_ring = NULL;
MonitorCounters *dbperf_counters = NULL;

static RecordShared *record_shared = NULL;

/* buffers for texts, see the top; their size is that of the setting when made */
static char *scratch = NULL;
static int	 scratch_size = 0;
static char	 tags_buffer[TAGS_SIZE];
static Oid	 relations_buffer[RECORD_MAX_RELATIONS];

/* the flood guard's bucket */
static double tokens = 0;
static int64  tokens_at_ns = 0;

static Size
ring_size(void)
{
	return dbperf_ring_size(dbperf_slow_query_ring_entries,
							mul_size(dbperf_slow_query_ring_size, 1024));
}

static void
ring_dump_at_exit(int code, Datum arg)
{
	/* after a crash nothing in shared memory can be trusted */
	if (code == 0 && dbperf_slow_ring != NULL)
		dbperf_ring_dump(dbperf_slow_ring, RING_DUMP_PATH, RING_DUMP_FORMAT);
}

static void
ring_attach(void *area, bool found)
{
	dbperf_slow_ring = area;
	if (found)
		return;
	dbperf_ring_init(dbperf_slow_ring, dbperf_slow_query_ring_entries,
					 (Size) dbperf_slow_query_ring_size * 1024);
	dbperf_ring_load(dbperf_slow_ring, RING_DUMP_PATH, RING_DUMP_FORMAT);
	if (!IsUnderPostmaster)
		on_shmem_exit(ring_dump_at_exit, (Datum) 0);
}

static Size
record_size(void)
{
	return sizeof(RecordShared);
}

static void
record_attach(void *area, bool found)
{
	RingCounts counts;

	record_shared = area;
	dbperf_counters = &record_shared->counters;
	if (found)
		return;

	/* what became of earlier statements is known from the ring's own counts */
	dbperf_ring_counts(dbperf_slow_ring, &counts);
	pg_atomic_init_u64(&dbperf_counters->statements,
					   counts.written + counts.busy + counts.too_large);
	pg_atomic_init_u64(&dbperf_counters->skipped_flood, 0);
	pg_atomic_init_u64(&dbperf_counters->dropped_memory, 0);
	pg_atomic_init_u64(&dbperf_counters->degraded_memory, 0);
	pg_atomic_init_u64(&dbperf_counters->degraded_error, 0);
	pg_atomic_init_u64(&dbperf_counters->degraded_parallel, 0);
}

/*
 * Registers the shared memory of the ring and of the counters.
 */
void
dbperf_record_init(void)
{
	static const DbperfShmemArea ring = {
		.name = "dbperf slow queries",
		.size = ring_size,
		.attach = ring_attach,
	};
	static const DbperfShmemArea record = {
		.name = "dbperf monitor counters",
		.size = record_size,
		.attach = record_attach,
	};

	dbperf_shmem_register(&ring);
	dbperf_shmem_register(&record);
}

/* When the ids of the ring began at 1. */
TimestampTz
dbperf_slow_ring_start(void)
{
	return dbperf_ring_epoch(dbperf_slow_ring);
}

/*
 * Makes the buffers of this process, at a moment when allocating is allowed.
 * Without memory texts are left out.
 */
void
dbperf_record_prepare(void)
{
	if (likely(scratch_size >= dbperf_max_query_length))
		return;
	if (scratch != NULL)
		pfree(scratch);
	scratch_size = 0;
	scratch = MemoryContextAllocExtended(
		TopMemoryContext, dbperf_max_query_length + PLAIN_PARAMS_SIZE, MCXT_ALLOC_NO_OOM);
	if (scratch != NULL)
		scratch_size = dbperf_max_query_length;
}

/*
 * How much of a text is kept: the setting, as far as there is room.
 */
static int
scratch_limit(void)
{
	return Min(scratch_size, dbperf_max_query_length);
}

/*
 * Whether the flood guard lets a record pass; counts it if not.
 */
static bool
record_admitted(int64 now)
{
	double rate = dbperf_slow_query_max_rate;

	pg_atomic_fetch_add_u64(&dbperf_counters->statements, 1);
	if (rate <= 0)
		return true;
	tokens += (now - tokens_at_ns) * 1e-9 * rate;
	tokens = Min(tokens, rate);
	tokens_at_ns = now;
	if (tokens < 1)
	{
		pg_atomic_fetch_add_u64(&dbperf_counters->skipped_flood, 1);
		return false;
	}
	tokens -= 1;
	return true;
}

/*
 * Copies the masked text of one statement out of the text that was sent, in
 * which it starts at location and has length bytes (0 = all the rest), to dst.
 * Returns its bytes there; *full_len gets its length before it was cut.
 */
int
dbperf_record_mask(const char *source, int location, int length, char *dst, int size, int *full_len)
{
	*full_len = 0;
	if (source == NULL)
		return 0;
	if (location > 0)
	{
		/* a place beyond the end is no place */
		if (strnlen(source, location) == (size_t) location)
			source += location;
		else
			length = 0;
	}
	length = length > 0 ? (int) strnlen(source, length) : (int) strlen(source);

	while (length > 0 && isspace((unsigned char) *source))
	{
		source++;
		length--;
	}
	while (length > 0 && (isspace((unsigned char) source[length - 1]) || source[length - 1] == ';'))
		length--;
	*full_len = length;
	if (dst == NULL)
		return 0;
	return (int) dbperf_mask_query(dst, size, source, length, REDACTS_LITERALS(),
								   GetDatabaseEncoding());
}

/*
 * The address of the client, if it has one.
 */
static void
head_address(SlowRecord *head)
{
	struct sockaddr *addr;

	if (MyBEEntry == NULL)
		return;
	addr = (struct sockaddr *) &MyBEEntry->st_clientaddr.addr;
	if (addr->sa_family == AF_INET)
	{
		head->addr_family = AF_INET;
		memcpy(head->addr, &((struct sockaddr_in *) addr)->sin_addr, 4);
	}
	else if (addr->sa_family == AF_INET6)
	{
		head->addr_family = AF_INET6;
		memcpy(head->addr, &((struct sockaddr_in6 *) addr)->sin6_addr, 16);
	}
}

/*
 * Fills what every record has, of a statement of duration_ns that ended at
 * now.  Allocates nothing.
 */
void
dbperf_record_head(SlowRecord *head, int64 duration_ns, int64 now)
{
	memset(head, 0, sizeof(*head));
	head->duration_ns = duration_ns;
	head->started_at = (now - duration_ns + dbperf_wall_offset_ns(now)) / 1000;
	head->pre_execution_ns = RECORD_UNKNOWN;
	head->cpu_ns = RECORD_UNKNOWN;
	head->dbid = MyDatabaseId;
	head->userid = GetUserId();
	head->pid = MyProcPid;
	head->encoding = GetDatabaseEncoding();
	head->nparams = -1;
	head->work_mem_kb = work_mem;
	if (application_name != NULL)
		strlcpy(head->application_name, application_name, sizeof(head->application_name));
	head_address(head);
}

/*
 * Fills in what a statement used.
 */
static void
head_usage(SlowRecord *head, const TrackedStatement *tracked)
{
	const BufferUsage *buffers = &tracked->buffers;

	head->shared_blks_hit = buffers->shared_blks_hit;
	head->shared_blks_read = buffers->shared_blks_read;
	head->shared_blks_dirtied = buffers->shared_blks_dirtied;
	head->shared_blks_written = buffers->shared_blks_written;
	head->local_blks_hit = buffers->local_blks_hit;
	head->local_blks_read = buffers->local_blks_read;
	head->local_blks_dirtied = buffers->local_blks_dirtied;
	head->local_blks_written = buffers->local_blks_written;
	head->temp_blks_read = buffers->temp_blks_read;
	head->temp_blks_written = buffers->temp_blks_written;
	head->blk_read_ns = dbperf_blk_read_ns(buffers);
	head->blk_write_ns = dbperf_blk_write_ns(buffers);
	head->wal_records = tracked->wal.wal_records;
	head->wal_bytes = tracked->wal.wal_bytes;
}

static CommandTag
statement_tag(const DbperfStatement *stmt)
{
	CmdType type;

	if (stmt->tag != CMDTAG_UNKNOWN || stmt->planned == NULL)
		return stmt->tag;
	type = stmt->planned->commandType;
	return type == CMD_SELECT	? CMDTAG_SELECT
		   : type == CMD_INSERT ? CMDTAG_INSERT
		   : type == CMD_UPDATE ? CMDTAG_UPDATE
		   : type == CMD_DELETE ? CMDTAG_DELETE
		   : type == CMD_MERGE	? CMDTAG_MERGE
								: CMDTAG_UNKNOWN;
}

/*
 * Fills the fixed part of a statement's record.
 */
static void
head_statement(SlowRecord *head, DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);
	CommandTag		  tag = statement_tag(stmt);

	dbperf_track_usage(stmt);
	dbperf_record_head(head, stmt->elapsed_ns, dbperf_now_ns());
	head->userid = tracked->userid;
	head->queryid = stmt->queryid;
	head->parent_queryid = stmt->parent_queryid;
	head->level = stmt->level;
	head->pre_execution_ns = tracked->pre_ns;
	head->planning_ns = tracked->planning_ns;
	head->rows = tracked->rows;
	head_usage(head, tracked);
	if (tag != CMDTAG_UNKNOWN)
		strlcpy(head->command, GetCommandTagName(tag), sizeof(head->command));
	if (stmt->level == 0)
	{
		head->cpu_ns = dbperf_cpu_ns();
		dbperf_waits_copy(&head->waits);
	}
}

/*
 * Stores a record.  Without room in the ring for all of it, it goes without
 * its plan, and then without its parameters.
 */
static void
record_push(SlowRecord *head, const char *query, const char *plan, const char *params)
{
	Size	 max = dbperf_ring_max_record(dbperf_slow_ring);
	RingPart parts[6];

	if (sizeof(*head) + head->query_len + head->plan_len + head->params_len + head->tags_len +
			head->relations_len >
		max)
		head->plan_len = head->relations_len = 0;
	if (sizeof(*head) + head->query_len + head->params_len + head->tags_len > max)
	{
		head->params_len = 0;
		head->nparams = -1;
	}
	if (sizeof(*head) + head->query_len + head->tags_len > max)
		head->query_len = head->tags_len = 0;

	parts[0] = (RingPart){head, sizeof(*head)};
	parts[1] = (RingPart){query, head->query_len};
	parts[2] = (RingPart){plan, head->plan_len};
	parts[3] = (RingPart){params, head->params_len};
	parts[4] = (RingPart){tags_buffer, head->tags_len};
	parts[5] = (RingPart){relations_buffer, head->relations_len};
	(void) dbperf_ring_push(dbperf_slow_ring, parts, lengthof(parts), NULL);
}

/*
 * Reads the tags that an application has put into a comment.
 */
static void
head_tags(SlowRecord *head, const char *source, int location, int length)
{
	if (source == NULL)
		return;
	if (location > 0 && strnlen(source, location) == (size_t) location)
		source += location;
	length = length > 0 ? (int) strnlen(source, length) : (int) strlen(source);
	head->tags_len = (int32) dbperf_parse_tags(tags_buffer, sizeof(tags_buffer), source, length);
}

/*
 * Notes which tables a plan reads and writes, in the order of its range table.
 */
static void
head_relations(SlowRecord *head, const PlannedStmt *planned)
{
	int		  n = 0;
	ListCell *lc;

	foreach (lc, planned->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		int			   i = 0;

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			continue;
		while (i < n && relations_buffer[i] != rte->relid)
			i++;
		if (i == RECORD_MAX_RELATIONS)
			break;
		relations_buffer[i] = rte->relid;
		n = Max(n, i + 1);
	}
	head->relations_len = n * (int) sizeof(Oid);
}

static void
count_degraded(GuardResult result)
{
	if (result == GUARD_NO_MEMORY)
		pg_atomic_fetch_add_u64(&dbperf_counters->degraded_memory, 1);
	else if (result == GUARD_ERROR)
		pg_atomic_fetch_add_u64(&dbperf_counters->degraded_error, 1);
	else if (result == GUARD_IMPOSSIBLE)
		pg_atomic_fetch_add_u64(&dbperf_counters->degraded_parallel, 1);
}

static void
capture_learn(void *arg)
{
	DbperfStatement *stmt = arg;

	dbperf_instrument_learn(stmt, dbperf_tracked_slot(stmt, dbperf_tracked(stmt)));
}

/*
 * Captures what reads catalogs, each part for itself: one that fails does not
 * take the others with it.
 */
static GuardResult
capture_parts(Capture *capture, bool record)
{
	Capture		part = *capture;
	GuardResult result;
	GuardResult plan_result = GUARD_OK;

	part.want_params = true;
	part.want_texts = part.want_plan = part.want_log = false;
	result = dbperf_guarded(dbperf_capture, &part);
	if (result == GUARD_OK)
	{
		capture->params = part.params;
		capture->params_len = part.params_len;
		capture->nparams = part.nparams;
	}
	if (capture->want_texts && result != GUARD_IMPOSSIBLE)
	{
		part = *capture;
		part.want_params = part.want_plan = part.want_log = false;
		(void) dbperf_guarded(dbperf_capture, &part);
	}

	if (record && capture->want_plan && result != GUARD_IMPOSSIBLE)
	{
		part.want_params = part.want_texts = false;
		part.want_plan = true;
		plan_result = dbperf_guarded(dbperf_capture, &part);
		if (plan_result == GUARD_OK)
		{
			capture->plan = part.plan;
			capture->plan_len = part.plan_len;
		}
		capture->plan_id = part.plan_id;
		if (dbperf_tracked(capture->stmt)->counts_rows)
			(void) dbperf_guarded(capture_learn, capture->stmt);
	}
	return result != GUARD_OK ? result : plan_result;
}

/*
 * Completes a record with its texts and stores it.  query is masked already.
 */
static void
record_finish(SlowRecord *head, Capture *capture)
{
	head->query_len = capture->query_len;
	head->query_full_len = capture->query_full_len;
	head->plan_id = capture->plan_id;
	head->plan_len = capture->plan_len;
	head->params_len = capture->params_len;
	head->nparams = capture->nparams;
	if (capture->plan_len > 0 && capture->stmt->planned != NULL)
		head_relations(head, capture->stmt->planned);
	record_push(head, capture->query, capture->plan, capture->params);
}

/*
 * Begins the capture of a statement: its masked text.
 */
static void
capture_begin(Capture *capture, DbperfStatement *stmt)
{
	memset(capture, 0, sizeof(*capture));
	capture->stmt = stmt;
	capture->nparams = -1;
	capture->query = scratch;
	capture->query_len = dbperf_record_mask(stmt->source, stmt->location, stmt->length, scratch,
											scratch_limit(), &capture->query_full_len);
}

/*
 * A statement has ended well: records it if it was slow, and keeps it as its
 * query's sample, and the text of its plan, if there is none yet.
 */
void
dbperf_record_done(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);
	LatencySlot		 *slot = dbperf_tracked_slot(stmt, tracked);
	uint32			  none = 0;
	bool			  record = dbperf_is_slow(stmt, tracked) && record_admitted(stmt->clock_ns);
	bool			  texts = pg_atomic_compare_exchange_u32(&slot->has_texts, &none, 1);
	SlowRecord		  head;
	Capture			  capture;
	GuardResult		  result = GUARD_OK;

	texts = texts && !stmt->controls_xact;
	if (!record && !texts)
		return;
	dbperf_record_prepare();
	capture_begin(&capture, stmt);
	capture.want_texts = texts;
	capture.want_plan = dbperf_plan_capture != PLAN_CAPTURE_OFF && stmt->desc != NULL;
	if (record)
	{
		head_statement(&head, stmt);
		if (stmt->desc != NULL)
		{
			head.jit_ns = dbperf_jit_ns(stmt->desc);
			dbperf_instrument_slow(slot);
		}
	}

	/* in the middle of BEGIN or ROLLBACK there can be no subtransaction */
	if (!stmt->controls_xact)
		result = capture_parts(&capture, record);
	if (texts && result == GUARD_IMPOSSIBLE)
		pg_atomic_write_u32(&slot->has_texts, 0);
	if (record)
	{
		head_tags(&head, stmt->source, stmt->location, stmt->length);
		record_finish(&head, &capture);
		count_degraded(result);
		if (dbperf_log_slow_queries && result != GUARD_IMPOSSIBLE && !stmt->controls_xact)
		{
			capture.head = &head;
			capture.want_params = capture.want_texts = capture.want_plan = false;
			capture.want_log = true;
			(void) dbperf_guarded(dbperf_capture, &capture);
		}
	}
	dbperf_guard_reset();
}

/*
 * The plan that was published when the statement started, if it was.
 */
static void
published_plan(Capture *capture)
{
	BackendSlot *slot = dbperf_my_slot;

	if (slot == NULL || capture->stmt->level > 0 || slot->plan_len == 0 ||
		slot->plan_statement != pg_atomic_read_u64(&slot->statement))
		return;
	capture->plan = slot->plan;
	capture->plan_len = slot->plan_len;
}

/*
 * A statement was ended by an error.  Called in PG_CATCH, or from the hook
 * that sees a FATAL error: only what needs no memory and no catalog.
 */
void
dbperf_record_failed(DbperfStatement *stmt, int sqlstate)
{
	SlowRecord head;
	Capture	   capture;

	if (!record_admitted(dbperf_now_ns()))
		return;
	capture_begin(&capture, stmt);
	published_plan(&capture);
	if (stmt->params != NULL && scratch_size > 0)
	{
		capture.params = scratch + scratch_size;
		capture.nparams = dbperf_params_plain(stmt->params, scratch + scratch_size,
											  PLAIN_PARAMS_SIZE, &capture.params_len);
	}
	head_statement(&head, stmt);
	head.sqlstate = sqlstate;
	head_tags(&head, stmt->source, stmt->location, stmt->length);
	record_finish(&head, &capture);
}

/*
 * Keeps the text of a cursor whose time is over the threshold: at abort the
 * original is gone.  Without memory the record will have no text.
 */
void
dbperf_record_save_text(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	dbperf_record_prepare();
	if (tracked->saved_text != NULL || scratch_size == 0)
		return;
	tracked->saved_len = dbperf_record_mask(stmt->source, stmt->location, stmt->length, scratch,
											scratch_limit(), &tracked->saved_full_len);
	tracked->saved_text =
		MemoryContextAllocExtended(TopMemoryContext, Max(tracked->saved_len, 1), MCXT_ALLOC_NO_OOM);
	if (tracked->saved_text != NULL)
		memcpy(tracked->saved_text, scratch, tracked->saved_len);
	else
		tracked->saved_len = 0;
}

/*
 * A statement was still open when its transaction ended.  Nothing that it
 * points to can be trusted any more, but for what was saved.
 */
void
dbperf_record_abandoned(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);
	SlowRecord		  head;
	Capture			  capture = {0};

	if (!record_admitted(dbperf_now_ns()))
		return;
	stmt->planned = NULL;
	stmt->tag = CMDTAG_SELECT;
	capture.stmt = stmt;
	capture.nparams = -1;
	capture.query = tracked->saved_text;
	capture.query_len = tracked->saved_len;
	capture.query_full_len = tracked->saved_full_len;
	head_statement(&head, stmt);
	record_finish(&head, &capture);
}

/*
 * A statement failed before it came to the planner: a syntax error, an unknown
 * table, a lock that it waited for in parse analysis.  Without a text it is the
 * end of a transaction that has no COMMIT.
 */
void
dbperf_record_unstarted(const char *source, uint64 queryid, int64 pre_ns, int sqlstate)
{
	SlowRecord head;
	int64	   now = dbperf_now_ns();

	if (!record_admitted(now))
		return;
	dbperf_record_head(&head, 0, now);
	head.queryid = queryid;
	head.pre_execution_ns = pre_ns;
	head.sqlstate = sqlstate;
	if (source == NULL)
		strlcpy(head.command, GetCommandTagName(CMDTAG_COMMIT), sizeof(head.command));
	dbperf_waits_copy(&head.waits);
	head.query_len =
		dbperf_record_mask(source, 0, 0, scratch, scratch_limit(), &head.query_full_len);
	head_tags(&head, source, 0, 0);
	record_push(&head, scratch, NULL, NULL);
}

/*
 * Stores the record of a COMMIT, whose text the caller kept.
 */
void
dbperf_record_commit(const SlowRecord *commit, const char *query, int query_len)
{
	SlowRecord head = *commit;

	if (!record_admitted(dbperf_now_ns()))
		return;
	dbperf_waits_copy(&head.waits);
	head.query_len = query_len;
	record_push(&head, query, NULL, NULL);
}
