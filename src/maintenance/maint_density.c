/*-------------------------------------------------------------------------
 *
 * maint_density.c
 *		Remembers how little room indexes took for a row at their best, and how
 *		full their pages were at the last look.
 *
 * An index is known by its OID and its file's number, which changes when it is
 * rebuilt: then it begins anew.  Both figures of "bytes for a row" come from
 * pg_class, where vacuum, analyze and builds write pages and rows together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "maintenance/maint_index.h"
#include "maintenance/maint_spi.h"
#include "miscadmin.h"

/* B-trees that one round samples. */
#define SAMPLES_A_ROUND 30

/* What an index needs for a row now; below 1000 rows it says nothing. */
#define BYTES_PER_ROW "CASE WHEN c.reltuples >= 1000 THEN c.relpages * $1 / c.reltuples END"

static const char forget_gone[] = "DELETE FROM dbperf.maintenance_index_density AS d"
								  " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c"
								  " WHERE c.oid = d.index_oid AND c.relkind = 'i')";

/* the methods are btree, hash, gist, gin and spgist */
static const char note_best[] =
	"INSERT INTO dbperf.maintenance_index_density AS d"
	" (index_oid, relfilenode, best_bytes_per_row)"
	" SELECT c.oid, c.relfilenode, " BYTES_PER_ROW " FROM pg_catalog.pg_class AS c"
	" JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid"
	" WHERE c.relkind = 'i' AND c.relam IN (403, 405, 783, 2742, 4000)"
	" AND c.relpages >= 100 AND c.relpersistence <> 't' AND i.indrelid >= 16384 AND i.indisvalid"
	" ON CONFLICT (index_oid) DO UPDATE SET relfilenode = excluded.relfilenode,"
	" best_bytes_per_row = excluded.best_bytes_per_row, seen = pg_catalog.now(),"
	" sampled = CASE WHEN d.relfilenode = excluded.relfilenode THEN d.sampled END,"
	" sampled_pages = CASE WHEN d.relfilenode = excluded.relfilenode THEN d.sampled_pages END,"
	" sampled_bloat = CASE WHEN d.relfilenode = excluded.relfilenode THEN d.sampled_bloat END,"
	" rebuilt = CASE WHEN d.relfilenode = excluded.relfilenode THEN d.rebuilt END"
	" WHERE d.relfilenode <> excluded.relfilenode"
	" OR (d.best_bytes_per_row IS NULL AND excluded.best_bytes_per_row IS NOT NULL)"
	" OR excluded.best_bytes_per_row < d.best_bytes_per_row * 0.99";

/* a sample is for a day, unless the index has changed a lot */
static const char choose_samples[] =
	"SELECT c.oid, c.relpages FROM dbperf.maintenance_index_density AS d"
	" JOIN pg_catalog.pg_class AS c ON c.oid = d.index_oid AND c.relfilenode = d.relfilenode"
	" WHERE c.relam = 403 AND c.relpages >= $2"
	" AND (d.sampled IS NULL OR d.sampled < pg_catalog.now() - interval '1 day'"
	" OR (d.sampled < pg_catalog.now() - interval '10 minutes'"
	" AND (c.relpages > d.sampled_pages * 1.2"
	" OR " BYTES_PER_ROW " >= d.best_bytes_per_row * 2)))"
	" ORDER BY d.sampled NULLS FIRST, c.relpages DESC, c.oid LIMIT $3";

static const char note_sample[] =
	"UPDATE dbperf.maintenance_index_density AS d SET sampled = pg_catalog.now(),"
	" sampled_pages = $2, sampled_bloat = COALESCE(nullif($3, 0), d.sampled_bloat)"
	" WHERE d.index_oid = $1";

static const char note_rebuilt[] =
	"INSERT INTO dbperf.maintenance_index_density AS d"
	" (index_oid, relfilenode, best_bytes_per_row, rebuilt)"
	" SELECT c.oid, c.relfilenode, " BYTES_PER_ROW ", pg_catalog.now()"
	" FROM pg_catalog.pg_class AS c WHERE c.oid = $2 AND c.relkind = 'i'"
	" ON CONFLICT (index_oid) DO UPDATE SET relfilenode = excluded.relfilenode,"
	" best_bytes_per_row = excluded.best_bytes_per_row, seen = pg_catalog.now(),"
	" sampled = NULL, sampled_pages = NULL, sampled_bloat = NULL, rebuilt = excluded.rebuilt";

/* Run one of the statements above. */
static void
execute(const char *sql, int num_args, Oid *types, Datum *args)
{
	if (SPI_execute_with_args(sql, num_args, types, args, NULL, false, 0) < 0)
		elog(ERROR, "could not note the density of indexes");
}

/* Sample the indexes whose turn it is. */
static void
take_samples(void)
{
	Oid			   choose_types[] = {FLOAT8OID, INT4OID, INT4OID};
	Datum		   choose_args[] = {Float8GetDatum(BLCKSZ), Int32GetDatum(MAINT_REINDEX_PAGES),
									Int32GetDatum(SAMPLES_A_ROUND)};
	Oid			   types[] = {OIDOID, INT4OID, FLOAT8OID};
	SPITupleTable *chosen;
	uint64		   count;

	execute(choose_samples, lengthof(choose_types), choose_types, choose_args);
	chosen = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool  isnull;
		Datum args[3];

		args[0] = SPI_getbinval(chosen->vals[i], chosen->tupdesc, 1, &isnull);
		args[1] = SPI_getbinval(chosen->vals[i], chosen->tupdesc, 2, &isnull);
		args[2] = Float8GetDatum(dbperf_maint_sample_btree(DatumGetObjectId(args[0])));
		execute(note_sample, lengthof(types), types, args);
	}
}

/* A transaction's task: bring the table up to date. */
static void
note_density(void *arg)
{
	Oid		 types[] = {FLOAT8OID};
	Datum	 args[] = {Float8GetDatum(BLCKSZ)};
	Oid		 table = dbperf_own_table(MAINT_DENSITY_TABLE);
	MaintSpi session;

	(void) arg;

	if (!OidIsValid(table))
		return;
	dbperf_maint_spi_open(table, &session);
	execute(forget_gone, 0, NULL, NULL);
	execute(note_best, lengthof(types), types, args);
	take_samples();
	dbperf_maint_spi_close(&session);
}

/*
 * Note how dense the indexes of this database are.  Called by a worker once a
 * round, outside a transaction; does nothing where the extension is not.
 */
void
dbperf_maint_density_note(void)
{
	if (!RecoveryInProgress())
		(void) dbperf_worker_transaction("noting how dense indexes are", note_density, NULL);
}

/*
 * Note that we have just rebuilt the index.  Called in a transaction, between
 * dbperf_maint_spi_open() and close.
 */
void
dbperf_maint_density_rebuilt(Oid index)
{
	Oid	  types[] = {FLOAT8OID, OIDOID};
	Datum args[] = {Float8GetDatum(BLCKSZ), ObjectIdGetDatum(index)};

	execute(note_rebuilt, lengthof(types), types, args);
}
