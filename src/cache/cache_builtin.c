/*-------------------------------------------------------------------------
 *
 * cache_builtin.c
 *		Functions of the server that are not just what they say of themselves.
 *
 * Stable functions are safe if they depend on nothing but settings that are in
 * the key, catalogs whose changes are watched, or the output functions of their
 * arguments' types.  Those are listed here, and a few that are declared
 * immutable although they depend on more than their arguments.
 *
 * The names F_... are the server's, of functions by their arguments.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_check.h"
#include "utils/fmgroids.h"

/*
 * Whether this is current_setting(), whose argument has to be looked at.
 */
bool
dbperf_is_current_setting(Oid function)
{
	return function == F_CURRENT_SETTING_TEXT || function == F_CURRENT_SETTING_TEXT_BOOL;
}

/*
 * Dates and times: stable because of TimeZone, DateStyle, IntervalStyle, lc_time
 * and the abbreviations of time zones, all of which are in the key.
 */
static BuiltinKind
kind_of_time(Oid function)
{
	switch (function)
	{
		case F_DATE_CMP_TIMESTAMPTZ:
		case F_DATE_EQ_TIMESTAMPTZ:
		case F_DATE_GE_TIMESTAMPTZ:
		case F_DATE_GT_TIMESTAMPTZ:
		case F_DATE_LE_TIMESTAMPTZ:
		case F_DATE_LT_TIMESTAMPTZ:
		case F_DATE_NE_TIMESTAMPTZ:
		case F_DATE_PART_TEXT_TIMESTAMPTZ:
		case F_DATE_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT:
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
		case F_GENERATE_SERIES_TIMESTAMPTZ_TIMESTAMPTZ_INTERVAL:
		case F_INTERVAL_PL_TIMESTAMPTZ:
		case F_IN_RANGE_TIMESTAMPTZ_TIMESTAMPTZ_INTERVAL_BOOL_BOOL:
		case F_MAKE_TIMESTAMPTZ_INT4_INT4_INT4_INT4_INT4_FLOAT8:
		case F_MAKE_TIMESTAMPTZ_INT4_INT4_INT4_INT4_INT4_FLOAT8_TEXT:
		case F_OVERLAPS_TIMESTAMPTZ_INTERVAL_TIMESTAMPTZ_INTERVAL:
		case F_OVERLAPS_TIMESTAMPTZ_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
		case F_OVERLAPS_TIMESTAMPTZ_TIMESTAMPTZ_TIMESTAMPTZ_INTERVAL:
		case F_TIMESTAMPTZ_CMP_DATE:
		case F_TIMESTAMPTZ_CMP_TIMESTAMP:
		case F_TIMESTAMPTZ_DATE:
		case F_TIMESTAMPTZ_DATE_TIME:
		case F_TIMESTAMPTZ_EQ_DATE:
		case F_TIMESTAMPTZ_EQ_TIMESTAMP:
		case F_TIMESTAMPTZ_GE_DATE:
		case F_TIMESTAMPTZ_GE_TIMESTAMP:
		case F_TIMESTAMPTZ_GT_DATE:
		case F_TIMESTAMPTZ_GT_TIMESTAMP:
		case F_TIMESTAMPTZ_LE_DATE:
		case F_TIMESTAMPTZ_LE_TIMESTAMP:
		case F_TIMESTAMPTZ_LT_DATE:
		case F_TIMESTAMPTZ_LT_TIMESTAMP:
		case F_TIMESTAMPTZ_MI_INTERVAL:
		case F_TIMESTAMPTZ_NE_DATE:
		case F_TIMESTAMPTZ_NE_TIMESTAMP:
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TIMESTAMPTZ_TIMESTAMP:
		case F_TIMESTAMP_CMP_TIMESTAMPTZ:
		case F_TIMESTAMP_EQ_TIMESTAMPTZ:
		case F_TIMESTAMP_GE_TIMESTAMPTZ:
		case F_TIMESTAMP_GT_TIMESTAMPTZ:
		case F_TIMESTAMP_LE_TIMESTAMPTZ:
		case F_TIMESTAMP_LT_TIMESTAMPTZ:
		case F_TIMESTAMP_NE_TIMESTAMPTZ:
		case F_TIMESTAMP_TIMESTAMPTZ:
		case F_TIMETZ_TIMESTAMPTZ:
		case F_TIME_TIMESTAMPTZ:
		case F_TO_CHAR_INTERVAL_TEXT:
		case F_TO_CHAR_TIMESTAMPTZ_TEXT:
		case F_TO_CHAR_TIMESTAMP_TEXT:
		case F_TO_DATE:
		case F_TO_TIMESTAMP_TEXT_TEXT:
			return BUILTIN_SAFE;

		/* the offset of a time without a date is that of today, in paths as well */
		case F_JSONB_PATH_EXISTS_TZ:
		case F_JSONB_PATH_MATCH_TZ:
		case F_JSONB_PATH_QUERY_ARRAY_TZ:
		case F_JSONB_PATH_QUERY_FIRST_TZ:
		case F_JSONB_PATH_QUERY_TZ:
		case F_TIMETZ_TIME:
		case F_TIMEZONE_TEXT_TIMETZ:
		case F_AGE_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_CLOCK_TIMESTAMP:
		case F_TIMEOFDAY:
			return BUILTIN_TIME;
		default:
			return BUILTIN_AS_DECLARED;
	}
}

