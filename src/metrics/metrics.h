/*-------------------------------------------------------------------------
 *
 * metrics.h
 *		Public face of metrics: the catalogue, its history, and the verdict on health.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_METRICS_H
#define DBPERF_METRICS_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* metrics.c */
extern void dbperf_metrics_init(void);

/* catalogue.c */
extern void dbperf_catalogue_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_METRICS_H */
