/*-------------------------------------------------------------------------
 *
 * child.h
 *		What a child process does first, before it becomes something else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CHILD_H
#define DBPERF_CHILD_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* child.c */
extern bool dbperf_child_die_with(pid_t worker);
extern void dbperf_child_close_from(int first);
extern void dbperf_child_reset_signals(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_CHILD_H */
