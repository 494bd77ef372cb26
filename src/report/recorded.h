/*-------------------------------------------------------------------------
 *
 * recorded.h
 *		SQL that several sections say about recorded statements.
 *
 * The pieces are for the middle of WITH, the first one apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_RECORDED_H
#define DBPERF_RECORDED_H

/* What is used of a recorded statement. */
#define RECORDED_COLUMNS                                                                           \
	"s.id, s.started_at, s.duration_ms, s.database_name, s.user_name, s.application_name, s.pid,"  \
	" s.queryid, s.level, s.query, s.parameters, s.plan, s.rows, s.shared_blks_hit,"               \
	" s.shared_blks_read, s.temp_blks_written, s.cpu_ms, s.jit_ms, s.waits, s.blocked_by,"         \
	" s.sqlstate"

/* Pages are not what a page is about; a text that may not be seen is null. */
#define NO_REPORT "(s.query LIKE '%dbperf.report%') IS NOT TRUE"

/* Statements of the period, as far as they are in memory. */
#define RECORDED_IN_RING                                                                           \
	"recorded AS MATERIALIZED ("                                                                   \
	"  SELECT " RECORDED_COLUMNS ", true AS in_ring"                                               \
	"    FROM dbperf.slow_queries() AS s"                                                          \
	"   WHERE s.started_at BETWEEN $1 AND $2 AND " NO_REPORT ")"

/*
 * The same and those of the history that had to make room in memory.  The table
 * is looked at only if the period began before the oldest one in memory, and can
 * be very large: the slowest ones do.
 */
#define RECORDED_ANYWHERE                                                                          \
	"recorded AS MATERIALIZED ("                                                                   \
	"  SELECT " RECORDED_COLUMNS ", true AS in_ring"                                               \
	"    FROM dbperf.slow_queries() AS s"                                                          \
	"   WHERE s.started_at BETWEEN $1 AND $2 AND " NO_REPORT "  UNION ALL"                         \
	"  (SELECT " RECORDED_COLUMNS ", false"                                                        \
	"     FROM dbperf.slow_query_history AS s"                                                     \
	"    WHERE (SELECT m.oldest_record IS NULL OR m.oldest_record > $1"                            \
	"             FROM dbperf.monitor_status() AS m)"                                              \
	"      AND s.started_at BETWEEN $1 AND $2 AND " NO_REPORT                                      \
	"      AND NOT EXISTS (SELECT FROM dbperf.slow_queries() AS r, dbperf.monitor_status() AS m"   \
	"                       WHERE m.ring_start = s.ring_start AND r.id = s.id)"                    \
	"    ORDER BY s.duration_ms DESC LIMIT 500))"

/*
 * A text for each of these queries (a statement that returns ids) that has one: how
 * it was sent once.
 */
#define QUERY_TEXTS(ids)                                                                           \
	"texts AS MATERIALIZED ("                                                                      \
	"  SELECT DISTINCT ON (t.queryid, t.database_name, t.user_name)"                               \
	"         t.queryid, t.database_name, t.user_name, t.query"                                    \
	"    FROM (SELECT q.queryid, q.database_name, q.user_name, q.query, 1 AS choice"               \
	"            FROM dbperf.query_samples() AS q WHERE q.query IS NOT NULL"                       \
	"          UNION ALL"                                                                          \
	"          SELECT s.queryid, s.database_name, s.user_name, s.query, 2"                         \
	"            FROM dbperf.slow_queries() AS s) AS t"                                            \
	"   WHERE t.queryid IN (" ids ")"                                                              \
	"   ORDER BY t.queryid, t.database_name, t.user_name, t.choice)"

/*
 * The text of query q if texts are joined as x, or why there is none.  Statements
 * without an id are one row, as are those that made room for others.
 */
#define QUERY_TEXT                                                                                 \
	"coalesce(x.query,"                                                                            \
	" CASE WHEN q.queryid IS NOT NULL THEN format('query %s, whose text is not kept', q.queryid)"  \
	"      WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN '(statements without a query id)'"  \
	"      ELSE '<insufficient privilege>' END)"

/*
 * An execution s of recorded in words: when, what it took, its parameters and its
 * plan with what is wrong with it, null if there is no s.  A plan of another
 * database, out of the history, or that had to make room in memory meanwhile comes
 * without findings.
 */
#define EXECUTION_DETAILS                                                                          \
	"concat_ws(E'\\n\\n',"                                                                         \
	" format('%s, %s ms, %s rows, %s blocks in buffers and %s read%s%s%s%s%s', s.started_at,"      \
	"        round(s.duration_ms::numeric, 1), s.rows, s.shared_blks_hit, s.shared_blks_read,"     \
	"        CASE WHEN s.temp_blks_written > 0"                                                    \
	"             THEN format(', %s temporary blocks written', s.temp_blks_written) END,"          \
	"        ', CPU ' || round(s.cpu_ms::numeric, 1) || ' ms', ', sqlstate ' || s.sqlstate,"       \
	"        E'\\nwaits in ms: ' || nullif(s.waits, '{}')::text,"                                  \
	"        E'\\nwaited for process ' || nullif(array_to_string(s.blocked_by, ', '), '')),"       \
	" (SELECT 'Parameters: ' ||"                                                                   \
	"         string_agg(format('$%s = %s', p.n, coalesce(quote_literal(p.v), 'NULL')), ', '"      \
	"                    ORDER BY p.n)"                                                            \
	"    FROM unnest(s.parameters) WITH ORDINALITY AS p(v, n)),"                                   \
	" CASE WHEN s.plan IS NULL THEN NULL"                                                          \
	"      WHEN s.in_ring AND s.database_name = current_database()"                                \
	"           AND dbperf.plan_as_json(s.plan) IS NOT NULL"                                       \
	"           AND EXISTS (SELECT FROM dbperf.slow_queries(s.id, s.id))"                          \
	"      THEN dbperf.explain_slow_query(s.id)"                                                   \
	"      ELSE s.plan END)"

#endif /* DBPERF_RECORDED_H */
