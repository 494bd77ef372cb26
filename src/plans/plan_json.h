/*-------------------------------------------------------------------------
 *
 * plan_json.h
 *		What the files that write plans as JSON share with each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_PLAN_JSON_H
#define DBPERF_PLAN_JSON_H

#include "plans/plan_tree.h"

DBPERF_PRIVATE_BEGIN

typedef struct JsonWriter
{
	StringInfo out;
	int		   depth;
	bool	   first;	 /* nothing stands in the object or array yet */
	bool	   analyzed; /* of the tree */
	bool	   buffers;	 /* some node has counts of them */
} JsonWriter;

/* plan_json.c */
extern void dbperf_json_open(JsonWriter *writer, const char *key, char bracket);
extern void dbperf_json_close(JsonWriter *writer, char bracket);
extern void dbperf_json_text(JsonWriter *writer, const char *key, const char *value);
extern void dbperf_json_bool(JsonWriter *writer, const char *key, bool value);
extern void dbperf_json_number(JsonWriter *writer, const char *key, double value, int digits);
extern void dbperf_json_integer(JsonWriter *writer, const char *key, const char *value);
extern void dbperf_json_list(JsonWriter *writer, const char *key, const char *value);

/* plan_json_properties.c */
extern void dbperf_json_properties(JsonWriter *writer, const PlanNode *node);

/* plan_json_lines.c */
extern bool dbperf_json_composite(JsonWriter *writer, const char *key, const char *value);
extern void dbperf_json_buffers(JsonWriter *writer, const char *value);

DBPERF_PRIVATE_END

#endif /* DBPERF_PLAN_JSON_H */
