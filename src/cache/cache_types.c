/*-------------------------------------------------------------------------
 *
 * cache_types.c
 *		Which types the result cache can deal with.
 *
 * What is stored are values as the server keeps them, so a type matters where
 * the meaning of a value is not in the value: a record's columns are known to
 * one process only, and an enum or a composite type can be altered.  Reading
 * values from text, and writing them, is more: then the type's functions count,
 * and those of what it is made of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "cache/cache_check.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Does something with each column's type of a composite type. */
typedef bool (*TypeCheck)(CacheCheck *check, Oid type);

/*
 * Notes that changes of a catalog matter to the statement.
 */
void
dbperf_check_catalog(CacheCheck *check, Oid catalog)
{
	check->shape->catalogs = list_append_unique_oid(check->shape->catalogs, catalog);
}

static bool
refuse_type(CacheCheck *check, CacheBypass reason, Oid type)
{
	return dbperf_check_refuse(check, reason, format_type_be(type));
}

static inline bool
is_record(Oid type)
{
	return type == RECORDOID || type == RECORDARRAYOID;
}

/*
 * A record whose columns are not known.  In a plan it is one that the query had,
 * too, where it was found fit.
 */
static bool
refuse_record(CacheCheck *check, Oid type)
{
	return check->planned || refuse_type(check, CACHE_BYPASS_TYPE, type);
}

/*
 * The columns of a composite type; its definition matters, too.
 */
static bool
check_columns(CacheCheck *check, Oid relid, TypeCheck column)
{
	dbperf_check_catalog(check, AttributeRelationId);
	dbperf_check_catalog(check, TypeRelationId);
	for (AttrNumber n = 1;; n++)
	{
		HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(n));
		Oid		  type = InvalidOid;

		if (!HeapTupleIsValid(tuple))
			return true;
		if (!((Form_pg_attribute) GETSTRUCT(tuple))->attisdropped)
			type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
		ReleaseSysCache(tuple);
		if (OidIsValid(type) && !column(check, type))
			return false;
	}
}

/*
 * The functions that compare and hash values of a type that is not built in:
 * arrays, ranges, DISTINCT and the like use them without naming them.  Enums and
 * composite types, too, can have an operator class of their own.
 */
static bool
check_comparison(CacheCheck *check, Oid type)
{
	TypeCacheEntry *entry =
		lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR | TYPECACHE_CMP_PROC |
									TYPECACHE_HASH_PROC | TYPECACHE_HASH_EXTENDED_PROC);

	dbperf_check_catalog(check, OperatorClassRelationId);
	return (!OidIsValid(entry->eq_opr) || dbperf_check_operator(check, entry->eq_opr, NIL)) &&
		   (!OidIsValid(entry->lt_opr) || dbperf_check_operator(check, entry->lt_opr, NIL)) &&
		   dbperf_check_support(check, entry->cmp_proc, NIL) &&
		   dbperf_check_support(check, entry->hash_proc, NIL) &&
		   dbperf_check_support(check, entry->hash_extended_proc, NIL);
}

/*
 * A range type: what it is a range of, and how that is compared.
 */
static bool
check_range(CacheCheck *check, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_RANGE_INFO);

	if (entry->rngelemtype == NULL)
		return refuse_type(check, CACHE_BYPASS_TYPE, type);
	return dbperf_check_support(check, entry->rng_cmp_proc_finfo.fn_oid, NIL) &&
		   dbperf_check_support(check, entry->rng_canonical_finfo.fn_oid, NIL) &&
		   dbperf_check_type(check, entry->rngelemtype->type_id);
}

/*
 * A type that is not built in.
 */
static bool
check_user_type(CacheCheck *check, Oid type, const FormData_pg_type *form)
{
	switch (form->typtype)
	{
		case TYPTYPE_BASE:
			if (OidIsValid(form->typelem) && form->typlen == -1)
				return dbperf_check_type(check, form->typelem);
			return check_comparison(check, type);
		case TYPTYPE_COMPOSITE:
			return check_comparison(check, type) &&
				   check_columns(check, form->typrelid, dbperf_check_type);
		case TYPTYPE_DOMAIN:
			return dbperf_check_type(check, form->typbasetype);
		case TYPTYPE_ENUM:
			dbperf_check_catalog(check, EnumRelationId);
			return check_comparison(check, type);
		case TYPTYPE_RANGE:
			return check_range(check, type);
		case TYPTYPE_MULTIRANGE:
			return dbperf_check_type(check, get_multirange_range(type));
		default:
			return refuse_type(check, CACHE_BYPASS_TYPE, type);
	}
}

/*
 * Reads a type's row.  False, and the check is refused, if there is none.
 */
