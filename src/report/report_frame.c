/*-------------------------------------------------------------------------
 *
 * report_frame.c
 *		What is around the sections: head, headline, table of contents.
 *
 * The page's own style and script are named to the browser by their hashes and
 * everything else is forbidden to it, so that nothing would run or be fetched
 * even if a text of somebody's got into the page unescaped.
 *
 * A section that fails becomes a note in its place.  It runs in a subtransaction,
 * which is rolled back; cancel, and what else concerns the whole statement, ends
 * the report.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "report/report_page.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* One part of the page that may fail. */
typedef struct PagePart
{
	ReportPage *page;
	void (*show)(ReportPage *page);
} PagePart;

/* ---- parts that may fail ---- */

/* Shows a part; SPI and what was allocated are gone at the end. */
static void
show_part(void *arg)
{
	PagePart *part = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	part->show(part->page);
	SPI_finish();
}

/*
 * Shows a part of the page, or the reason why it cannot be shown.
 */
static void
try_part(ReportPage *page, void (*show)(ReportPage *page))
{
	PagePart   part = {page, show};
	int		   len = page->html.len;
	ErrorData *error = dbperf_try_error(show_part, &part);

	if (error == NULL)
		return;
	page->html.len = len;
	page->html.data[len] = '\0';
	dbperf_html_trusted(page, "<p class=\"note failed\">This part could not be made: ");
	dbperf_html_text(page, error->message);
	if (error->hint != NULL)
	{
		dbperf_html_trusted(page, " &#8211; ");
		dbperf_html_text(page, error->hint);
	}
	dbperf_html_trusted(page, "</p>\n");
	FreeErrorData(error);
}

/* ---- head ---- */

/* The hash of a text as a Content-Security-Policy names it. */
static char *
source_hash(const char *source)
{
	Datum hash = DirectFunctionCall1(sha256_bytea, CStringGetTextDatum(source));
	Datum code = DirectFunctionCall2(binary_encode, hash, CStringGetTextDatum("base64"));

	return TextDatumGetCString(code);
}

static void
put_head(ReportPage *page)
{
	dbperf_html_trusted(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
							  "<meta charset=\"utf-8\">\n");
	dbperf_html_printf(page,
					   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
					   "style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; "
					   "form-action 'none'\">\n",
					   source_hash(dbperf_report_style), source_hash(dbperf_report_script));
	dbperf_html_trusted(page, "<meta name=\"viewport\" content=\"width=device-width, "
							  "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light "
							  "dark\">\n<meta name=\"generator\" content=\"dbperf\">\n<title>");
	dbperf_html_text(page, get_database_name(MyDatabaseId));
	dbperf_html_printf(page, " &#8211; dbperf %s</title>\n<style>",
					   page->compare ? "comparison" : "report");
	dbperf_html_trusted(page, dbperf_report_style);
	dbperf_html_trusted(page, "</style>\n</head>\n<body>\n");
}

/* Writes the name of something about the page, before its value. */
static void
put_term(ReportPage *page, const char *term)
{
	dbperf_html_printf(page, "<li><b>%s</b> ", term);
}

static void
put_term_end(ReportPage *page)
{
	dbperf_html_trusted(page, "</li>\n");
}

static void
put_period(ReportPage *page, const char *term, const ReportPeriod *period)
{
	put_term(page, term);
	dbperf_html_time(page, period->since);
	dbperf_html_trusted(page, " to ");
	dbperf_html_time(page, period->until);
	dbperf_html_trusted(page, " (");
	dbperf_html_number(page, REPORT_SECONDS,
					   (double) (period->until - period->since) / USECS_PER_SEC);
	dbperf_html_trusted(page, ")");
	put_term_end(page);
}

/* Whose page it is, and of which server. */
static void
put_facts(ReportPage *page)
{
	const char *cluster = GetConfigOption("cluster_name", true, false);

	dbperf_html_trusted(page, "<ul class=\"facts\">\n");
	put_period(page, "Period", &page->period);
	if (page->compare)
		put_period(page, "Compared with", &page->before);
	put_term(page, "Server");
	if (cluster != NULL && cluster[0] != '\0')
	{
		dbperf_html_text(page, cluster);
		dbperf_html_trusted(page, ", ");
	}
	dbperf_html_trusted(page, "PostgreSQL ");
	dbperf_html_text(page, GetConfigOption("server_version", false, false));
	dbperf_html_trusted(page, RecoveryInProgress() ? ", standby" : ", primary");
	put_term_end(page);
	put_term(page, "Written");
	dbperf_html_time(page, GetCurrentTimestamp());
	dbperf_html_trusted(page, ", as seen by ");
	dbperf_html_text(page, GetUserNameFromId(GetUserId(), false));
	put_term_end(page);
	put_term(page, "Time zone");
	dbperf_html_text(page, pg_get_timezone_name(session_timezone));
	put_term_end(page);
	dbperf_html_trusted(page, "</ul>\n");
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		dbperf_html_note(page, "Statements and plans of other roles are hidden from this role: it "
							   "is no member of pg_read_all_stats.");
}

/* ---- headline ---- */

/* How the value of a target is shown: its name ends with the unit. */
static ReportFormat
target_format(const char *target)
{
	static const struct
	{
		const char	*suffix;
		ReportFormat format;
	} units[] = {{"_ms", REPORT_MS},
				 {"_seconds", REPORT_SECONDS},
				 {"_bytes", REPORT_BYTES},
				 {"_ratio", REPORT_PERCENT}};
	size_t len = strlen(target);

	for (int i = 0; i < (int) lengthof(units); i++)
	{
		size_t suffix = strlen(units[i].suffix);

		if (len > suffix && strcmp(target + len - suffix, units[i].suffix) == 0)
			return units[i].format;
	}
	return REPORT_NUMBER;
}

