/*-------------------------------------------------------------------------
 *
 * cache_key.c
 *		The part of a key that is made at each execution, and the rights to it.
 *
 * It names the database, the catalog rows of all tables and functions (row
 * version and place, so that whatever alters one of them makes another key), the
 * values of parameters and settings, and the role where that matters.  Whoever
 * may not call one of the functions gets no key: then the statement is executed
 * and fails as it would have.
 *
 * This runs at every execution.  Everything is looked up in the system caches,
 * and settings are read from the server's variables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/gin.h"
#include "access/htup_details.h"
#include "cache/cache_check.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/compat.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "pgtime.h"
#include "tsearch/ts_cache.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/xml.h"

/* Bytes of all parameters; an execution with more is not cached. */
#define PARAMS_MAX_BYTES (64 * 1024)

/* Enough for what does not depend on the statement. */
#define TAIL_BASE_BYTES 512

typedef struct TailWriter
{
	char *data; /* NULL: out of memory */
	int	  len;
	int	  size;
} TailWriter;

/* ---- writing ---- */

static void
writer_init(TailWriter *writer, int size)
{
	writer->data = palloc_extended(size, MCXT_ALLOC_NO_OOM);
	writer->len = 0;
	writer->size = writer->data != NULL ? size : 0;
}

/*
 * Makes room for so many bytes.  False without memory for it: then there is no
 * room for anything any more.
 */
static pg_noinline bool
enlarge(TailWriter *writer, int bytes)
{
	char *larger;
	int	  size = Max(writer->size, 64);

	if (writer->data == NULL)
		return false;
	while (size - writer->len < bytes)
		size *= 2;
	larger = palloc_extended(size, MCXT_ALLOC_NO_OOM);
	if (larger != NULL)
		memcpy(larger, writer->data, writer->len);
	pfree(writer->data);
	writer->data = larger;
	writer->size = larger != NULL ? size : 0;
	writer->len = larger != NULL ? writer->len : 0;
	return larger != NULL;
}

static inline void
put_bytes(TailWriter *writer, const void *bytes, int len)
{
	if (unlikely(len > writer->size - writer->len) && !enlarge(writer, len))
		return;
	memcpy(writer->data + writer->len, bytes, len);
	writer->len += len;
}

static inline void
put_int(TailWriter *writer, int value)
{
	put_bytes(writer, &value, sizeof(value));
}

/* With its length, so that what follows cannot be mistaken for a part of it. */
static void
put_string(TailWriter *writer, const char *string)
{
	int len = string != NULL ? (int) strlen(string) : -1;

	put_int(writer, len);
	if (len > 0)
		put_bytes(writer, string, len);
}

/*
 * Which object this is, and which version of its catalog row.
 */
static void
put_row(TailWriter *writer, Oid oid, HeapTuple tuple)
{
	uint32 words[4];

	words[0] = oid;
	words[1] = HeapTupleHeaderGetRawXmin(tuple->t_data);
	words[2] = ItemPointerGetBlockNumberNoCheck(&tuple->t_self);
	words[3] = ItemPointerGetOffsetNumberNoCheck(&tuple->t_self);
	put_bytes(writer, words, sizeof(words));
}

/* ---- objects ---- */

static CacheBypass
put_relations(TailWriter *writer, const List *relations)
{
	ListCell *lc;

	put_int(writer, list_length(relations));
	foreach (lc, relations)
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			return CACHE_BYPASS_TRANSIENT;
		put_row(writer, lfirst_oid(lc), tuple);
		ReleaseSysCache(tuple);
	}
	return CACHE_BYPASS_NONE;
}

/*
 * Whether the current role may call a function.  Without a list of rights
 * everybody may.  What an aggregate is made of is called with the rights of its
 * owner.
 */
static bool
may_execute(Oid function, HeapTuple tuple)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

	if (!heap_attisnull(tuple, Anum_pg_proc_proacl, NULL) && !DBPERF_MAY_EXECUTE(function))
		return false;
	if (form->prokind == PROKIND_AGGREGATE && form->proowner != BOOTSTRAP_SUPERUSERID &&
		!dbperf_aggregate_rights(function, form->proowner))
		return false;
	InvokeFunctionExecuteHook(function);
	return true;
}

