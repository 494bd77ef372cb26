/*-------------------------------------------------------------------------
 *
 * server_spi.c
 *		SQL on the server's own catalogs and statistics.
 *
 * The numbers of the whole server are shown to whoever may execute the function
 * that shows them, so they are read with the bootstrap superuser's rights: the
 * server hides a good part of them from others, one by one.  The statements are
 * fixed texts on catalogs and functions of the server, and no name in them depends
 * on the search_path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "metrics/server_spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

/* The monitor does not record what dbperf itself asks. */
static const char *const settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"dbperf.enabled", "off"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
};

/*
 * Become the bootstrap superuser and connect to SPI.  An error puts everything
 * back when its (sub)transaction ends.
 */
void
dbperf_server_spi_open(ServerSpi *session)
{
	GetUserIdAndSecContext(&session->role, &session->context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, session->context | SECURITY_LOCAL_USERID_CHANGE |
													  SECURITY_RESTRICTED_OPERATION);
	session->guc_level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * Undo dbperf_server_spi_open().  What SPI has allocated is gone afterwards.
 */
void
dbperf_server_spi_close(ServerSpi *session)
{
	SPI_finish();
	AtEOXact_GUC(true, session->guc_level);
	SetUserIdAndSecContext(session->role, session->context);
}