/*
 * Text search.  Those with a configuration as argument are declared immutable,
 * although it can be altered.
 */
static BuiltinKind
kind_of_search(Oid function)
{
	switch (function)
	{
		case F_JSONB_TO_TSVECTOR_REGCONFIG_JSONB_JSONB:
		case F_JSON_TO_TSVECTOR_REGCONFIG_JSON_JSONB:
		case F_PHRASETO_TSQUERY_REGCONFIG_TEXT:
		case F_PLAINTO_TSQUERY_REGCONFIG_TEXT:
		case F_TO_TSQUERY_REGCONFIG_TEXT:
		case F_TO_TSVECTOR_REGCONFIG_JSON:
		case F_TO_TSVECTOR_REGCONFIG_JSONB:
		case F_TO_TSVECTOR_REGCONFIG_TEXT:
		case F_TS_HEADLINE_REGCONFIG_JSONB_TSQUERY:
		case F_TS_HEADLINE_REGCONFIG_JSONB_TSQUERY_TEXT:
		case F_TS_HEADLINE_REGCONFIG_JSON_TSQUERY:
		case F_TS_HEADLINE_REGCONFIG_JSON_TSQUERY_TEXT:
		case F_TS_HEADLINE_REGCONFIG_TEXT_TSQUERY:
		case F_TS_HEADLINE_REGCONFIG_TEXT_TSQUERY_TEXT:
		case F_TS_LEXIZE:
		case F_TS_PARSE_OID_TEXT:
		case F_TS_TOKEN_TYPE_OID:
		case F_WEBSEARCH_TO_TSQUERY_REGCONFIG_TEXT:
			return BUILTIN_SEARCH;

		case F_JSONB_TO_TSVECTOR_JSONB_JSONB:
		case F_JSON_TO_TSVECTOR_JSON_JSONB:
		case F_PHRASETO_TSQUERY_TEXT:
		case F_PLAINTO_TSQUERY_TEXT:
		case F_TO_TSQUERY_TEXT:
		case F_TO_TSVECTOR_JSON:
		case F_TO_TSVECTOR_JSONB:
		case F_TO_TSVECTOR_TEXT:
		case F_TS_HEADLINE_JSONB_TSQUERY:
		case F_TS_HEADLINE_JSONB_TSQUERY_TEXT:
		case F_TS_HEADLINE_JSON_TSQUERY:
		case F_TS_HEADLINE_JSON_TSQUERY_TEXT:
		case F_TS_HEADLINE_TEXT_TSQUERY:
		case F_TS_HEADLINE_TEXT_TSQUERY_TEXT:
		case F_TS_MATCH_TQ:
		case F_TS_MATCH_TT:
		case F_WEBSEARCH_TO_TSQUERY_TEXT:
			return BUILTIN_SEARCH_DEFAULT;
		default:
			return BUILTIN_AS_DECLARED;
	}
}

/*
 * Functions of arguments of any type.
 */
