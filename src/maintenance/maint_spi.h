/*-------------------------------------------------------------------------
 *
 * maint_spi.h
 *		SQL of maintenance on its own tables and on the catalogs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_SPI_H
#define DBPERF_MAINT_SPI_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* Whose rights and settings come back with dbperf_maint_spi_close(). */
typedef struct MaintSpi
{
	Oid role;
	int context;
	int guc_level;
} MaintSpi;

/* maint_spi.c */
extern void dbperf_maint_spi_open(Oid table, MaintSpi *session);
extern void dbperf_maint_spi_close(MaintSpi *session);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_SPI_H */
