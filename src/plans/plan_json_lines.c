/*-------------------------------------------------------------------------
 *
 * plan_json_lines.c
 *		Lines of a plan that hold several values, each of which has a key of its
 *		own in JSON.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "plans/plan_json.h"

/* One value of a line "line: 1  part: 2kB". */
typedef struct LinePart
{
	const char *line; /* its first part */
	const char *part;
	const char *key;	  /* in JSON */
	const char *original; /* where "(originally n)" goes, or NULL */
} LinePart;

static const LinePart line_parts[] = {
	{"Buckets", "Buckets", "Hash Buckets", "Original Hash Buckets"},
	{"Buckets", "Batches", "Hash Batches", "Original Hash Batches"},
	{"Buckets", "Memory Usage", "Peak Memory Usage", NULL},
	{"Batches", "Batches", "HashAgg Batches", NULL},
	{"Batches", "Memory Usage", "Peak Memory Usage", NULL},
	{"Batches", "Disk Usage", "Disk Usage", NULL},
	{"Planned Partitions", "Planned Partitions", "Planned Partitions", NULL},
	{"Planned Partitions", "Batches", "HashAgg Batches", NULL},
	{"Planned Partitions", "Memory Usage", "Peak Memory Usage", NULL},
	{"Planned Partitions", "Disk Usage", "Disk Usage", NULL},
	{"Hits", "Hits", "Cache Hits", NULL},
	{"Hits", "Misses", "Cache Misses", NULL},
	{"Hits", "Evictions", "Cache Evictions", NULL},
	{"Hits", "Overflows", "Cache Overflows", NULL},
	{"Hits", "Memory Usage", "Peak Memory Usage", NULL},
	{"Storage", "Maximum Storage", "Maximum Storage", NULL}};

/*
 * Takes the next "key: value" off a line, in which two spaces stand between
 * them.  The first has no key any more; it gets the one that *key has.
 */
static bool
next_part(const char **p, const char **key, char **value)
{
	const char *end;

	if (**p == '\0')
		return false;
	if (*key == NULL)
	{
		int len = (int) strcspn(*p, ":");

		*key = pnstrdup(*p, len);
		*p += len;
		*p += strspn(*p, ": ");
	}
	end = strstr(*p, "  ");
	if (end == NULL)
		end = *p + strlen(*p);
	*value = pnstrdup(*p, end - *p);
	*p = end + strspn(end, " ");
	return true;
}

/* Writes a value under the key that the table has for it. */
static void
write_part(JsonWriter *writer, const char *line, const char *part, const char *value)
{
	for (int i = 0; i < (int) lengthof(line_parts); i++)
	{
		const LinePart *known = &line_parts[i];
		const char	   *original = strstr(value, "(originally ");

		if (strcmp(known->line, line) != 0 || strcmp(known->part, part) != 0)
			continue;
		dbperf_json_number(writer, known->key, atof(value), 0);
		if (known->original != NULL)
			dbperf_json_number(writer, known->original,
							   atof(original != NULL ? original + strlen("(originally ") : value),
							   0);
		return;
	}
}

/* Writes "Sort Method: quicksort  Memory: 25kB". */
static void
write_sort(JsonWriter *writer, const char *value)
{
	const char *p = value;
	const char *key = "Sort Method";
	char	   *part;

	while (next_part(&p, &key, &part))
	{
		if (strcmp(key, "Sort Method") == 0)
			dbperf_json_text(writer, "Sort Method", part);
		else
		{
			dbperf_json_number(writer, "Sort Space Used", atof(part), 0);
			dbperf_json_text(writer, "Sort Space Type", key);
		}
		key = NULL;
	}
}

/* Writes "Full-sort Groups: 2  Sort Methods: quicksort, top-N heapsort  Average Memory: ...". */
static void
write_sort_groups(JsonWriter *writer, const char *line, const char *value)
{
	const char *p = value;
	const char *key = pstrdup(line);
	char	   *part;
	bool		open = false; /* an object for memory or disk; the line may be cut in it */

	dbperf_json_open(writer, line, '{');
	while (next_part(&p, &key, &part))
	{
		if (strcmp(key, line) == 0)
			dbperf_json_number(writer, "Group Count", atof(part), 0);
		else if (strncmp(key, "Sort Method", 11) == 0)
			dbperf_json_list(writer, "Sort Methods Used", part);
		else if (strncmp(key, "Average ", 8) == 0)
		{
			if (open)
				dbperf_json_close(writer, '}');
			open = true;
			dbperf_json_open(writer, psprintf("Sort Space %s", key + 8), '{');
			dbperf_json_number(writer, "Average Sort Space Used", atof(part), 0);
		}
		else if (strncmp(key, "Peak ", 5) == 0 && open)
		{
			dbperf_json_number(writer, "Peak Sort Space Used", atof(part), 0);
			dbperf_json_close(writer, '}');
			open = false;
		}
		key = NULL;
	}
	if (open)
		dbperf_json_close(writer, '}');
	dbperf_json_close(writer, '}');
}

/* The number behind "name=" in [from, to), 0 if it is not there. */
static double
counter(const char *from, const char *to, const char *name)
{
	const char *p = from;
	Size		len = strlen(name);

	while ((p = strstr(p, name)) != NULL && p < to)
	{
		if ((p == from || p[-1] == ' ') && p[len] == '=')
			return atof(p + len + 1);
		p += len;
	}
	return 0;
}

/* What a line says of one kind of blocks: [from, to), empty if it does not. */
static void
block_group(const char *value, const char *group, const char **from, const char **to)
{
	*from = value != NULL ? strstr(value, group) : NULL;
	if (*from == NULL)
	{
		*from = *to = "";
		return;
	}
	*from += strlen(group);
	*to = *from + strcspn(*from, ",");
}

