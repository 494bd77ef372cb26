/*-------------------------------------------------------------------------
 *
 * report_sections.c
 *		The sections of the page in their order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_int.h"
#include "report/report_sections.h"

/* clang-format off */
const ReportSection dbperf_report_sections[] = {
	{"worse", "What got worse", "Metrics of both periods; what got worse comes first, and what changed most.", dbperf_section_changes, true, true},
	{"query-changes", "Queries that changed", "What single queries cost in both periods; those that cost more come first.", dbperf_section_query_changes, true, true},
	{"plan-changes", "Plans and events", "What may have been the cause.", dbperf_section_plan_changes, true, true},
	{"health", "Health", "Whether the targets are met now, and what to do next.", dbperf_section_health, true},
	{"running", "Running now", "Who runs and who waits for whom, when this page was written.", dbperf_section_running, false},
	{"latency", "Latency", "How long statements of clients took, of all databases.", dbperf_section_latency, true},
	{"throughput", "Throughput", "What the server did per second.", dbperf_section_throughput, true},
	{"waits", "Waits", "What sessions did while they were active, on average: a CPU that is used all the time is 1.", dbperf_section_waits, true},
	{"server", "Server", "Connections, memory, disk and replication.", dbperf_section_server, true},
	{"queries", "Slowest queries", "Where the time of the period went, of all databases. A row of which an execution was recorded unfolds to it, with its plan and what is wrong with it.", dbperf_section_queries, false},
	{"statements", "Slow statements", "Single statements of the period that were recorded, the slowest of each query.", dbperf_section_statements, false},
	{"findings", "Findings about plans", "What is wrong with the plans of recorded statements of this database; what would save most comes first.", dbperf_section_findings, false},
	{"regressions", "Plan regressions", "Queries that became slower, by a new plan or with the same one.", dbperf_section_regressions, false},
	{"indexes", "Index advice", "Indexes to create in this database, to drop, and to repair, by what the planner says of the recorded workload.", dbperf_section_indexes, false},
	{"coverage", "Index coverage", "How much of what the workload asks of each table an index serves; the largest gap first.", dbperf_section_coverage, false},
	{"advice", "Statistics and settings", "What would give the recorded statements of this database better plans.", dbperf_section_advice, false},
	{"maintenance", "Maintenance", "What was vacuumed, what is due, and what keeps it from being of use.", dbperf_section_maintenance, false},
	{"wraparound", "Wraparound", "How old transaction ids are; tables of this database from a tenth of the limit on.", dbperf_section_wraparound, false},
	{"cache", "Result cache", "Results of statements that were answered from memory.", dbperf_section_cache, true},
	{"cached", "Cached queries", "What the result cache did for each query since its counters began.", dbperf_section_cached, false},
	{"pool", "Connection pool", "Clients of the pool and the connections that they share.", dbperf_section_pool, true},
	{"pools", "Efficiency of the pool", "How well the pool does its work since the server started.", dbperf_section_pools, false},
	{"settings", "Settings", "Those that differ from PostgreSQL's defaults; values that can hold secrets are not shown.", dbperf_section_settings, false},
	{"status", "dbperf itself", "Whether something was lost, and how its workers do.", dbperf_section_status, false},
};
/* clang-format on */

const int dbperf_num_report_sections = lengthof(dbperf_report_sections);
