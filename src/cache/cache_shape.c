/*-------------------------------------------------------------------------
 *
 * cache_shape.c
 *		The part of a key that does not change between executions.
 *
 * Its text is that of the rewritten tree (cache_tree.c), and after it the
 * structure of the plan (cache_structure.c).
 *
 * Hashes are seeded with a secret, so that nobody can make two texts, or two
 * keys, that have the same one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_check.h"
#include "common/hashfn.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Numbers in the first element of a shape's list; 64 bits are two of them. */
enum
{
	LIST_HASH = 0,
	LIST_QUERYID = 4,
	LIST_GENERATION = 6,
	LIST_TEXT_LEN = 8,
	LIST_FLAGS = 9,
	LIST_NUMBERS = 10
};

#define FLAG_BY_ROLE 1
#define FLAG_HINTED 2
#define FLAG_SINGLE_ROW 4

/* The other elements. */
enum
{
	ELEMENT_NUMBERS,
	ELEMENT_TEXT,
	ELEMENT_RELATIONS,
	ELEMENT_CATALOGS,
	ELEMENT_FUNCTIONS,
	ELEMENT_PARAMS,
	ELEMENT_SETTINGS
};

/* The shapes that this process has numbered; a place is taken over by another. */
#define NUM_SHAPES 256
#define SHAPES_MAX_BYTES (4 * 1024 * 1024)

typedef struct NumberedShape
{
	uint64 number; /* 0 = unused */
	char  *text;
	int	   text_len;
} NumberedShape;

static NumberedShape numbered[NUM_SHAPES];
static MemoryContext numbered_context = NULL;
static Size			 numbered_bytes = 0;
static uint64		 last_number = 0;

/* ---- the secret ---- */

/* Written once, when the server starts. */
typedef struct ShapeSecret
{
	uint64 seeds[2];
} ShapeSecret;

static ShapeSecret *secret = NULL;

static Size
secret_size(void)
{
	return sizeof(ShapeSecret);
}

static void
secret_attach(void *area, bool found)
{
	secret = area;
	if (found)
		return;
	if (!pg_strong_random(secret, sizeof(*secret)))
	{
		secret->seeds[0] = hash_bytes_uint32_extended((uint32) MyProcPid, GetCurrentTimestamp());
		secret->seeds[1] = hash_bytes_uint32_extended((uint32) MyProcPid, secret->seeds[0]);
	}
}

/*
 * Registers the shared memory.  Called once, from the module's init function.
 */
void
dbperf_cache_shape_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cache secret",
		.size = secret_size,
		.attach = secret_attach,
	};

	dbperf_shmem_register(&area);
}

static inline uint64
seed(int n)
{
	return secret != NULL ? secret->seeds[n] : (uint64) n;
}

/* ---- the statement ---- */

/*
 * Whether there can be no more than one row.
 */
static bool
is_single_row(Query *query)
{
	Const *limit = (Const *) query->limitCount;

	if (limit != NULL && IsA(limit, Const) && !limit->constisnull &&
		query->limitOption == LIMIT_OPTION_COUNT && DatumGetInt64(limit->constvalue) <= 1)
		return true;
	return query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
		   query->setOperations == NULL && !query->hasTargetSRFs;
}

/*
 * The shape of a statement that is rewritten and not planned yet, which planning
 * must not have changed; source is the text that it stands in, and checked what
 * dbperf_cache_check_query() has found.  NULL: it is too large.
 */
CacheShape *
dbperf_shape_begin(Query *query, const char *source, const CacheShape *checked)
{
	CacheShape *shape;
	int			len;
	char	   *text = dbperf_tree_text(query, source, &len);

	if (text == NULL)
		return NULL;
	shape = palloc(sizeof(CacheShape));
	*shape = *checked;
	shape->queryid = (int64) query->queryId;
	shape->single_row = is_single_row(query);
	shape->text = text;
	shape->text_len = len;
	return shape;
}

/*
 * Appends a digest of what planning may compute with.  Immutable functions are
 * called then, with the settings of that moment, and their results stay in a
 * plan that is kept, whatever the settings are when it is executed.  So results
 * of plans that were made under other settings, or with other versions of a
 * function, are not the same.  To be called before the statement is planned,
 * with the functions filled.  False: it cannot be told.
 */
bool
dbperf_shape_note_state(CacheShape *shape)
{
	int	   len;
	char  *state = dbperf_key_planning_state(shape, &len);
	char  *text;
	uint64 hash[2];

	if (state == NULL)
		return false;
	for (int i = 0; i < (int) lengthof(hash); i++)
		hash[i] = hash_bytes_extended((const unsigned char *) state, len, seed(i));
	text = psprintf("%s|%08x%08x%08x%08x", shape->text, (uint32) (hash[0] >> 32), (uint32) hash[0],
					(uint32) (hash[1] >> 32), (uint32) hash[1]);
	pfree(state);
	pfree(shape->text);
	shape->text = text;
	shape->text_len = strlen(text);
	return true;
}

/* ---- what the plan adds ---- */

/*
 * Completes a shape with the finished plan.  Returns why that cannot be cached,
 * with *object (palloc'd, may be NULL) at fault, or CACHE_BYPASS_NONE.
 */
