/*-------------------------------------------------------------------------
 *
 * report_chart.h
 *		What the parts of a chart share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REPORT_CHART_H
#define DBPERF_REPORT_CHART_H

#include "report/report_int.h"

DBPERF_PRIVATE_BEGIN

/*
 * A chart divides its period into so many steps of equal length, as
 * metrics_between() does; of each series it shows the last value of each.
 */
#define CHART_STEPS 300

/* So many series can be told apart; it is also the number of colours. */
#define CHART_SERIES 10

#define CHART_TICKS 8

typedef struct ChartSeries
{
	const char *name;
	int			colour; /* from 1 on */
	bool		before; /* of the period before: a line with dashes, never stacked */
	double		sum;	/* of its values, to choose among many */
	double		y[CHART_STEPS];
} ChartSeries;

typedef struct ChartData
{
	const ReportChart *chart;
	ReportPeriod	   period;
	TimestampTz		   at[CHART_STEPS]; /* of the last value in a step; 0 = there is none */
	int				   gap;				/* from so many steps on there is data missing */
	int				   hidden;			/* series that are not shown */
	int				   num_series;
	ChartSeries		  *series[2 * CHART_SERIES + 1];
} ChartData;

#define CHART_VALUE_TICKS 16

/* The scale of values: from 0 to top, or from bottom to top if it is logarithmic. */
typedef struct ChartScale
{
	double		 bottom; /* 0 = it is not logarithmic */
	double		 top;
	ReportFormat format;  /* of ticks if it is logarithmic */
	double		 divisor; /* from a value to the unit, if it is not */
	const char	*unit;	  /* HTML */
	int			 decimals;
	int			 num_ticks;
	double		 ticks[CHART_VALUE_TICKS];
} ChartScale;

typedef struct ChartTick
{
	double place; /* 0..1 */
	char   label[16];
} ChartTick;

/* One of several charts of a section. */
typedef struct SectionChart
{
	ReportChart chart;
	const char *sql;		   /* as for dbperf_report_chart_of() */
	const char *target;		   /* name in dbperf.targets, or NULL */
	double		target_factor; /* from the target's unit to the chart's */
	bool		essential;	   /* if it is not drawn, the others say nothing either */
} SectionChart;

/* What became of a chart. */
typedef enum ChartOutcome
{
	CHART_DRAWN,
	CHART_EMPTY, /* there are no values */
	CHART_ZERO	 /* they are all 0 */
} ChartOutcome;

/* report_chart.c */
extern ChartOutcome dbperf_chart_of_answer(ReportPage *page, const ReportChart *chart,
										   const char *sql, bool draw_zeros);

/* section_charts.c */
extern void dbperf_section_charts(ReportPage *page, const SectionChart *charts, int num_charts,
								  const char *empty_note);

/* report_chart_scale.c */
extern void	  dbperf_chart_scale(ChartScale *scale, ReportFormat unit, double max);
extern void	  dbperf_chart_log_scale(ChartScale *scale, ReportFormat unit, double min, double max);
extern double dbperf_chart_place(const ChartScale *scale, double value);
extern void	  dbperf_chart_tick_label(StringInfo out, const ChartScale *scale, double value);
extern int	  dbperf_chart_time_ticks(const ReportPeriod *period, ChartTick *ticks);

/* report_chart_draw.c */
extern void dbperf_chart_draw(ReportPage *page, const ChartData *data);

DBPERF_PRIVATE_END

#endif /* DBPERF_REPORT_CHART_H */
