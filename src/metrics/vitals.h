/*-------------------------------------------------------------------------
 *
 * vitals.h
 *		The server's own vital signs as metrics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_VITALS_H
#define DBPERF_VITALS_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* vitals_statement.c: (metric text, label text, value float8) */
extern const char dbperf_vitals_statement[];

/* vitals.c */
extern void dbperf_vitals_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_VITALS_H */
