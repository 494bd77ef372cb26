/*-------------------------------------------------------------------------
 *
 * cache_tree.c
 *		The text of a rewritten tree.
 *
 * It is what nodeToString() writes, without the places of its nodes in the
 * statement's text.  Two statements with the same text ask for the same thing,
 * whatever they look like.  Names of fields are left out as well: whoever reads
 * a tree back skips them, since what stands before a value says which one it is.
 * That makes the text three times shorter.
 *
 * To write it takes longer than to plan a small statement.  So a process keeps
 * the trees of the statements that it has met repeatedly, with their texts: for
 * a tree that equal() finds the same, which leaves out places, too, the text is
 * the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_check.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* What is counted before a tree is written, to leave large ones alone. */
#define TREE_MAX_CONSTANTS (32 * 1024)

/* The trees that this process keeps; a place is taken over by another. */
#define NUM_TREES 256
#define TREES_MAX_BYTES (4 * 1024 * 1024)

/* Bytes of a statement by which its place is found. */
#define HASHED_BYTES 4096

typedef struct KnownTree
{
	uint64		  hash;	   /* of the statement that was met here last */
	MemoryContext context; /* of the rest; NULL: there is none */
	Query		 *tree;
	char		 *text;
	int			  text_len;
} KnownTree;

static KnownTree	 known[NUM_TREES];
static MemoryContext known_context = NULL;

/* ---- writing ---- */

typedef struct TreeSize
{
	int	 nodes;
	Size constants;
} TreeSize;

/*
 * Stops with true when there is too much.
 */
static bool
size_walker(Node *node, void *context)
{
	TreeSize *size = context;

	if (node == NULL)
		return false;
	if (++size->nodes > CACHE_MAX_NODES)
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, size_walker, context, 0);
	if (IsA(node, Const) && !((Const *) node)->constisnull)
	{
		Const *value = (Const *) node;

		size->constants += datumGetSize(value->constvalue, value->constbyval, value->constlen);
		return size->constants > TREE_MAX_CONSTANTS;
	}
	return expression_tree_walker(node, size_walker, context);
}

/* Whether a field says where something stands in the statement's text. */
static bool
is_place(const char *name, int len)
{
	static const char *const places[] = {":location", ":stmt_location", ":stmt_len", ":queryId"};

	for (int i = 0; i < (int) lengthof(places); i++)
		if ((int) strlen(places[i]) == len && memcmp(places[i], name, len) == 0)
			return true;
	return false;
}

static inline bool
is_bracket(char c)
{
	return c == '(' || c == ')' || c == '{' || c == '}';
}

/*
 * The end of the token that begins here, as the reader of trees sees it.
 */
static const char *
token_end(const char *token)
{
	if (is_bracket(*token))
		return token + 1;
	while (*token != '\0' && *token != ' ' && !is_bracket(*token))
		token += *token == '\\' && token[1] != '\0' ? 2 : 1;
	return token;
}

/*
 * Takes names of fields and places out of a tree's text; returns its new
 * length.  A token with a colon is a field's name unless it follows one: then
 * it is a value that looks like it.
 */
static int
shorten(char *text)
{
	const char *in = text;
	char	   *out = text;
	bool		is_value = false;
	bool		skip = false;

	for (;;)
	{
		const char *end;

		while (*in == ' ')
			in++;
		if (*in == '\0')
			break;
		end = token_end(in);
		if (*in == ':' && !is_value)
		{
			is_value = true;
			skip = is_place(in, end - in);
		}
		else
		{
			if (!skip)
			{
				/* no separator is needed next to a bracket */
				if (out > text && !is_bracket(*in) && !is_bracket(out[-1]))
					*out++ = ' ';
				memmove(out, in, end - in);
				out += end - in;
			}
			is_value = skip = false;
		}
		in = end;
	}
	*out = '\0';
	return out - text;
}

/*
 * Writes a tree; NULL: it is too large.
 */
static char *
write_tree(Query *query, int *len)
{
	TreeSize size = {0};
	char	*text;

	if (size_walker((Node *) query, &size))
		return NULL;
	text = nodeToString(query);
	*len = shorten(text);
	return *len <= CACHE_MAX_TREE ? text : NULL;
}

/* ---- keeping ---- */

/*
 * The number by which a statement's place is found.  Others can have the same.
 */
static uint64
statement_hash(const Query *query, const char *source)
{
	Size len = source != NULL ? strlen(source) : 0;

	if (len == 0)
		return 1;
	if (query->stmt_location > 0 && query->stmt_location <= len)
	{
		source += query->stmt_location;
		len -= query->stmt_location;
	}
	if (query->stmt_len > 0 && query->stmt_len < len)
		len = query->stmt_len;
	return hash_bytes_extended((const unsigned char *) source, Min(len, HASHED_BYTES), len);
}

static void
forget(KnownTree *place)
{
	if (place->context == NULL)
		return;
	MemoryContextDelete(place->context);
	place->context = NULL;
}

/*
 * Makes room by forgetting everything, which also takes away what was met only
 * for a while.
 */
static void
make_room(void)
{
	if (known_context == NULL)
		known_context =
			AllocSetContextCreate(TopMemoryContext, "dbperf cache trees", ALLOCSET_SMALL_SIZES);
	if (MemoryContextMemAllocated(known_context, true) < TREES_MAX_BYTES)
		return;
	for (int i = 0; i < NUM_TREES; i++)
		forget(&known[i]);
}

/*
 * Keeps a tree.  An error on the way leaves everything as it was.
 */
static void
keep(KnownTree *place, Query *query, const char *text, int len)
{
	MemoryContext context;
	MemoryContext old;
	Query		 *tree;
	char		 *copy;

	make_room();
	context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf cache tree", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	tree = copyObject(query);
	copy = pnstrdup(text, len);
	MemoryContextSwitchTo(old);

	forget(place);
	MemoryContextSetParent(context, known_context);
	place->context = context;
	place->tree = tree;
	place->text = copy;
	place->text_len = len;
}

/*
 * The text of a tree, palloc'd, with its length in *len; NULL: it is too large.
 * source is what the statement's place refers to, or NULL.
 */
char *
dbperf_tree_text(Query *query, const char *source, int *len)
{
	uint64	   hash = statement_hash(query, source);
	KnownTree *place = &known[hash % NUM_TREES];
	char	  *text;

	if (place->hash == hash && place->context != NULL && equal(place->tree, query))
	{
		*len = place->text_len;
		return pnstrdup(place->text, place->text_len);
	}
	text = write_tree(query, len);
	if (place->hash != hash)
		place->hash = hash; /* the next time it is kept */
	else if (text != NULL)
		keep(place, query, text, *len);
	return text;
}