/*
 * Writes "Buffers: shared hit=1 read=2, temp written=3"; without a value all of
 * them are 0.
 */
void
dbperf_json_buffers(JsonWriter *writer, const char *value)
{
	static const char *const groups[] = {"shared", "local", "temp"};
	static const char *const names[] = {"Shared", "Local", "Temp"};
	const char				*from;
	const char				*to;

	for (int i = 0; i < (int) lengthof(groups); i++)
	{
		block_group(value, groups[i], &from, &to);
		if (i < 2)
			dbperf_json_number(writer, psprintf("%s Hit Blocks", names[i]),
							   counter(from, to, "hit"), 0);
		dbperf_json_number(writer, psprintf("%s Read Blocks", names[i]), counter(from, to, "read"),
						   0);
		if (i < 2)
			dbperf_json_number(writer, psprintf("%s Dirtied Blocks", names[i]),
							   counter(from, to, "dirtied"), 0);
		dbperf_json_number(writer, psprintf("%s Written Blocks", names[i]),
						   counter(from, to, "written"), 0);
	}
}

/* Writes "I/O Timings: shared read=0.100, temp write=0.200". */
static void
write_io(JsonWriter *writer, const char *value)
{
	static const char *const groups[] = {"shared", "local", "temp"};
	static const char *const names[] = {DBPERF_EXPLAIN_SHARED_IO, "Local I/O", "Temp I/O"};
	const char				*from;
	const char				*to;

	for (int i = 0; i < (int) lengthof(groups); i++)
	{
		if (i == 1 && strstr(value, groups[i]) == NULL)
			continue;
		block_group(value, groups[i], &from, &to);
		dbperf_json_number(writer, psprintf("%s Read Time", names[i]), counter(from, to, "read"),
						   3);
		dbperf_json_number(writer, psprintf("%s Write Time", names[i]), counter(from, to, "write"),
						   3);
	}
}

/* Writes what a MERGE did: "Tuples: inserted=1 updated=2". */
static void
write_merged(JsonWriter *writer, const char *value)
{
	const char *end = value + strlen(value);

	dbperf_json_number(writer, "Tuples Inserted", counter(value, end, "inserted"), 0);
	dbperf_json_number(writer, "Tuples Updated", counter(value, end, "updated"), 0);
	dbperf_json_number(writer, "Tuples Deleted", counter(value, end, "deleted"), 0);
	dbperf_json_number(writer, "Tuples Skipped", counter(value, end, "skipped"), 0);
}

/* Writes "WAL: records=1 fpi=2 bytes=3". */
static void
write_wal(JsonWriter *writer, const char *value)
{
	const char *end = value + strlen(value);

	dbperf_json_number(writer, "WAL Records", counter(value, end, "records"), 0);
	dbperf_json_number(writer, "WAL FPI", counter(value, end, "fpi"), 0);
	dbperf_json_number(writer, "WAL Bytes", counter(value, end, "bytes"), 0);
}

/* Writes "bernoulli ('10'::real) REPEATABLE ('1'::double precision)". */
static void
write_sampling(JsonWriter *writer, const char *value)
{
	const char *open = strstr(value, " (");
	const char *repeatable = strstr(value, ") REPEATABLE (");
	int			len;

	if (open == NULL)
		return;
	dbperf_json_text(writer, "Sampling Method", pnstrdup(value, open - value));
	len = repeatable != NULL ? (int) (repeatable - open - 2) : (int) strlen(open + 2) - 1;
	dbperf_json_list(writer, "Sampling Parameters", pnstrdup(open + 2, Max(len, 0)));
	if (repeatable != NULL)
	{
		repeatable += strlen(") REPEATABLE (");
		len = (int) strlen(repeatable) - 1;
		dbperf_json_text(writer, "Repeatable Seed", pnstrdup(repeatable, Max(len, 0)));
	}
}

/*
 * Writes a line that has several values.  Returns false if it has not.
 */
bool
dbperf_json_composite(JsonWriter *writer, const char *key, const char *value)
{
	const char *p = value;
	const char *name = key;
	char	   *part;

	if (strcmp(key, "Sort Method") == 0)
		write_sort(writer, value);
	else if (strcmp(key, "Full-sort Groups") == 0 || strcmp(key, "Pre-sorted Groups") == 0)
		write_sort_groups(writer, key, value);
	else if (strcmp(key, "Buffers") == 0)
		dbperf_json_buffers(writer, value);
	else if (strcmp(key, "I/O Timings") == 0)
		write_io(writer, value);
	else if (strcmp(key, "Tuples") == 0)
		write_merged(writer, value);
	else if (strcmp(key, "WAL") == 0)
		write_wal(writer, value);
	else if (strcmp(key, "Sampling") == 0)
		write_sampling(writer, value);
	else if (strcmp(key, "Heap Blocks") == 0)
	{
		dbperf_json_number(writer, "Exact Heap Blocks",
						   counter(value, value + strlen(value), "exact"), 0);
		dbperf_json_number(writer, "Lossy Heap Blocks",
						   counter(value, value + strlen(value), "lossy"), 0);
	}
	else
	{
		bool found = false;

		for (int i = 0; i < (int) lengthof(line_parts); i++)
			found |= strcmp(line_parts[i].line, key) == 0;
		if (!found)
			return false;
		if (strcmp(key, "Storage") == 0)
			dbperf_json_text(writer, "Storage", pnstrdup(value, strcspn(value, " ")));
		while (next_part(&p, &name, &part))
		{
			write_part(writer, key, name, part);
			name = NULL;
		}
	}
	return true;
}