/* Lists the targets that are missed, which the answer has first. */
static void
put_missed(ReportPage *page, uint64 missed)
{
	for (uint64 r = 0; r < missed; r++)
	{
		char		*target = dbperf_report_text(r, 1);
		ReportFormat format = target_format(target);

		dbperf_html_trusted(page, r == 0 ? ": " : "; ");
		dbperf_html_text(page, target);
		dbperf_html_trusted(page, " is ");
		dbperf_html_number(page, format, dbperf_report_float(r, 4));
		dbperf_html_trusted(page, " (wanted: ");
		dbperf_html_text(page, dbperf_report_text(r, 2));
		dbperf_html_trusted(page, " ");
		dbperf_html_number(page, format, dbperf_report_float(r, 3));
		dbperf_html_trusted(page, ")");
	}
}

/* Says in one sentence how the targets are met. */
static void
show_headline(ReportPage *page)
{
	uint64 rows;
	uint64 missed = 0;
	uint64 met = 0;

	if (!dbperf_report_may_read(page, "dbperf.health"))
		return;
	rows =
		dbperf_report_ask("SELECT target, comparison, threshold, value, verdict FROM dbperf.health "
						  "ORDER BY verdict <> 'missed', verdict <> 'met', target LIMIT 50",
						  0, NULL, NULL);
	for (uint64 r = 0; r < rows; r++)
	{
		char *verdict = dbperf_report_text(r, 5);

		missed += strcmp(verdict, "missed") == 0;
		met += strcmp(verdict, "met") == 0;
	}
	dbperf_html_printf(page, "<p class=\"headline %s\">",
					   missed > 0 ? "bad" : (rows > 0 && met == rows ? "good" : "info"));
	if (rows == 0)
		dbperf_html_trusted(page, "There are no targets.");
	else if (missed > 0)
	{
		dbperf_html_printf(
			page, "<strong>" UINT64_FORMAT " of " UINT64_FORMAT " targets %s missed</strong>",
			missed, rows, missed == 1 ? "is" : "are");
		put_missed(page, missed);
		dbperf_html_trusted(page, ".");
	}
	else if (met == rows)
		dbperf_html_printf(page, "<strong>All " UINT64_FORMAT " targets are met.</strong>", rows);
	else
		dbperf_html_printf(page,
						   "<strong>No target is missed</strong>, and " UINT64_FORMAT
						   " of " UINT64_FORMAT " %s met.",
						   met, rows, met == 1 ? "is" : "are");
	if (rows > missed + met)
		dbperf_html_printf(page, " There %s " UINT64_FORMAT " without data.",
						   rows - missed - met == 1 ? "is" : "are", rows - missed - met);
	dbperf_html_trusted(page, "</p>\n");
}

/* ---- the page ---- */

/* Whether a section belongs to this page. */
static bool
belongs(const ReportPage *page, const ReportSection *section)
{
	return page->compare ? section->compare : !section->compare_only;
}

static void
put_contents(ReportPage *page)
{
	dbperf_html_trusted(page, "<nav aria-label=\"Contents\">\n<ol>\n");
	for (int i = 0; i < dbperf_num_report_sections; i++)
	{
		const ReportSection *section = &dbperf_report_sections[i];

		if (!belongs(page, section))
			continue;
		dbperf_html_printf(page, "<li><a href=\"#%s\">%s</a></li>\n", section->id, section->title);
	}
	dbperf_html_trusted(page, "</ol>\n</nav>\n");
}

/*
 * Writes all that comes before the sections.
 */
void
dbperf_report_head(ReportPage *page)
{
	put_head(page);
	dbperf_html_trusted(page, "<header>\n<h1><span>dbperf ");
	dbperf_html_trusted(page, page->compare ? "comparison" : "report");
	dbperf_html_trusted(page, "</span> ");
	dbperf_html_text(page, get_database_name(MyDatabaseId));
	dbperf_html_trusted(page, "</h1>\n");
	try_part(page, show_headline);
	put_facts(page);
	dbperf_html_trusted(page, "</header>\n");
	put_contents(page);
	dbperf_html_trusted(page, "<main>\n");
}

/*
 * Writes the sections.  Titles and leads are HTML of ours.
 */
void
dbperf_report_sections_of(ReportPage *page)
{
	for (int i = 0; i < dbperf_num_report_sections; i++)
	{
		const ReportSection *section = &dbperf_report_sections[i];

		if (!belongs(page, section))
			continue;
		CHECK_FOR_INTERRUPTS();
		snprintf(page->label, sizeof(page->label), "%s-title", section->id);
		dbperf_html_printf(page,
						   "<section id=\"%s\" aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n",
						   section->id, page->label, page->label, section->title);
		if (section->lead != NULL)
			dbperf_html_printf(page, "<p class=\"lead\">%s</p>\n", section->lead);
		try_part(page, section->show);
		dbperf_html_trusted(page, "</section>\n");
	}
}

/*
 * Ends the page.
 */
void
dbperf_report_foot(ReportPage *page)
{
	dbperf_html_trusted(
		page, "</main>\n<footer><p>What is over time is about the period above; advice, "
			  "plans, blockers and settings are as they were when the page was written. "
			  "Tables were read in one snapshot, counters one after another.</p></footer>\n"
			  "<div id=\"tip\" hidden></div>\n<script>");
	dbperf_html_trusted(page, dbperf_report_script);
	dbperf_html_trusted(page, "</script>\n</body>\n</html>\n");
}
