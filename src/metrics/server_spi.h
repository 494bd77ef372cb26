/*-------------------------------------------------------------------------
 *
 * server_spi.h
 *		SQL on the server's own catalogs and statistics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_SERVER_SPI_H
#define DBPERF_SERVER_SPI_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* Whose rights and settings come back with dbperf_server_spi_close(). */
typedef struct ServerSpi
{
	Oid role;
	int context;
	int guc_level;
} ServerSpi;

/* server_spi.c */
extern void dbperf_server_spi_open(ServerSpi *session);
extern void dbperf_server_spi_close(ServerSpi *session);

DBPERF_PRIVATE_END

#endif /* DBPERF_SERVER_SPI_H */
