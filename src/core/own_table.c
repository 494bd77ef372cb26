/*-------------------------------------------------------------------------
 *
 * own_table.c
 *		The extension's own tables in the present database.
 *
 * In a database without the extension anybody may have made a schema and a
 * table of these names, with triggers and rules of his own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "core/core.h"
#include "utils/lsyscache.h"

/*
 * The OID of a table of the extension, or InvalidOid.  Takes no lock; in a
 * transaction.
 */
Oid
dbperf_own_table(const char *name)
{
	Oid extension = get_extension_oid("dbperf", true);
	Oid schema = OidIsValid(extension) ? get_namespace_oid("dbperf", true) : InvalidOid;
	Oid table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(table) || get_rel_relkind(table) != RELKIND_RELATION ||
		getExtensionOfObject(RelationRelationId, table) != extension)
		return InvalidOid;
	return table;
}
