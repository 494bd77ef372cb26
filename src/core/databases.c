/*-------------------------------------------------------------------------
 *
 * databases.c
 *		The databases of the server, for a process without one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "core/core.h"

/* What the task fills. */
typedef struct DatabaseList
{
	MemoryContext context; /* of the list */
	List		 *found;
} DatabaseList;

/*
 * A transaction's task: list the databases that can be connected to.
 */
static void
list_databases(void *arg)
{
	DatabaseList *list = arg;
	Relation	  rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	  tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		DbperfDatabase	*one;
		MemoryContext	 old;

		if (!form->datallowconn || database_is_invalid_form(form))
			continue;
		old = MemoryContextSwitchTo(list->context);
		one = palloc(sizeof(DbperfDatabase));
		one->oid = form->oid;
		strlcpy(one->name, NameStr(form->datname), NAMEDATALEN);
		one->is_template = form->datistemplate;
		one->frozen_xid = form->datfrozenxid;
		one->min_multi = form->datminmxid;
		list->found = lappend(list->found, one);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * List the databases that can be connected to, as DbperfDatabase in the current
 * memory context, in a transaction of its own.  Only in a worker.  Returns
 * false after an error, which has been reported.
 */
bool
dbperf_list_databases(List **databases)
{
	DatabaseList list = {CurrentMemoryContext, NIL};

	if (!dbperf_worker_transaction("listing databases", list_databases, &list))
		return false;
	*databases = list.found;
	return true;
}

/*
 * The database with that OID in such a list, or NULL.
 */
DbperfDatabase *
dbperf_listed_database(const List *databases, Oid oid)
{
	ListCell *cell;

	foreach (cell, databases)
	{
		DbperfDatabase *one = lfirst(cell);

		if (one->oid == oid)
			return one;
	}
	return NULL;
}
