/*-------------------------------------------------------------------------
 *
 * query_settings.h
 *		Settings that are in force for single queries.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_QUERY_SETTINGS_H
#define DBPERF_QUERY_SETTINGS_H

#include "core/compat.h"
#include "utils/jsonb.h"

DBPERF_PRIVATE_BEGIN

/* One setting and its value, as SET takes them. */
typedef struct QuerySetting
{
	const char *name;
	const char *value;
} QuerySetting;

/* The settings of a query. */
typedef struct QuerySettings
{
	int			  num;
	QuerySetting *settings;
} QuerySettings;

/* Why settings cannot be used. */
typedef struct SettingsProblem
{
	int			sqlstate;
	char	   *message;
	const char *detail; /* or NULL */
	const char *hint;	/* or NULL */
} SettingsProblem;

/* accepted_settings.c */
extern bool dbperf_settings_of_json(Jsonb *json, QuerySettings *out, SettingsProblem *problem);
extern bool
dbperf_settings_valid(const QuerySettings *settings, int elevel, const QuerySetting **refused);
extern const char *dbperf_accepted_setting(int n);

/* query_settings.c */
#define QUERY_SETTINGS_TABLE "query_settings"

extern void dbperf_query_settings_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_QUERY_SETTINGS_H */
