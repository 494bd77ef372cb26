/*-------------------------------------------------------------------------
 *
 * advisor.h
 *		Public face of the advisor: which indexes to create and to drop.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ADVISOR_H
#define DBPERF_ADVISOR_H

/* advisor.c */
extern void dbperf_advisor_init(void);

#endif /* DBPERF_ADVISOR_H */
