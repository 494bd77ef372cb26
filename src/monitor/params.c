/*-------------------------------------------------------------------------
 *
 * params.c
 *		Values of a statement's parameters, as text.
 *
 * The limit applies before the work: a value that is larger never reaches its
 * output function, which for a bytea would double it.  Two forms: one for the
 * normal case, which may raise errors (guard.c), and one for statements that
 * have failed, which neither allocates nor reads catalogs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "monitor/track.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define MAX_PARAMETERS 1000				/* of one statement */
#define MAX_PARAMETERS_SIZE (64 * 1024) /* bytes of all together */

#define REDACTED "<redacted>"
#define NOT_AVAILABLE "<not available>"

/* Where the blob of SlowRecord.params is put together. */
typedef struct ParamBuffer
{
	char *dst;
	int	  size;
	int	  len;
} ParamBuffer;

/*
 * Whether the bytes of a type's values are their text already.
 */
static bool
is_plain_text(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
		case XMLOID:
			return true;
		default:
			return false;
	}
}

/*
 * Appends an entry to a blob; value NULL makes a null.  Cuts the value to
 * dbperf.max_parameter_length, and marks that with dots.
 */
static void
append_value(StringInfo out, Oid type, const char *value, int len)
{
	int32 cut = -1;
	bool  dots = false;

	if (value != NULL)
	{
		cut = len;
		if (len > dbperf_max_parameter_length)
		{
			cut = dbperf_clip(value, len, dbperf_max_parameter_length, GetDatabaseEncoding());
			dots = true;
		}
	}
	appendBinaryStringInfo(out, (char *) &type, sizeof(type));
	if (dots)
		cut += 3;
	appendBinaryStringInfo(out, (char *) &cut, sizeof(cut));
	if (value != NULL)
		appendBinaryStringInfo(out, value, dots ? cut - 3 : cut);
	if (dots)
		appendBinaryStringInfo(out, "...", 3);
}

/*
 * Appends the text of one value.  May raise whatever the type's output
 * function raises.
 */
static void
append_param(StringInfo out, const ParamExternData *param)
{
	Oid	  output;
	bool  varlena;
	char *value;

	if (param->isnull || !OidIsValid(param->ptype))
	{
		append_value(out, param->ptype, NULL, 0);
		return;
	}
	if (REDACTS_PARAMETERS())
	{
		append_value(out, param->ptype, REDACTED, strlen(REDACTED));
		return;
	}

	getTypeOutputInfo(param->ptype, &output, &varlena);
	if (varlena)
	{
		struct varlena *datum = (struct varlena *) DatumGetPointer(param->value);

		if (is_plain_text(param->ptype) && !VARATT_IS_EXTERNAL(datum) &&
			!VARATT_IS_COMPRESSED(datum))
		{
			append_value(out, param->ptype, VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum));
			return;
		}
		if (toast_raw_datum_size(param->value) > dbperf_max_parameter_length + VARHDRSZ)
		{
			value = psprintf("<%s of %zu bytes>", format_type_be(param->ptype),
							 toast_raw_datum_size(param->value) - VARHDRSZ);
			append_value(out, param->ptype, value, strlen(value));
			return;
		}
	}
	value = OidOutputFunctionCall(output, param->value);
	append_value(out, param->ptype, value, strlen(value));
	pfree(value);
}

/*
 * Appends the values of all parameters, in the form that SlowRecord describes.
 * Returns how many there are, -1 without any.  May raise errors.
 */
int
dbperf_params_text(ParamListInfo params, StringInfo out)
{
	int n = params != NULL ? Min(params->numParams, MAX_PARAMETERS) : 0;

	for (int i = 0; i < n; i++)
	{
		ParamExternData	 space;
		ParamExternData *param = &params->params[i];

		/* in PL/pgSQL this gives the variables that the query refers to */
		if (params->paramFetch != NULL)
			param = params->paramFetch(params, i + 1, true, &space);
		if (out->len > MAX_PARAMETERS_SIZE)
			append_value(out, param->ptype, "...", 3);
		else
			append_param(out, param);
	}
	return n > 0 ? n : -1;
}

/*
 * Puts an entry into a buffer of fixed size.  Returns false if it is full.
 */
static bool
put_value(ParamBuffer *buffer, Oid type, const char *value, int32 len)
{
	int need = sizeof(type) + sizeof(len) + Max(len, 0);

	if (buffer->len + need > buffer->size)
		return false;
	memcpy(buffer->dst + buffer->len, &type, sizeof(type));
	memcpy(buffer->dst + buffer->len + sizeof(type), &len, sizeof(len));
	if (len > 0)
		memcpy(buffer->dst + buffer->len + sizeof(type) + sizeof(len), value, len);
	buffer->len += need;
	return true;
}

/*
 * Puts one value that is a number or text; of others only that they exist.
 */
static bool
put_param(ParamBuffer *buffer, const ParamExternData *param)
{
	char number[64];

	if (param->isnull || !OidIsValid(param->ptype))
		return put_value(buffer, param->ptype, NULL, -1);
	if (REDACTS_PARAMETERS())
		return put_value(buffer, param->ptype, REDACTED, strlen(REDACTED));

	switch (param->ptype)
	{
		case BOOLOID:
			return put_value(buffer, param->ptype, DatumGetBool(param->value) ? "t" : "f", 1);
		case INT2OID:
			snprintf(number, sizeof(number), "%d", DatumGetInt16(param->value));
			break;
		case INT4OID:
			snprintf(number, sizeof(number), "%d", DatumGetInt32(param->value));
			break;
		case INT8OID:
			snprintf(number, sizeof(number), INT64_FORMAT, DatumGetInt64(param->value));
			break;
		case OIDOID:
			snprintf(number, sizeof(number), "%u", DatumGetObjectId(param->value));
			break;
		case FLOAT8OID:
			snprintf(number, sizeof(number), "%.17g", DatumGetFloat8(param->value));
			break;
		default:
			if (is_plain_text(param->ptype))
			{
				struct varlena *datum = (struct varlena *) DatumGetPointer(param->value);

				if (!VARATT_IS_EXTERNAL(datum) && !VARATT_IS_COMPRESSED(datum))
					return put_value(buffer, param->ptype, VARDATA_ANY(datum),
									 dbperf_clip(VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum),
												 dbperf_max_parameter_length,
												 GetDatabaseEncoding()));
			}
			return put_value(buffer, param->ptype, NOT_AVAILABLE, strlen(NOT_AVAILABLE));
	}
	return put_value(buffer, param->ptype, number, strlen(number));
}

/*
 * The same for a statement that has failed, into dst.  Returns how many values
 * it has put there, -1 for none, and in *len their bytes.  Allocates nothing
 * and raises no error; what would need an output function is not available.
 */
int
dbperf_params_plain(ParamListInfo params, char *dst, int size, int *len)
{
	ParamBuffer buffer = {.dst = dst, .size = size, .len = 0};
	int			n = 0;

	*len = 0;
	if (params == NULL || params->paramFetch != NULL || dst == NULL)
		return -1;
	while (n < params->numParams && n < MAX_PARAMETERS && put_param(&buffer, &params->params[n]))
		n++;
	*len = buffer.len;
	return n > 0 ? n : -1;
}
