/*-------------------------------------------------------------------------
 *
 * usage_operators.c
 *		Which access method and operator class serves a condition.
 *
 * A btree's default class first; then patterns, whose class depends on the
 * pattern and the collation; then whatever GIN or GiST class has the operator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* starts_with()'s operator, ^@ */
#define STARTS_WITH_OPERATOR TextPrefixOperator

/* What a pattern begins with. */
typedef enum PatternKind
{
	PATTERN_NONE,	  /* the operator is no pattern match */
	PATTERN_PREFIX,	  /* 'abc%' */
	PATTERN_FLOATING, /* '%abc%', or letters of both cases */
	PATTERN_UNKNOWN	  /* the value is not known */
} PatternKind;

/* The value of a literal or of a known parameter as text; NULL if not known. */
static char *
known_text(QueryUses *uses, Node *node)
{
	Oid	  type = InvalidOid;
	Datum value = 0;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL)
		return NULL;
	if (IsA(node, Const) && !((Const *) node)->constisnull)
	{
		type = ((Const *) node)->consttype;
		value = ((Const *) node)->constvalue;
	}
	else if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN && uses->params)
	{
		int n = ((Param *) node)->paramid;

		if (n > 0 && n <= uses->params->numParams && !uses->params->params[n - 1].isnull)
		{
			type = uses->params->params[n - 1].ptype;
			value = uses->params->params[n - 1].value;
		}
	}
	if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == BYTEAOID)
		return TextDatumGetCString(value);
	return NULL;
}

/* Looks at a pattern's first characters only. */
static PatternKind
pattern_kind(QueryUses *uses, Oid opno, Node *other)
{
	char *pattern;

	switch (opno)
	{
		case OID_TEXT_ICLIKE_OP:
		case OID_BPCHAR_ICLIKE_OP:
		case OID_NAME_ICLIKE_OP:
		case OID_TEXT_ICREGEXEQ_OP:
		case OID_BPCHAR_ICREGEXEQ_OP:
		case OID_NAME_ICREGEXEQ_OP:
			return PATTERN_FLOATING;
		case OID_TEXT_LIKE_OP:
		case OID_BPCHAR_LIKE_OP:
		case OID_NAME_LIKE_OP:
		case OID_BYTEA_LIKE_OP:
			pattern = known_text(uses, other);
			if (pattern == NULL)
				return PATTERN_UNKNOWN;
			return pattern[0] == '%' || pattern[0] == '_' || pattern[0] == '\0' ? PATTERN_FLOATING
																				: PATTERN_PREFIX;
		case OID_TEXT_REGEXEQ_OP:
		case OID_BPCHAR_REGEXEQ_OP:
		case OID_NAME_REGEXEQ_OP:
			pattern = known_text(uses, other);
			if (pattern == NULL)
				return PATTERN_UNKNOWN;
			return pattern[0] == '^' && isalnum((unsigned char) pattern[1]) ? PATTERN_PREFIX
																			: PATTERN_FLOATING;
		case STARTS_WITH_OPERATOR:
			return PATTERN_PREFIX;
		default:
			return PATTERN_NONE;
	}
}

/* The btree class that serves prefixes of strings of this type. */
static Oid
prefix_class(const IndexColumn *column)
{
	const char *name;
	Oid			type = getBaseType(column->type);

	if (type == NAMEOID || type == BYTEAOID || dbperf_collation_is_c(column->collation))
		return GetDefaultOpClass(column->type, BTREE_AM_OID);
	if (type == TEXTOID)
		name = "text_pattern_ops";
	else if (type == VARCHAROID)
		name = "varchar_pattern_ops";
	else if (type == BPCHAROID)
		name = "bpchar_pattern_ops";
	else
		return InvalidOid;
	return get_opclass_oid(BTREE_AM_OID,
						   list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(name))),
						   true);
}

/*
 * The class of a family that takes values of the type: the default one, except
 * for jsonb, whose other class serves containment in a smaller index.
 */
static Oid
class_of_family(Oid am, Oid family, Oid type)
{
	CatCList *list = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(am));
	Oid		  result = InvalidOid;
	bool	  best = false;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_opclass class = (Form_pg_opclass) GETSTRUCT(&list->members[i]->tuple);
		bool good = class->opcdefault;

		if (class->opcfamily != family || !IsBinaryCoercible(type, class->opcintype))
			continue;
		if (!OidIsValid(result) || (good && !best) || (good == best && class->oid < result))
		{
			result = class->oid;
			best = good;
		}
	}
	ReleaseSysCacheList(list);
	return result;
}

/*
 * Finds the GIN or else GiST class that has the operator for searching or, if
 * ordering, for sorting by distance.
 */
