/*-------------------------------------------------------------------------
 *
 * plans.h
 *		Public face of the work on plans: what is wrong with plans, what changed in
 *		them, and settings for single queries.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_PLANS_H
#define DBPERF_PLANS_H

/* plans.c */
extern void dbperf_plans_init(void);

#endif /* DBPERF_PLANS_H */
