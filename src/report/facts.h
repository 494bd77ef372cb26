/*-------------------------------------------------------------------------
 *
 * facts.h
 *		Sections of the page that show facts: lists of what was, is, or should
 *		be done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_FACTS_H
#define DBPERF_FACTS_H

#include "report/report_int.h"

DBPERF_PRIVATE_BEGIN

/* One list within a section. */
typedef struct ReportFacts
{
	const char		   *title; /* above the list, NULL = the section's will do */
	const char		   *sql;   /* $1 to $4 as in dbperf_report_table() */
	const ReportColumn *columns;
	int					num_columns;
	const char		   *empty; /* instead of a list without rows */

	/*
	 * Of a list about sessions: said instead of empty, and below the rows, to who
	 * sees nothing of other roles' sessions; NULL = the list is the same for all.
	 */
	const char *hidden;

	/*
	 * Milliseconds that it may take, 0 = as long as it likes: for what is quick,
	 * and for what limits itself, which must not run under another limit.
	 */
	int			limit_ms;
	const char *late; /* how to see what took longer */
} ReportFacts;

/* for most lists about sessions */
#define REPORT_SESSIONS_HIDDEN "Not shown: other roles' sessions are hidden from this role."

/* how exact numbers of a period's queries are */
#define REPORT_CALLS_HINT                                                                          \
	"counted to the minute: those at the edges of the period may be of the time beside it"
#define REPORT_P95_HINT "estimated between two bounds of a histogram, such as 25 and 50 ms"

/* above advice to create, drop or rebuild something */
#define REPORT_ON_STANDBY "This is a standby: run these statements on the primary."

/* What became of a list. */
typedef enum ReportFactsState
{
	REPORT_FACTS_SHOWN,
	REPORT_FACTS_EMPTY,
	REPORT_FACTS_LATE,	 /* the time was over */
	REPORT_FACTS_REFUSED /* failed, most likely for want of a privilege */
} ReportFactsState;

/* facts.c */
extern ReportFactsState dbperf_report_facts(ReportPage *page, const ReportFacts *facts);
extern void				dbperf_note_short_period(ReportPage *page);
extern void				dbperf_note_standby(ReportPage *page, const char *text);

DBPERF_PRIVATE_END

#endif /* DBPERF_FACTS_H */