static bool
get_type(CacheCheck *check, Oid type, FormData_pg_type *form)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));

	if (!HeapTupleIsValid(tuple))
		return dbperf_check_refuse(check, CACHE_BYPASS_TYPE, "a type that was dropped");
	memcpy(form, GETSTRUCT(tuple), sizeof(*form));
	ReleaseSysCache(tuple);
	return true;
}

/*
 * The type of an expression.
 */
bool
dbperf_check_type(CacheCheck *check, Oid type)
{
	FormData_pg_type form;

	if (is_record(type))
		return refuse_record(check, type);
	if (type < FirstGenbkiObjectId || list_member_oid(check->types, type))
		return true;
	check->types = lappend_oid(check->types, type);
	return get_type(check, type, &form) && check_user_type(check, type, &form);
}

/* ---- text ---- */

/*
 * A function that makes a type's values of text, or text of them, and is built
 * of the functions of other types.
 */
static bool
check_parts(CacheCheck *check, Oid type, const FormData_pg_type *form, TypeCheck part)
{
	switch (form->typtype)
	{
		case TYPTYPE_COMPOSITE:
			return check_columns(check, form->typrelid, part);
		case TYPTYPE_ENUM:
			dbperf_check_catalog(check, EnumRelationId);
			return true;
		case TYPTYPE_RANGE:
			return part(check, get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return part(check, get_multirange_range(type));
		default:
			return part(check, form->typelem);
	}
}

/*
 * Reading values of a type from text.  The words now, today and tomorrow make
 * dates and times of text depend on the clock.
 */
bool
dbperf_check_type_input(CacheCheck *check, Oid type)
{
	FormData_pg_type form;

	if (!get_type(check, type, &form))
		return false;
	if (form.typtype == TYPTYPE_DOMAIN)
		return refuse_type(check, CACHE_BYPASS_DOMAIN, type);
	switch (form.typinput)
	{
		case F_DATE_IN:
		case F_TIME_IN:
		case F_TIMETZ_IN:
		case F_TIMESTAMP_IN:
		case F_TIMESTAMPTZ_IN:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME,
									   psprintf("text to %s", format_type_be(type)));
		case F_CASH_IN:
		case F_INTERVAL_IN:
			return true;
		case F_ARRAY_IN:
		case F_ENUM_IN:
		case F_RANGE_IN:
		case F_MULTIRANGE_IN:
		case F_RECORD_IN:
			return check_parts(check, type, &form, dbperf_check_type_input);
		default:
			return dbperf_check_support(check, form.typinput, NIL);
	}
}

/*
 * Writing values of a type as text.
 */
bool
dbperf_check_type_output(CacheCheck *check, Oid type)
{
	FormData_pg_type form;

	if (is_record(type))
		return refuse_record(check, type);
	if (!get_type(check, type, &form))
		return false;
	if (form.typtype == TYPTYPE_DOMAIN)
		return dbperf_check_type_output(check, form.typbasetype);
	switch (form.typoutput)
	{
		case F_DATE_OUT:
		case F_TIMESTAMP_OUT:
		case F_TIMESTAMPTZ_OUT:
		case F_INTERVAL_OUT:
		case F_CASH_OUT:
			return true;
		case F_ARRAY_OUT:
		case F_ENUM_OUT:
		case F_RANGE_OUT:
		case F_MULTIRANGE_OUT:
		case F_RECORD_OUT:
			return check_parts(check, type, &form, dbperf_check_type_output);
		default:
			return dbperf_check_support(check, form.typoutput, NIL);
	}
}

/*
 * The function of a cast to json or jsonb, which is preferred to a type's
 * output function.
 */
static bool
check_json_cast(CacheCheck *check, Oid type, Oid target)
{
	Oid function;

	return find_coercion_pathway(target, type, COERCION_EXPLICIT, &function) !=
			   COERCION_PATH_FUNC ||
		   dbperf_check_support(check, function, NIL);
}

/*
 * Writing values of a type as JSON: what is composite, or an array, is taken to
 * pieces.
 */
bool
dbperf_check_type_json(CacheCheck *check, Oid type)
{
	FormData_pg_type form;
	Oid				 element;

	type = getBaseType(type);
	if (is_record(type))
		return refuse_record(check, type);
	element = get_element_type(type);
	if (OidIsValid(element))
		return dbperf_check_type_json(check, element);
	if (!get_type(check, type, &form))
		return false;
	if (form.typtype == TYPTYPE_COMPOSITE)
		return check_columns(check, form.typrelid, dbperf_check_type_json);
	if (type >= FirstNormalObjectId)
	{
		dbperf_check_catalog(check, CastRelationId);
		if (!check_json_cast(check, type, JSONOID) || !check_json_cast(check, type, JSONBOID))
			return false;
	}
	return dbperf_check_type_output(check, type);
}
