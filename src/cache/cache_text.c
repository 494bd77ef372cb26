/*-------------------------------------------------------------------------
 *
 * cache_text.c
 *		The texts of shapes: storing them, and knowing which are equal.
 *
 * The text of a shape is long, repeats itself, and is the same for many
 * entries.  So it is stored compressed, and what is known is not found out
 * again: each text in the store has a number, and each process remembers which
 * numbers the shapes that it uses were found equal to.  Two numbers can stand
 * for the same text (two processes stored it at the same time), never one for
 * two.  Compressing takes longer than anything else here, so some compressed
 * texts are kept: those of shapes that were just compressed, and of entries
 * that were found outdated, which are about to be replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "common/pg_lzcompress.h"

/* Texts up to this length are not compressed. */
#define PLAIN_TEXT 1024

/* The numbers of a shape's text in the store, the last one found first. */
typedef struct KnownText
{
	uint64 shape; /* CacheKey.shape */
	uint64 texts[2];
} KnownText;

#define KNOWN_TEXTS 256

/* A compressed text that is kept. */
#define SPARE_BYTES 4096
#define SPARE_TEXTS 16

typedef struct SpareText
{
	uint64 shape;
	int	   bytes; /* 0 = none */
	char   data[SPARE_BYTES];
} SpareText;

/* Not allocated, since that could fail a statement; untouched they cost nothing. */
static KnownText known_texts[KNOWN_TEXTS];
static SpareText spare_texts[SPARE_TEXTS];

/*
 * Forgets what was known of another store.
 */
void
dbperf_cache_texts_forget(void)
{
	memset(known_texts, 0, sizeof(known_texts));
}

static KnownText *
known_text(uint64 shape)
{
	KnownText *known = &known_texts[shape % KNOWN_TEXTS];

	if (known->shape != shape)
	{
		known->shape = shape;
		known->texts[0] = known->texts[1] = 0;
	}
	return known;
}

/* Remembers that the text of a shape is equal to the one with this number. */
static void
text_learn(uint64 shape, uint64 text)
{
	KnownText *known = known_text(shape);

	if (known->texts[0] != text)
	{
		known->texts[1] = known->texts[0];
		known->texts[0] = text;
	}
}

/*
 * The number of a shape's text, which may be a new one.
 */
uint64
dbperf_cache_text_number(uint64 shape)
{
	uint64 text = known_text(shape)->texts[0];

	if (text == 0)
	{
		text = pg_atomic_fetch_add_u64(&dbperf_cache_place.shared->next_text, 1);
		text_learn(shape, text);
	}
	return text;
}

/* Whether the text of a pinned entry is that of the key, byte by byte. */
static bool
compare_text(const CacheKey *key, CacheEntry *entry)
{
	char *buffer;
	bool  same;

	if (entry->text_len != (uint32) key->text_len)
		return false;
	if (entry->text_stored == entry->text_len)
		return memcmp(cache_entry_text(entry), key->text, key->text_len) == 0;

	buffer = palloc_extended(entry->text_len, MCXT_ALLOC_NO_OOM);
	if (buffer == NULL)
		return false;
	same = pglz_decompress(cache_entry_text(entry), entry->text_stored, buffer, entry->text_len,
						   true) == (int32) entry->text_len &&
		   memcmp(buffer, key->text, key->text_len) == 0;
	pfree(buffer);
	return same;
}

/*
 * Whether the text of a pinned entry is that of the key.  Also false if there
 * is no memory to find out.
 */
bool
dbperf_cache_text_same(const CacheKey *key, CacheEntry *entry)
{
	KnownText *known = known_text(key->shape);

	if (likely(known->texts[0] == entry->text) || known->texts[1] == entry->text)
		return true;
	if (!compare_text(key, entry))
		return false;
	text_learn(key->shape, entry->text);
	return true;
}

static void
spare_keep(uint64 shape, const char *data, int bytes)
{
	SpareText *spare = &spare_texts[shape % SPARE_TEXTS];

	if (bytes > SPARE_BYTES || (spare->shape == shape && spare->bytes > 0))
		return;
	spare->shape = shape;
	spare->bytes = bytes;
	memcpy(spare->data, data, bytes);
}

/*
 * Keeps the text of a pinned entry that has the text of a shape, which will be
 * wanted soon.
 */
void
dbperf_cache_text_keep(uint64 shape, CacheEntry *entry)
{
	if (entry->text_stored < entry->text_len)
		spare_keep(shape, cache_entry_text(entry), entry->text_stored);
}

/*
 * Fills in how the text of a key is stored.  What it allocates is in
 * text->buffer.
 */
void
dbperf_cache_text_to_store(const CacheKey *key, CacheText *text)
{
	SpareText *spare = &spare_texts[key->shape % SPARE_TEXTS];
	int32	   compressed;

	text->data = key->text;
	text->bytes = key->text_len;
	text->buffer = NULL;
	if (key->text_len <= PLAIN_TEXT)
		return;
	if (spare->shape == key->shape && spare->bytes > 0)
	{
		text->data = spare->data;
		text->bytes = spare->bytes;
		return;
	}

	text->buffer = palloc_extended(PGLZ_MAX_OUTPUT(key->text_len), MCXT_ALLOC_NO_OOM);
	if (text->buffer == NULL)
		return;
	compressed = pglz_compress(key->text, key->text_len, text->buffer, PGLZ_strategy_default);
	if (compressed <= 0 || compressed >= key->text_len)
		return;
	text->data = text->buffer;
	text->bytes = compressed;
	spare_keep(key->shape, text->data, text->bytes);
}
