/*-------------------------------------------------------------------------
 *
 * param_values.c
 *		Values for the parameters of a statement that is to be planned.
 *
 * Recorded values are the best.  For the others values are drawn from the
 * statistics of the column that a parameter is compared with: always the same
 * ones, so that two runs give the same advice.  What remains has no value, as
 * in a generic plan.
 *
 * All of this runs as the statement's role.  Only types whose functions are
 * all built in or owned by superusers are read, and only statistics that the
 * role may see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "advisor/workload_int.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/syscache.h"

/* what a LIMIT is taken for: a page of rows */
#define ASSUMED_LIMIT 10

/* part of a column's values between the two bounds of a range */
#define RANGE_WIDTH 0.1

/* The parameters of one subject while their sets are made. */
typedef struct SetMaker
{
	Subject		  *subject;
	const Oid	  *types;
	ParamPlace	  *places;
	ParamListInfo *sets;  /* SUBJECT_MAX_SETS of them */
	bool		   drawn; /* they differ */
} SetMaker;

/*
 * Whether the current role may see a column's values, as in pg_stats.
 */
static bool
may_see_column(Oid relid, AttrNumber attno)
{
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		   pg_attribute_aclcheck(relid, attno, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * The part of a column's values, in order of size, that set number n is about.
 */
static double
set_position(ParamUse use, int n)
{
	double q = (n + 0.5) / SUBJECT_MAX_SETS;

	return use == PARAM_UPPER ? Min(q + RANGE_WIDTH, 1.0) : q;
}

/*
 * Picks a value of the most common ones or, beyond them, of the histogram.
 * Comparisons for order use the histogram first, which is in order.
 */
static bool
pick_value(AttStatsSlot *common, AttStatsSlot *histogram, ParamUse use, int n, Datum *value)
{
	double q = set_position(use, n);
	double sum = 0;

	if (use != PARAM_EQUAL && histogram->nvalues > 0)
	{
		*value = histogram->values[(int) (q * (histogram->nvalues - 1))];
		return true;
	}
	for (int i = 0; i < common->nvalues && i < common->nnumbers; i++)
	{
		sum += common->numbers[i];
		if (q < sum || (histogram->nvalues == 0 && i == common->nvalues - 1))
		{
			*value = common->values[i];
			return true;
		}
	}
	if (histogram->nvalues == 0)
		return false;
	q = sum < 1 ? (q - sum) / (1 - sum) : q;
	*value = histogram->values[(int) (Max(q, 0) * (histogram->nvalues - 1))];
	return true;
}

/*
 * Puts a column's value into a parameter, over its text if the types differ.
 */
static void
set_value(SetMaker *maker, int set, int param, Datum value, Oid type)
{
	ParamExternData *out = &maker->sets[set]->params[param];
	Oid				 wanted = maker->types[param];
	int16			 len;
	bool			 byval;

	if (!IsBinaryCoercible(type, wanted))
	{
		Oid	 output;
		Oid	 input;
		Oid	 typioparam;
		bool varlena;

		getTypeOutputInfo(type, &output, &varlena);
		getTypeInputInfo(wanted, &input, &typioparam);
		value = OidInputFunctionCall(input, OidOutputFunctionCall(output, value), typioparam, -1);
	}
	get_typlenbyval(wanted, &len, &byval);
	out->value = datumCopy(value, byval, len);
	out->isnull = false;
	out->pflags = PARAM_FLAG_CONST;
	out->ptype = wanted;
}

/*
 * Whether it matters which value a column is compared with.  The most common
 * values are more common than those in the histogram, or else they would not
 * be among them.
 */
static bool
values_differ(AttStatsSlot *common, AttStatsSlot *histogram, ParamUse use)
{
	if (use != PARAM_EQUAL)
		return true;
	if (common->nvalues == 0 || common->nnumbers == 0)
		return false;
	return histogram->nvalues > 0 || common->numbers[0] > 2 * common->numbers[common->nnumbers - 1];
}

/*
 * Draws values of one parameter for the sets from "first" on; those before
 * have one.
 */
static void
draw_values(SetMaker *maker, int param, int first)
{
	ParamPlace	*place = &maker->places[param];
	TrustWalk	 walk = {0};
	HeapTuple	 tuple;
	AttStatsSlot common = {0};
	AttStatsSlot histogram = {0};
	Oid			 type = get_atttype(place->relid, place->attno);
	bool		 differ;

	if (!may_see_column(place->relid, place->attno) || !dbperf_trust_type(type, &walk))
		return;
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(place->relid),
							Int16GetDatum(place->attno), BoolGetDatum(has_subclass(place->relid)));
	if (!HeapTupleIsValid(tuple))
		return;
	(void) get_attstatsslot(&common, tuple, STATISTIC_KIND_MCV, InvalidOid,
							ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS);
	(void) get_attstatsslot(&histogram, tuple, STATISTIC_KIND_HISTOGRAM, InvalidOid,
							ATTSTATSSLOT_VALUES);
	differ = values_differ(&common, &histogram, place->use);
	for (int n = first; n < SUBJECT_MAX_SETS && (differ || first == 0); n++)
	{
		Datum value;

		if (!pick_value(&common, &histogram, place->use, n, &value))
			continue;
		set_value(maker, n, param, value, type);
		maker->drawn |= differ;
	}
	free_attstatsslot(&common);
	free_attstatsslot(&histogram);
	ReleaseSysCache(tuple);
}

/*
 * The same value in all sets.
 */
static void
set_all(SetMaker *maker, int param, Datum value, bool isnull)
{
	for (int n = 0; n < SUBJECT_MAX_SETS; n++)
	{
		ParamExternData *out = &maker->sets[n]->params[param];

		out->value = value;
		out->isnull = isnull;
		out->pflags = PARAM_FLAG_CONST;
		out->ptype = maker->types[param];
	}
}

/*
 * Sets the recorded value of a parameter; returns whether there is one.
 */
static bool
set_recorded(SetMaker *maker, int param)
{
	Subject	   *subject = maker->subject;
	Const	   *constant = maker->places[param].constant;
	const char *value;
	Oid			input;
	Oid			typioparam;

	if (constant != NULL)
	{
		set_all(maker, param,
				datumCopy(constant->constvalue, constant->constbyval, constant->constlen), false);
		return true;
	}
	if (subject->param_values == NULL || param >= subject->nparams ||
		!subject->param_known[param] || subject->param_types[param] != maker->types[param])
		return false;
	value = subject->param_values[param];
	if (value == NULL)
		set_all(maker, param, (Datum) 0, true);
	else
	{
		getTypeInputInfo(maker->types[param], &input, &typioparam);
		set_all(maker, param,
				OidInputFunctionCall(input, unconstify(char *, value), typioparam, -1), false);
	}
	return true;
}

/*
 * Finds values for one parameter.  What was recorded is the first of several
 * executions, so beside an equality's value others are drawn; the bounds of a
 * range belong together and stay.
 */
static void
make_param(SetMaker *maker, int param)
{
	ParamUse  use = maker->places[param].use;
	TrustWalk walk = {0};

	if (!OidIsValid(maker->types[param]) || !dbperf_trust_type(maker->types[param], &walk))
		return;
	if (set_recorded(maker, param))
	{
		if (use == PARAM_EQUAL && maker->subject->calls > 1)
			draw_values(maker, param, 1);
		return;
	}
	switch (use)
	{
		case PARAM_UNUSED:
			break;
		case PARAM_LIMIT:
		case PARAM_OFFSET:
			if (maker->types[param] == INT8OID)
				set_all(maker, param, Int64GetDatum(use == PARAM_LIMIT ? ASSUMED_LIMIT : 0), false);
			break;
		default:
			draw_values(maker, param, 0);
			break;
	}
}

/*
 * Finds a value for one parameter.  What goes wrong with it, as in a text that
 * another DateStyle wrote, leaves it without.
 */
static void
try_param(SetMaker *maker, int param)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		make_param(maker, param);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			ReThrowError(error);
		for (int n = 0; n < SUBJECT_MAX_SETS; n++)
			memset(&maker->sets[n]->params[param], 0, sizeof(ParamExternData));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Makes the sets of a subject, in the current memory context.
 */
static void
make_sets(SetMaker *maker, int nparams)
{
	maker->sets = palloc(SUBJECT_MAX_SETS * sizeof(ParamListInfo));
	for (int n = 0; n < SUBJECT_MAX_SETS; n++)
	{
		maker->sets[n] = makeParamList(nparams);
		memset(maker->sets[n]->params, 0, nparams * sizeof(ParamExternData));
	}
	for (int i = 0; i < nparams; i++)
		if (OidIsValid(maker->types[i]))
			try_param(maker, i);
}

/*
 * Fills the parameter sets of an analysis, and makes parameters of constants
 * that say little.  The sets are made once for a subject and live as long as
 * it does.  A parameter without a value has no type there: the planner then
 * leaves it alone.
 */
void
dbperf_param_sets(Subject *subject, const Oid *types, int ntypes, Analyzed *out)
{
	SetMaker maker = {.subject = subject};
	bool	 vary = !subject->explicit_text && subject->calls > 1;
	int		 nplaces;

	maker.places = dbperf_param_places(out->queries, ntypes, vary, &nplaces);
	if (subject->nsets == 0)
	{
		Oid			 *all = palloc(Max(nplaces, 1) * sizeof(Oid));
		MemoryContext old;

		for (int i = 0; i < nplaces; i++)
			all[i] = i < ntypes ? types[i] : maker.places[i].constant->consttype;
		maker.types = all;
		old = MemoryContextSwitchTo(GetMemoryChunkContext(subject));
		make_sets(&maker, nplaces);
		MemoryContextSwitchTo(old);
		subject->sets = maker.sets;
		subject->nsets = maker.drawn ? SUBJECT_MAX_SETS : 1;
	}
	out->nsets = subject->nsets;
	out->sets = subject->sets;
}