static CacheBypass
put_functions(TailWriter *writer, const List *functions)
{
	ListCell *lc;

	put_int(writer, list_length(functions));
	foreach (lc, functions)
	{
		Oid			function = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
		CacheBypass reason;

		if (!HeapTupleIsValid(tuple))
			return CACHE_BYPASS_TRANSIENT;
		reason = dbperf_check_again(tuple);
		if (reason == CACHE_BYPASS_NONE && !may_execute(function, tuple))
			reason = CACHE_BYPASS_RIGHTS;
		put_row(writer, function, tuple);
		ReleaseSysCache(tuple);
		if (reason != CACHE_BYPASS_NONE)
			return reason;
	}
	return CACHE_BYPASS_NONE;
}

/*
 * The current role and that of the session; the row changes with the name.
 */
static CacheBypass
put_roles(TailWriter *writer)
{
	const Oid roles[] = {GetUserId(), GetSessionUserId()};

	for (int i = 0; i < (int) lengthof(roles); i++)
	{
		HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(roles[i]));

		if (!HeapTupleIsValid(tuple))
			return CACHE_BYPASS_TRANSIENT;
		put_row(writer, roles[i], tuple);
		ReleaseSysCache(tuple);
	}
	return CACHE_BYPASS_NONE;
}

/* ---- parameters ---- */

/*
 * A value of variable length, without its header and with nothing left outside.
 */
static bool
put_varlena(TailWriter *writer, Datum value)
{
	struct varlena *plain;
	int				len;

	if (toast_raw_datum_size(value) > PARAMS_MAX_BYTES)
		return false;
	plain = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	len = (int) VARSIZE_ANY_EXHDR(plain);
	put_int(writer, len);
	put_bytes(writer, VARDATA_ANY(plain), len);
	if ((Pointer) plain != DatumGetPointer(value))
		pfree(plain);
	return true;
}

static bool
put_value(TailWriter *writer, Datum value, Oid type)
{
	int16 len;
	bool  byval;

	get_typlenbyval(type, &len, &byval);
	if (byval)
		put_bytes(writer, &value, sizeof(value));
	else if (len == -1)
		return put_varlena(writer, value);
	else if (len == -2)
		put_string(writer, DatumGetCString(value));
	else
		put_bytes(writer, DatumGetPointer(value), len);
	return true;
}

/*
 * The value of one parameter.  PL/pgSQL's are fetched from its variables, with
 * less than it takes to raise an error about one that has no value yet.
 */
static bool
put_param(TailWriter *writer, ParamListInfo params, int n)
{
	ParamExternData	 workspace;
	ParamExternData *param;

	if (params == NULL || n < 1 || n > params->numParams)
		return false;
	if (params->paramFetch != NULL)
		param = params->paramFetch(params, n, true, &workspace);
	else
		param = &params->params[n - 1];
	if (!OidIsValid(param->ptype))
		return false;

	put_int(writer, (int) param->ptype);
	put_int(writer, param->isnull);
	return param->isnull || put_value(writer, param->value, param->ptype);
}

static CacheBypass
put_params(TailWriter *writer, const List *numbers, ParamListInfo params)
{
	int		  start = writer->len;
	ListCell *lc;

	put_int(writer, list_length(numbers));
	foreach (lc, numbers)
		if (!put_param(writer, params, lfirst_int(lc)) || writer->len - start > PARAMS_MAX_BYTES)
			return CACHE_BYPASS_PARAMETER;
	return CACHE_BYPASS_NONE;
}

/* ---- settings ---- */

/*
 * Settings that change what expressions return.  Those by name have no variable
 * that is seen from outside, or one whose header needs ICU's.
 */
static void
put_settings(TailWriter *writer)
{
	static const char *const  names[] = {"lc_monetary", "lc_numeric", "lc_time",
										 "timezone_abbreviations"};
	static const char *const *texts[lengthof(names)];
	const signed char		  values[] = {
				DateStyle,			DateOrder,	  IntervalStyle,
				extra_float_digits, bytea_output, quote_all_identifiers,
				xmlbinary,			xmloption,	  Array_nulls,
	};

	put_bytes(writer, values, sizeof(values));
	put_string(writer, session_timezone != NULL ? pg_get_timezone_name(session_timezone) : NULL);
	for (int i = 0; i < lengthof(names); i++)
	{
		if (texts[i] == NULL)
			texts[i] = dbperf_string_setting(names[i]);
		put_string(writer, texts[i] != NULL ? *texts[i] : NULL);
	}
}

/*
 * Settings that the statement reads by their names.  One that not everybody may
 * see would be an error for some.
 */
