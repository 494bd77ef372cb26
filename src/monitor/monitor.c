/*-------------------------------------------------------------------------
 *
 * monitor.c
 *		Settings of the monitor, and the start of its parts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/monitor.h"
#include "monitor/track.h"
#include "utils/guc.h"

#define MAX_RING_ENTRIES (1 << 20)

int	   dbperf_slow_query_min_duration = 100;
int	   dbperf_track = TRACK_TOP;
int	   dbperf_plan_capture = PLAN_CAPTURE_ADAPTIVE;
int	   dbperf_redact = REDACT_OFF;
int	   dbperf_max_query_length = 16 * 1024;
int	   dbperf_max_parameter_length = 1024;
int	   dbperf_max_plan_length = 64 * 1024;
int	   dbperf_slow_query_ring_size = 8 * 1024;
int	   dbperf_slow_query_ring_entries = 2048;
int	   dbperf_slow_query_max_rate = 50;
int	   dbperf_max_queries = 5000;
int	   dbperf_latency_window = 300;
double dbperf_instrument_cost = 10000;
int	   dbperf_wait_sampling_interval = 10;
bool   dbperf_log_slow_queries = false;
int	   dbperf_slow_query_history_retention = 0;
int	   dbperf_slow_query_history_size = 1024;

static const struct config_enum_entry track_options[] = {{"none", TRACK_NONE, false},
														 {"top", TRACK_TOP, false},
														 {"all", TRACK_ALL, false},
														 {NULL, 0, false}};

static const struct config_enum_entry plan_capture_options[] = {
	{"off", PLAN_CAPTURE_OFF, false},			{"plan", PLAN_CAPTURE_PLAN, false},
	{"rows", PLAN_CAPTURE_ROWS, false},			{"timing", PLAN_CAPTURE_TIMING, false},
	{"adaptive", PLAN_CAPTURE_ADAPTIVE, false}, {NULL, 0, false}};

static const struct config_enum_entry redact_options[] = {{"off", REDACT_OFF, false},
														  {"literals", REDACT_LITERALS, false},
														  {"parameters", REDACT_PARAMETERS, false},
														  {"all", REDACT_ALL, false},
														  {NULL, 0, false}};

static void
assign_min_duration(int newval, void *extra)
{
	dbperf_min_duration_ns = newval < 0 ? PG_INT64_MAX : newval * INT64CONST(1000000);
}

static void
assign_track(int newval, void *extra)
{
	dbperf_track_follow(newval);
}

static void
assign_plan_capture(int newval, void *extra)
{
	dbperf_plan_capture = newval;
	dbperf_track_ask();
}

static void
assign_instrument_cost(double newval, void *extra)
{
	dbperf_instrument_cost = newval;
	dbperf_track_ask();
}

/*
 * A record can take a quarter of the ring, and must hold at least a query.
 */
static bool
check_ring_size(int *newval, void **extra, GucSource source)
{
	if (*newval >= 128)
		return true;
	GUC_check_errdetail(
		"The ring must have at least 128 kB: one record takes up to a quarter of it.");
	return false;
}

static bool
check_window(int *newval, void **extra, GucSource source)
{
	if (*newval >= 1)
		return true;
	GUC_check_errdetail("A window lasts at least one second.");
	return false;
}

/*
 * What is recorded, and how much of it.
 */
