/*-------------------------------------------------------------------------
 *
 * maint_spi.c
 *		SQL of maintenance on its own tables and on the catalogs.
 *
 * The tables are those of the extension and no others.  Statements on them, and
 * on the catalogs, are fixed texts that run as the tables' owner; no name in them
 * depends on the search_path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "maintenance/maint_spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

/* The owner of a relation; the bootstrap superuser if there is none. */
static Oid
owner_of(Oid table)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid		  owner = BOOTSTRAP_SUPERUSERID;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Become the owner of the table (InvalidOid = the bootstrap superuser, to read
 * catalogs only) and connect to SPI.  An error puts everything back when its
 * (sub)transaction ends.
 */
void
dbperf_maint_spi_open(Oid table, MaintSpi *session)
{
	Oid owner = owner_of(table);

	GetUserIdAndSecContext(&session->role, &session->context);
	session->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner, session->context | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * Undo dbperf_maint_spi_open().  What SPI has allocated is gone afterwards.
 */
void
dbperf_maint_spi_close(MaintSpi *session)
{
	SPI_finish();
	SetUserIdAndSecContext(session->role, session->context);
	AtEOXact_GUC(true, session->guc_level);
}