static CacheBypass
put_named_settings(TailWriter *writer, const List *names)
{
	ListCell *lc;

	put_int(writer, list_length(names));
	foreach (lc, names)
	{
		const char *name = strVal(lfirst(lc));

		if ((GetConfigOptionFlags(name, true) & GUC_SUPERUSER_ONLY) != 0)
			return CACHE_BYPASS_STABLE;
		put_string(writer, name);
		put_string(writer, GetConfigOptionByName(name, NULL, true));

		/* the name may need search_path to say which one it is */
		if (strcmp(name, CACHE_SETTING_TEXT_SEARCH) == 0)
			put_int(writer, (int) getTSCurrentConfig(false));
	}
	return CACHE_BYPASS_NONE;
}

/*
 * What planning computes with when it replaces calls by constants, or by the
 * bodies of functions: the settings and the functions' rows as they are now.
 * NULL: out of memory, or a function was dropped.
 */
char *
dbperf_key_planning_state(const CacheShape *shape, int *len)
{
	TailWriter writer;
	ListCell  *lc;

	writer_init(&writer, TAIL_BASE_BYTES + 16 * list_length(shape->functions));
	foreach (lc, shape->functions)
	{
		HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			return NULL;
		put_row(&writer, lfirst_oid(lc), tuple);
		ReleaseSysCache(tuple);
	}
	put_settings(&writer);
	*len = writer.len;
	return writer.data;
}

/* ---- the key ---- */

/*
 * What commands of the session can change while a statement is executed in
 * parts.
 */
static CacheBypass
put_context(TailWriter *writer, const CacheShape *shape)
{
	CacheBypass reason = CACHE_BYPASS_NONE;

	if (shape->by_role)
		reason = put_roles(writer);
	if (reason == CACHE_BYPASS_NONE)
		reason = put_named_settings(writer, shape->settings);
	if (reason == CACHE_BYPASS_NONE)
		put_settings(writer);
	return reason;
}

static CacheBypass
put_tail(TailWriter *writer, const CacheShape *shape, ParamListInfo params, int *context)
{
	CacheBypass reason;

	put_int(writer, (int) MyDatabaseId);
	reason = put_relations(writer, shape->relations);
	if (reason == CACHE_BYPASS_NONE)
		reason = put_functions(writer, shape->functions);
	if (reason == CACHE_BYPASS_NONE)
		reason = put_params(writer, shape->params, params);
	*context = writer->len;
	if (reason == CACHE_BYPASS_NONE)
		reason = put_context(writer, shape);
	if (reason == CACHE_BYPASS_NONE && writer->data == NULL)
		reason = CACHE_BYPASS_MEMORY;
	return reason;
}

/*
 * Makes the key of an execution in the current context, see cache_int.h.
 */
CacheBypass
dbperf_cache_make_key(const CacheShape *shape, ParamListInfo params, CacheKey *key)
{
	TailWriter	writer;
	CacheBypass reason;

	if (GinFuzzySearchLimit != 0)
		return CACHE_BYPASS_GIN_LIMIT;
	if (dbperf_cache_listed_query(shape->queryid) == CACHE_LISTED_REFUSED)
		return CACHE_BYPASS_REFUSED;

	writer_init(&writer, TAIL_BASE_BYTES +
							 16 * (list_length(shape->relations) + list_length(shape->functions)));
	reason = put_tail(&writer, shape, params, &key->context);
	if (reason != CACHE_BYPASS_NONE)
		return reason;

	key->shape = dbperf_shape_number(shape);
	key->text = shape->text;
	key->text_len = shape->text_len;
	key->tail = writer.data;
	key->tail_len = writer.len;
	for (int i = 0; i < (int) lengthof(key->hash); i++)
		key->hash[i] =
			hash_bytes_extended((const unsigned char *) key->tail, key->tail_len, shape->hash[i]);
	return CACHE_BYPASS_NONE;
}

/*
 * Whether a key that was made when an execution began would still be the same.
 * The tables are locked, and parameters are fixed.
 */
bool
dbperf_cache_key_holds(const CacheShape *shape, const CacheKey *key)
{
	TailWriter writer;
	bool	   holds;

	if (GinFuzzySearchLimit != 0)
		return false;
	writer_init(&writer, TAIL_BASE_BYTES);
	holds = put_context(&writer, shape) == CACHE_BYPASS_NONE && writer.data != NULL &&
			writer.len == key->tail_len - key->context &&
			memcmp(writer.data, key->tail + key->context, writer.len) == 0;
	if (writer.data != NULL)
		pfree(writer.data);
	return holds;
}