static void
define_recording_settings(void)
{
	DefineCustomIntVariable("dbperf.slow_query_min_duration",
							"Records statements that take at least this long.",
							"The time of execution, or the time before it, counts. "
							"-1 records nothing, 0 everything.",
							&dbperf_slow_query_min_duration, 100, -1, INT_MAX, PGC_SUSET,
							GUC_UNIT_MS, NULL, assign_min_duration, NULL);
	DefineCustomEnumVariable("dbperf.track", "Which statements are watched.",
							 "top: those that clients send; all: also those in functions.",
							 &dbperf_track, TRACK_TOP, track_options, PGC_SUSET, 0, NULL,
							 assign_track, NULL);
	DefineCustomEnumVariable("dbperf.plan_capture",
							 "How the plans of slow statements are recorded.",
							 "adaptive counts rows, and time where it is cheap, in plans that "
							 "are expensive or were slow lately.",
							 &dbperf_plan_capture, PLAN_CAPTURE_ADAPTIVE, plan_capture_options,
							 PGC_SUSET, 0, NULL, assign_plan_capture, NULL);
	DefineCustomEnumVariable(
		"dbperf.redact", "Leaves constants or values of parameters out of what is recorded.", NULL,
		&dbperf_redact, REDACT_OFF, redact_options, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.max_query_length", "Longer query texts are cut.", NULL,
							&dbperf_max_query_length, 16 * 1024, 64, 1024 * 1024, PGC_SUSET,
							GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.max_parameter_length", "Longer values of parameters are cut.",
							NULL, &dbperf_max_parameter_length, 1024, 16, 1024 * 1024, PGC_SUSET,
							GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.max_plan_length", "Longer plans are cut.", NULL,
							&dbperf_max_plan_length, 64 * 1024, 256, 4 * 1024 * 1024, PGC_SUSET,
							GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.slow_query_max_rate",
							"Each session records at most this many statements per second.",
							"0 means no limit. What is left out is counted.",
							&dbperf_slow_query_max_rate, 50, 0, INT_MAX, PGC_SUSET, 0, NULL, NULL,
							NULL);
	DefineCustomRealVariable(
		"dbperf.instrument_cost",
		"Plans of at least this cost count rows, and are shown while they run.",
		"For dbperf.plan_capture = adaptive.", &dbperf_instrument_cost, 10000, 0, DBL_MAX,
		PGC_SUSET, 0, NULL, assign_instrument_cost, NULL);
	DefineCustomBoolVariable("dbperf.log_slow_queries",
							 "Writes a line to the server's log for each recorded statement.", NULL,
							 &dbperf_log_slow_queries, false, PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * How much shared memory is used.  Such settings can only be defined while the
 * server starts.
 */
static void
define_memory_settings(void)
{
	DefineCustomIntVariable("dbperf.slow_query_ring_size",
							"Shared memory for the texts of slow statements.", NULL,
							&dbperf_slow_query_ring_size, 8 * 1024, 0, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB, check_ring_size, NULL, NULL);
	DefineCustomIntVariable("dbperf.slow_query_ring_entries", "How many slow statements are kept.",
							NULL, &dbperf_slow_query_ring_entries, 2048, 16, MAX_RING_ENTRIES,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"dbperf.max_queries", "How many queries have a latency histogram.",
		"Each plan of a query takes one, which has about 8 kB of shared memory.",
		&dbperf_max_queries, 5000, 100, 1000000, PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

/*
 * What the workers do.
 */
static void
define_worker_settings(void)
{
	DefineCustomIntVariable("dbperf.latency_window", "Length of the window of current latencies.",
							NULL, &dbperf_latency_window, 300, 0, 86400, PGC_SIGHUP, GUC_UNIT_S,
							check_window, NULL, NULL);
	DefineCustomIntVariable("dbperf.wait_sampling_interval",
							"How often running statements are looked at for what they wait for.",
							"0 turns it off.", &dbperf_wait_sampling_interval, 10, 0, 10000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.slow_query_history_retention",
							"How long slow statements are kept in dbperf.slow_query_history.",
							"0 keeps none.", &dbperf_slow_query_history_retention, 0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.slow_query_history_size",
							"How large dbperf.slow_query_history may become.",
							"The oldest rows are deleted first.", &dbperf_slow_query_history_size,
							1024, 1, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
}

/*
 * Defines the settings and, while the library is preloaded, registers the
 * monitor's shared memory, workers and hooks.
 */
void
dbperf_monitor_init(void)
{
	define_recording_settings();
	define_worker_settings();
	dbperf_monitor_metrics_init(process_shared_preload_libraries_in_progress);

	if (!process_shared_preload_libraries_in_progress)
		return;
	define_memory_settings();
	dbperf_latency_init();
	dbperf_record_init();
	dbperf_backend_slot_init();
	dbperf_waits_init();
	dbperf_history_init();
	dbperf_track_init();
	dbperf_errors_init();
}
