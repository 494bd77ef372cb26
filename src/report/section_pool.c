/*-------------------------------------------------------------------------
 *
 * section_pool.c
 *		The connection pool over time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Efficiency", "The share of the transactions that a connection was ready for.", REPORT_PERCENT, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_pool_efficiency_ratio' THEN 'efficiency' END, pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_pool_efficiency_ratio']) "
	 "GROUP BY at, name ORDER BY at, name",
	 "pool_efficiency_ratio", 1, false},
	{{"Clients of the pool", "Clients by state; those that wait have no connection to the server yet.", REPORT_NUMBER, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'state', 'none'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_pool_clients']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Connections of the pool", "Connections from the pool to the server by state.", REPORT_NUMBER, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'state', 'none'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_pool_servers']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Work of the pool per second", "Transactions and queries that went through the pool.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_pool_transactions_total' THEN 'transactions' WHEN 'dbperf_pool_queries_total' THEN 'queries' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_pool_transactions_total', 'dbperf_pool_queries_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Waiting for a connection", "The seconds that clients waited, per second: how many waited at once on average.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_pool_wait_seconds_total' THEN 'waiting clients' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_pool_wait_seconds_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * Clients of the pool, its connections to the server and how well they are shared.
 */
void
dbperf_section_pool(ReportPage *page)
{
	dbperf_section_charts(page, charts, lengthof(charts),
						  "The pool did not run in this period: dbperf.pool turns it on.");
}
