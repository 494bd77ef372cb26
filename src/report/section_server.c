/*-------------------------------------------------------------------------
 *
 * section_server.c
 *		The server's own vital signs over time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Connections", "Connections of clients by state; the server accepts max_connections of them.", REPORT_NUMBER, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'state', 'none'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_connections']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Found in shared buffers", "The share of blocks that were in shared buffers when they were needed.", REPORT_PERCENT, REPORT_LINES},
	 "SELECT at, 'hits', good / NULLIF(good + bad, 0) "
	 "FROM (SELECT at, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_buffer_hits_total') AS good, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_buffer_reads_total') AS bad "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_buffer_hits_total', 'dbperf_buffer_reads_total']) "
	 "GROUP BY at) AS step ORDER BY at",
	 NULL, 1, false},
	{{"Read from disk or its cache per second", "Blocks that were not in shared buffers, of 8 kB as a rule.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_buffer_reads_total' THEN 'blocks' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_buffer_reads_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Written per second", "Write-ahead log, and temporary files of statements that did not have enough memory.", REPORT_BYTES, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_wal_bytes_total' THEN 'write-ahead log' WHEN 'dbperf_temp_bytes_total' THEN 'temporary files' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_wal_bytes_total', 'dbperf_temp_bytes_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Oldest transaction", "How long the oldest open transaction has been running: vacuum cannot remove what it may see.", REPORT_SECONDS, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_oldest_transaction_seconds' THEN 'oldest' END, pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_oldest_transaction_seconds']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Replication lag", "How far standbys are behind, in time.", REPORT_SECONDS, REPORT_LINES},
	 "SELECT at, COALESCE(labels ->> 'application', 'standby'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_replication_lag_seconds']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Size of databases", "The space that databases take on disk.", REPORT_BYTES, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'database', 'none'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_database_size_bytes']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Deadlocks per second", "Transactions that were ended because they waited for each other.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, 'deadlocks', pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_deadlocks_total']) "
	 "GROUP BY at HAVING pg_catalog.sum(value) > 0 ORDER BY at",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * Connections, memory, disk and replication.
 */
void
dbperf_section_server(ReportPage *page)
{
	dbperf_section_charts(page, charts, lengthof(charts),
						  "There is no sample of the server in this period: see metrics_history.");
}
