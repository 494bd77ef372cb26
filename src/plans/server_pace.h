/*-------------------------------------------------------------------------
 *
 * server_pace.h
 *		How much slower the server as a whole is than it was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_SERVER_PACE_H
#define DBPERF_SERVER_PACE_H

#include "monitor/monitor.h"

DBPERF_PRIVATE_BEGIN

typedef struct PacedPlan
{
	double before_ns; /* the median, as it was */
	double factor;	  /* by which it is slower now */
} PacedPlan;

/* A bound for each power of two of nanoseconds, which is more than 10 days. */
#define PACE_BOUNDS 50

/* What is known of all plans; all zero at first. */
typedef struct ServerPace
{
	PacedPlan *plans;
	int		   count;
	int		   room;
	double	   factors[PACE_BOUNDS]; /* of plans from 2^n ns on; 0 = not worked out */
} ServerPace;

/* Adds a plan, if enough is known of it.  Memory is that of the current context. */
extern void dbperf_pace_add(ServerPace *pace, const MonitoredPlan *plan);

/*
 * How many times longer plans like one whose median was before_ns take than they
 * did: at least 1, and 1 if that cannot be said.  No plan may be added afterwards.
 */
extern double dbperf_pace_factor(ServerPace *pace, double before_ns);

DBPERF_PRIVATE_END

#endif /* DBPERF_SERVER_PACE_H */
