/*-------------------------------------------------------------------------
 *
 * central.h
 *		Tables about the whole server, which count in dbperf.database only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CENTRAL_H
#define DBPERF_CENTRAL_H

#include "access/htup.h"
#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* Why a row cannot be used. */
typedef struct DbperfRowProblem
{
	int			sqlstate;
	char	   *message;
	const char *hint; /* a sentence, or NULL */
} DbperfRowProblem;

extern bool		 dbperf_is_central(void);
extern HeapTuple dbperf_central_row(FunctionCallInfo fcinfo, const char *table, const char *what,
									void (*changed)(void));
extern void		 dbperf_central_limit(Relation table, const char *what, int limit);
extern void		 dbperf_central_refuse(const DbperfRowProblem *problem);

DBPERF_PRIVATE_END

#endif /* DBPERF_CENTRAL_H */
