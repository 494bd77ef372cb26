/*-------------------------------------------------------------------------
 *
 * table_list.c
 *		The tables that advice may speak of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "advisor/drops.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * Whether advice may speak of the table, by what pg_class says.
 */
static bool
table_is_visible(Form_pg_class form)
{
	if (form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW &&
		form->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	if (form->oid < FirstNormalObjectId || form->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	if (!DBPERF_OWNS_RELATION(form->oid) &&
		pg_class_aclcheck(form->oid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return false;
	return !OidIsValid(getExtensionOfObject(RelationRelationId, form->oid));
}

/*
 * OIDs of the tables and materialized views that advice may speak of.  Ordered
 * by OID, partitioned tables last.
 */
List *
dbperf_tables_visible(void)
{
	List	   *tables = NIL;
	List	   *partitioned = NIL;
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		CHECK_FOR_INTERRUPTS();
		if (!table_is_visible(form))
			continue;
		if (form->relkind == RELKIND_PARTITIONED_TABLE)
			partitioned = lappend_oid(partitioned, form->oid);
		else
			tables = lappend_oid(tables, form->oid);
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);

	list_sort(tables, list_oid_cmp);
	list_sort(partitioned, list_oid_cmp);
	return list_concat(tables, partitioned);
}

/*
 * Bytes of one relation's main fork.  One that is locked exclusively just now
 * is not waited for: the size at its last vacuum must do.
 */
static int64
main_fork_bytes(Oid relid)
{
	int64	  bytes = 0;
	HeapTuple tuple;

	if (ConditionalLockRelationOid(relid, AccessShareLock))
	{
		Relation rel = RelationIdGetRelation(relid);

		if (RelationIsValid(rel))
		{
			if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
				bytes = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
			RelationClose(rel);
		}
		UnlockRelationOid(relid, AccessShareLock);
		return bytes;
	}

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		bytes = (int64) ((Form_pg_class) GETSTRUCT(tuple))->relpages * BLCKSZ;
		ReleaseSysCache(tuple);
	}
	return bytes;
}

/*
 * Bytes of the main fork of a table or index, partitions included, without
 * waiting for a lock.
 */
int64
dbperf_relation_bytes(Oid relid)
{
	char	  relkind = get_rel_relkind(relid);
	int64	  bytes = 0;
	ListCell *lc;

	if (relkind != RELKIND_PARTITIONED_TABLE && relkind != RELKIND_PARTITIONED_INDEX)
		return main_fork_bytes(relid);
	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
		bytes += main_fork_bytes(lfirst_oid(lc));
	return bytes;
}