static BuiltinKind
kind_of_any(Oid function)
{
	switch (function)
	{
		case F_ANYTEXTCAT:
		case F_ARRAY_TO_STRING_ANYARRAY_TEXT:
		case F_ARRAY_TO_STRING_ANYARRAY_TEXT_TEXT:
		case F_CONCAT:
		case F_CONCAT_WS:
		case F_FORMAT_TEXT_ANY:
		case F_QUOTE_LITERAL_ANYELEMENT:
		case F_QUOTE_NULLABLE_ANYELEMENT:
		case F_TEXTANYCAT:
			return BUILTIN_OUTPUT;

		case F_ARRAY_TO_JSON_ANYARRAY:
		case F_ARRAY_TO_JSON_ANYARRAY_BOOL:
		case F_JSONB_AGG:
		case F_JSONB_AGG_TRANSFN:
		case F_JSONB_BUILD_ARRAY_ANY:
		case F_JSONB_BUILD_OBJECT_ANY:
		case F_JSONB_OBJECT_AGG:
		case F_JSONB_OBJECT_AGG_TRANSFN:
		case F_JSON_AGG:
		case F_JSON_AGG_TRANSFN:
		case F_JSON_BUILD_ARRAY_ANY:
		case F_JSON_BUILD_OBJECT_ANY:
		case F_JSON_OBJECT_AGG:
		case F_JSON_OBJECT_AGG_TRANSFN:
		case F_ROW_TO_JSON_RECORD:
		case F_ROW_TO_JSON_RECORD_BOOL:
		case F_TO_JSON:
		case F_TO_JSONB:
			return BUILTIN_JSON;

		case F_ENUM_FIRST:
		case F_ENUM_LAST:
		case F_ENUM_RANGE_ANYENUM:
		case F_ENUM_RANGE_ANYENUM_ANYENUM:
			return BUILTIN_ENUM;
		default:
			return BUILTIN_AS_DECLARED;
	}
}

/*
 * What is known of a built-in function.
 */
BuiltinKind
dbperf_builtin_kind(Oid function)
{
	BuiltinKind kind;

	switch (function)
	{
		/* lc_numeric, lc_monetary, TimeZone; or nothing but their arguments */
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
		case F_FORMAT_TEXT:
		case F_JSONB_AGG_FINALFN:
		case F_JSONB_BUILD_ARRAY_:
		case F_JSONB_BUILD_OBJECT_:
		case F_JSONB_OBJECT_AGG_FINALFN:
		case F_JSON_BUILD_ARRAY_:
		case F_JSON_BUILD_OBJECT_:
		case F_MONEY_INT4:
		case F_MONEY_INT8:
		case F_MONEY_NUMERIC:
		case F_NUMERIC_MONEY:
		case F_TO_CHAR_FLOAT4_TEXT:
		case F_TO_CHAR_FLOAT8_TEXT:
		case F_TO_CHAR_INT4_TEXT:
		case F_TO_CHAR_INT8_TEXT:
		case F_TO_CHAR_NUMERIC_TEXT:
		case F_TO_NUMBER:
			return BUILTIN_SAFE;

		case F_CURRENT_USER:
		case F_GETPGUSERNAME:
		case F_SESSION_USER:
			return BUILTIN_ROLE;

		/* conversions are found by search_path, and there may be new ones */
		case F_CONVERT:
		case F_CONVERT_FROM:
		case F_CONVERT_TO:
		case F_LENGTH_BYTEA_NAME:
		/* and these read the catalogs, or the state of the server */
		case F_PG_PARTITION_ROOT:
		case F_PG_WALFILE_NAME:
		case F_PG_WALFILE_NAME_OFFSET:
		case F_SATISFIES_HASH_PARTITION:
			return BUILTIN_UNSAFE;
		default:
			break;
	}
	kind = kind_of_time(function);
	if (kind == BUILTIN_AS_DECLARED)
		kind = kind_of_search(function);
	if (kind == BUILTIN_AS_DECLARED)
		kind = kind_of_any(function);
	return kind;
}

/*
 * Whether a function does nothing with a record but take it to pieces, or count
 * it, and can be judged by the types of the record's columns.
 */
bool
dbperf_takes_records(Oid function)
{
	BuiltinKind kind;

	if (function == F_COUNT_ANY)
		return true;
	kind = dbperf_builtin_kind(function);
	return kind == BUILTIN_OUTPUT || kind == BUILTIN_JSON;
}
