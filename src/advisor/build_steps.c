/*-------------------------------------------------------------------------
 *
 * build_steps.c
 *		What a build has to do next, by what the catalog says.
 *
 * A build remembers nothing: it asks after each command what is missing still.
 * So a second build continues where the first one stopped, which matters for
 * partitioned tables, where one definition is many commands: an index ON ONLY
 * the parent, one for each partition (built concurrently), and an ATTACH for
 * each.
 *
 * All of this runs as the role that asked for the build.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/index_build.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * The definition that is stored, analysed as the current role, which must own
 * the table.
 */
IndexDef *
dbperf_build_parse(const char *identity)
{
	int		  level = NewGUCNestLevel();
	Oid		  role;
	int		  context;
	IndexDef *def;

	/* an error ends the (sub)transaction, which puts these back */
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&role, &context);
	SetUserIdAndSecContext(role, context | SECURITY_RESTRICTED_OPERATION);
	def = dbperf_index_def_parse(psprintf("CREATE INDEX %s", identity));
	SetUserIdAndSecContext(role, context);
	AtEOXact_GUC(true, level);

	if (!DBPERF_OWNS_RELATION(def->relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(def->relid)),
					   get_rel_name(def->relid));
	if (get_rel_persistence(def->relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot build an index on temporary table \"%s\" in a worker",
							   get_rel_name(def->relid))));
	return def;
}

/*
 * The index of the table that equals the definition, a valid one if there is
 * one, or NULL.
 */
static RealIndex *
equal_index(const IndexDef *def, bool must_be_valid)
{
	RealIndex *invalid = NULL;
	ListCell  *cell;

	foreach (cell, dbperf_real_indexes(def->relid))
	{
		RealIndex *real = lfirst(cell);

		if (real->def == NULL || !dbperf_index_def_equal(real->def, def))
			continue;
		if (real->valid)
			return real;
		if (invalid == NULL)
			invalid = real;
	}
	return must_be_valid ? NULL : invalid;
}

/* The index of which this one is a partition, or InvalidOid. */
static Oid
attached_to(Oid index)
{
	return get_rel_relispartition(index) ? get_partition_parent(index, false) : InvalidOid;
}

/* Fill the names of the table and index of a step. */
static void
step_names(BuildStep *step, Oid table, char *index_name)
{
	step->table = table;
	step->schema_name = get_namespace_name(get_rel_namespace(table));
	step->table_name = get_rel_name(table);
	step->index_name = index_name;
}

/* The step that creates an index on the definition's own table. */
static void
step_create(const IndexDef *def, BuildStep *step)
{
	bool partitioned = get_rel_relkind(def->relid) == RELKIND_PARTITIONED_TABLE;

	step_names(step, def->relid, dbperf_index_def_name(def));
	step->action = partitioned ? BUILD_CREATE_ONLY : BUILD_CREATE;
	step->command = dbperf_index_def_ddl(def, step->index_name, !partitioned);
}

/* The step that attaches an index of a partition to that of the parent. */
static void
step_attach(Oid parent, Oid child, Oid table, BuildStep *step)
{
	step_names(step, table, get_rel_name(child));
	step->action = BUILD_ATTACH;
	step->command = psprintf("ALTER INDEX %s ATTACH PARTITION %s", dbperf_table_name(parent),
							 dbperf_table_name(child));
}

static bool next_step(const IndexDef *def, BuildStep *step);

/*
 * The step that a partition needs; false if it has all.
 */
static bool
partition_step(const IndexDef *def, Oid parent_index, Oid partition, BuildStep *step)
{
	bool	   partitioned = get_rel_relkind(partition) == RELKIND_PARTITIONED_TABLE;
	IndexDef  *own = dbperf_index_def_for_child(def, partition);
	RealIndex *real;
	ListCell  *cell;

	if (own == NULL)
		elog(ERROR, "partition \"%s\" lacks a column of the index", get_rel_name(partition));

	/* one that is attached counts, whatever it is called */
	foreach (cell, dbperf_real_indexes(partition))
	{
		real = lfirst(cell);
		if (attached_to(real->oid) == parent_index)
			return !real->valid && partitioned && next_step(own, step);
	}

	real = equal_index(own, !partitioned);
	if (real == NULL || (partitioned && !real->valid) || OidIsValid(attached_to(real->oid)))
	{
		if (real == NULL || !partitioned)
		{
			step_create(own, step);
			return true;
		}
		if (next_step(own, step))
			return true;
	}
	step_attach(parent_index, real->oid, partition, step);
	return true;
}

/*
 * The step that the definition's table needs; false if it has all.
 */
static bool
next_step(const IndexDef *def, BuildStep *step)
{
	bool	   partitioned = get_rel_relkind(def->relid) == RELKIND_PARTITIONED_TABLE;
	RealIndex *real = equal_index(def, !partitioned);
	bool	   foreign = false;
	List	  *partitions;
	ListCell  *cell;

	if (real == NULL)
	{
		step_create(def, step);
		return true;
	}
	if (real->valid)
		return false;

	partitions = find_inheritance_children(def->relid, NoLock);
	step->partitions_total += list_length(partitions);
	foreach (cell, partitions)
	{
		Oid partition = lfirst_oid(cell);

		/* a foreign table cannot have one; the parent's stays INVALID then */
		if (get_rel_relkind(partition) == RELKIND_FOREIGN_TABLE)
			foreign = true;
		else if (partition_step(def, real->oid, partition, step))
			return true;
		step->partitions_done++;
	}
	if (foreign)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("index \"%s\" stays invalid although its partitions are indexed", real->name)));
	return false;
}

/*
 * Find out what is to be done next.
 */
void
dbperf_build_next_step(const IndexDef *def, BuildStep *step)
{
	memset(step, 0, sizeof(*step));
	if (!next_step(def, step))
	{
		RealIndex *real = equal_index(def, false);

		step->action = BUILD_DONE;
		step_names(step, def->relid, real->name);
	}
}

/*
 * The command that drops what a build has left, or NULL if there is nothing:
 * an index of that name on that table, INVALID, with the definition that the
 * build was for.  *relid becomes its table.  To be sure that nobody builds it
 * right now, call it again with a lock on the table.
 */
char *
dbperf_build_leftover(const IndexDef *def, const char *schema, const char *table, const char *index,
					  Oid *relid)
{
	Oid namespace = get_namespace_oid(schema, true);
	const IndexDef *own = def;
	ListCell	   *cell;

	*relid = OidIsValid(namespace) ? get_relname_relid(table, namespace) : InvalidOid;
	if (!OidIsValid(*relid) || get_rel_relkind(*relid) == RELKIND_PARTITIONED_TABLE)
		return NULL;
	if (*relid != def->relid)
	{
		if (!get_rel_relispartition(*relid) ||
			!list_member_oid(get_partition_ancestors(*relid), def->relid))
			return NULL;
		own = dbperf_index_def_for_child(def, *relid);
	}

	foreach (cell, dbperf_real_indexes(*relid))
	{
		RealIndex *real = lfirst(cell);

		if (!real->valid && strcmp(real->name, index) == 0 && own != NULL && real->def != NULL &&
			dbperf_index_def_equal(real->def, own))
			return psprintf("DROP INDEX CONCURRENTLY %s",
							quote_qualified_identifier(schema, index));
	}
	return NULL;
}