static bool
find_class(Oid opno, Oid type, bool ordering, Oid *am, Oid *opclass)
{
	CatCList *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));
	char	  purpose = ordering ? AMOP_ORDER : AMOP_SEARCH;

	*opclass = InvalidOid;
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);
		Oid class;
		bool better;

		if (amop->amoppurpose != purpose ||
			(amop->amopmethod != GIN_AM_OID && amop->amopmethod != GIST_AM_OID))
			continue;
		class = class_of_family(amop->amopmethod, amop->amopfamily, type);
		if (!OidIsValid(class))
			continue;
		if (!OidIsValid(*opclass))
			better = true;
		else if (amop->amopmethod != *am)
			better = amop->amopmethod == GIN_AM_OID;
		else if (getBaseType(type) == JSONBOID)
			better = class > *opclass; /* jsonb_path_ops is the younger one */
		else
			better = class < *opclass;
		if (better)
		{
			*am = amop->amopmethod;
			*opclass = class;
		}
	}
	ReleaseSysCacheList(list);
	return OidIsValid(*opclass);
}

/* Sets class and method, numbers the usage and adds a copy of the condition. */
static void
emit(QueryUses *uses, const Condition *template, UsageKind kind, Oid am, Oid opclass, List **out)
{
	Condition *condition = memcpy(palloc(sizeof(Condition)), template, sizeof(Condition));
	Usage	   usage;
	List	  *columns;

	condition->kind = kind;
	condition->am = am;
	condition->column.opclass = opclass;

	memset(&usage, 0, sizeof(usage));
	usage.relid = condition->use->table->relid;
	usage.kind = kind;
	usage.attno = condition->column.attno;
	usage.expr = condition->column.expr;
	usage.opno = condition->opno;
	usage.am = am;
	usage.opclass = opclass;
	columns = list_concat(list_make1(&condition->column), condition->row);
	condition->usage = dbperf_usage_add(uses, &usage, columns, condition->negated);
	*out = lappend(*out, condition);
}

/* LIKE and the like. */
static void
emit_pattern(QueryUses *uses, const Condition *template, PatternKind kind, List **out)
{
	Oid class;
	Oid	 am;
	bool served = false;

	if (kind != PATTERN_FLOATING)
	{
		class = prefix_class(&template->column);
		if (OidIsValid(class))
		{
			emit(uses, template, USAGE_RANGE, BTREE_AM_OID, class, out);
			served = true;
		}
	}
	if (kind == PATTERN_PREFIX && served)
		return;
	if (find_class(template->opno, template->column.type, false, &am, &class))
		emit(uses, template, USAGE_OPERATOR, am, class, out);
	else if (kind == PATTERN_FLOATING && template->column.type != BYTEAOID)
		dbperf_candidate_remark(uses->set, template->use->table->relid, uses->subject->number,
								"Patterns that do not begin with fixed characters need the "
								"extension pg_trgm (CREATE EXTENSION pg_trgm).");
}

/*
 * Adds what an index must have to serve the condition, if one can, to *out;
 * other is what the column is compared with, or NULL if it does not matter.
 */
void
dbperf_usages_of_operator(QueryUses *uses, const Condition *condition, Node *other, List **out)
{
	CandidateTable	  *table = condition->use->table;
	const ColumnStats *stats;
	Oid class;
	Oid			am;
	int			strategy = InvalidStrategy;
	PatternKind pattern;

	if (table->problem != NULL)
	{
		if (!table->remarked)
			dbperf_candidate_remark(uses->set, table->relid, -1, table->problem);
		table->remarked = true;
		return;
	}
	stats = dbperf_candidate_column(table, &condition->column);
	class = GetDefaultOpClass(condition->column.type, BTREE_AM_OID);
	if (condition->kind == USAGE_NULLNESS)
	{
		/* IS NULL asks nothing of a NOT NULL column, except above an outer join */
		if (condition->value == NULL && stats->not_null)
			return;
		if (OidIsValid(class) && stats->width <= MAX_BTREE_KEY_WIDTH)
			emit(uses, condition, USAGE_NULLNESS, BTREE_AM_OID, class, out);
		return;
	}
	if (OidIsValid(class))
		strategy = get_op_opfamily_strategy(condition->opno, get_opclass_family(class));
	if (strategy != InvalidStrategy)
	{
		ListCell *lc;

		if (stats->width > MAX_BTREE_KEY_WIDTH)
			return;
		foreach (lc, condition->row)
		{
			IndexColumn *column = lfirst(lc);

			column->opclass = GetDefaultOpClass(column->type, BTREE_AM_OID);
			if (!OidIsValid(column->opclass))
				return;
		}
		emit(uses, condition, strategy == BTEqualStrategyNumber ? condition->kind : USAGE_RANGE,
			 BTREE_AM_OID, class, out);
		return;
	}
	if (condition->list)
		return; /* only a btree takes arrays of values */
	pattern = pattern_kind(uses, condition->opno, other);
	if (pattern != PATTERN_NONE)
		emit_pattern(uses, condition, pattern, out);
	else if (find_class(condition->opno, condition->column.type, false, &am, &class))
		emit(uses, condition, USAGE_OPERATOR, am, class, out);
}

/*
 * The class that sorts rows by the distance "column opno value", or false.
 */
bool
dbperf_usage_distance_class(Oid opno, Oid type, Oid *am, Oid *opclass)
{
	return find_class(opno, type, true, am, opclass);
}