CacheBypass
dbperf_shape_finish(CacheShape *shape, PlannedStmt *planned, char **object)
{
	StringInfoData text;
	CacheBypass	   reason;

	initStringInfo(&text);
	appendBinaryStringInfo(&text, shape->text, shape->text_len);
	appendStringInfoChar(&text, '|');
	reason = dbperf_cache_check_plan(planned, shape, &text, object);
	if (reason != CACHE_BYPASS_NONE)
		return reason;
	if (planned->relationOids == NIL)
		return CACHE_BYPASS_NO_TABLE;

	shape->relations = list_copy(planned->relationOids);
	list_sort(shape->relations, list_oid_cmp);
	list_deduplicate_oid(shape->relations);
	if (list_length(shape->relations) + list_length(shape->catalogs) > CACHE_MAX_RELATIONS)
		return CACHE_BYPASS_TOO_LARGE;

	pfree(shape->text);
	shape->text = text.data;
	shape->text_len = text.len;

	for (int i = 0; i < (int) lengthof(shape->hash); i++)
		shape->hash[i] =
			hash_bytes_extended((const unsigned char *) shape->text, shape->text_len, seed(i));
	return CACHE_BYPASS_NONE;
}

/* ---- as a list ---- */

static List *
append_uint64(List *numbers, uint64 number)
{
	numbers = lappend_int(numbers, (int) (uint32) number);
	return lappend_int(numbers, (int) (uint32) (number >> 32));
}

static uint64
get_uint64(const List *numbers, int n)
{
	return (uint32) list_nth_int(numbers, n) |
		   ((uint64) (uint32) list_nth_int(numbers, n + 1) << 32);
}

/*
 * A shape as plain nodes, which share its parts.
 */
List *
dbperf_shape_to_list(const CacheShape *shape)
{
	List *numbers = NIL;
	List *list;

	numbers = append_uint64(numbers, shape->hash[0]);
	numbers = append_uint64(numbers, shape->hash[1]);
	numbers = append_uint64(numbers, (uint64) shape->queryid);
	numbers = append_uint64(numbers, shape->generation);
	numbers = lappend_int(numbers, shape->text_len);
	numbers = lappend_int(numbers, (shape->by_role ? FLAG_BY_ROLE : 0) |
									   (shape->hinted ? FLAG_HINTED : 0) |
									   (shape->single_row ? FLAG_SINGLE_ROW : 0));

	list = list_make5(numbers, makeString(shape->text), shape->relations, shape->catalogs,
					  shape->functions);
	list = lappend(list, shape->params);
	return lappend(list, shape->settings);
}

/*
 * The shape that a list was made of.  Its parts point into the list.
 */
CacheShape *
dbperf_shape_from_list(List *list)
{
	CacheShape *shape = palloc(sizeof(CacheShape));
	List	   *numbers = list_nth(list, ELEMENT_NUMBERS);
	int			flags = list_nth_int(numbers, LIST_FLAGS);

	Assert(list_length(numbers) == LIST_NUMBERS);
	shape->hash[0] = get_uint64(numbers, LIST_HASH);
	shape->hash[1] = get_uint64(numbers, LIST_HASH + 2);
	shape->queryid = (int64) get_uint64(numbers, LIST_QUERYID);
	shape->generation = get_uint64(numbers, LIST_GENERATION);
	shape->text_len = list_nth_int(numbers, LIST_TEXT_LEN);
	shape->text = strVal(list_nth(list, ELEMENT_TEXT));
	shape->relations = list_nth(list, ELEMENT_RELATIONS);
	shape->catalogs = list_nth(list, ELEMENT_CATALOGS);
	shape->functions = list_nth(list, ELEMENT_FUNCTIONS);
	shape->params = list_nth(list, ELEMENT_PARAMS);
	shape->settings = list_nth(list, ELEMENT_SETTINGS);
	shape->by_role = (flags & FLAG_BY_ROLE) != 0;
	shape->hinted = (flags & FLAG_HINTED) != 0;
	shape->single_row = (flags & FLAG_SINGLE_ROW) != 0;
	return shape;
}

/* ---- numbers ---- */

/*
 * Keeps a copy of a text for the next time, if there is memory for it.
 */
static void
remember_shape(NumberedShape *place, const CacheShape *shape)
{
	char *copy;

	if (place->number != 0)
	{
		pfree(place->text);
		numbered_bytes -= place->text_len;
		place->number = 0;
	}
	if (numbered_bytes + shape->text_len > SHAPES_MAX_BYTES)
		return;
	if (numbered_context == NULL)
		numbered_context =
			AllocSetContextCreate(TopMemoryContext, "dbperf cache shapes", ALLOCSET_DEFAULT_SIZES);
	copy = MemoryContextAllocExtended(numbered_context, shape->text_len, MCXT_ALLOC_NO_OOM);
	if (copy == NULL)
		return;
	memcpy(copy, shape->text, shape->text_len);
	place->text = copy;
	place->text_len = shape->text_len;
	place->number = last_number;
	numbered_bytes += shape->text_len;
}

/*
 * The number that a shape's text has in this process: the same one for the same
 * text as long as it is remembered, and never that of another text.
 */
uint64
dbperf_shape_number(const CacheShape *shape)
{
	NumberedShape *place = &numbered[shape->hash[0] % NUM_SHAPES];

	if (place->number != 0 && place->text_len == shape->text_len &&
		memcmp(place->text, shape->text, shape->text_len) == 0)
		return place->number;
	last_number++;
	remember_shape(place, shape);
	return last_number;
}
