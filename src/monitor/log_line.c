/*-------------------------------------------------------------------------
 *
 * log_line.c
 *		One line in the server's log for each slow statement.
 *
 * The form is that of log_min_duration_statement, so that pgBadger and other
 * readers of logs know it.  The text is the masked one of the record.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/track.h"

/*
 * The values as log_parameter_max_length shows them: $1 = '...', $2 = NULL.
 */
static char *
params_detail(const Capture *capture)
{
	StringInfoData text;
	const char	  *p = capture->params;

	initStringInfo(&text);
	for (int i = 0; i < capture->nparams; i++)
	{
		int32 len;

		memcpy(&len, p + sizeof(Oid), sizeof(len));
		p += sizeof(Oid) + sizeof(len);
		appendStringInfo(&text, "%s$%d = ", i > 0 ? ", " : "", i + 1);
		if (len < 0)
		{
			appendStringInfoString(&text, "NULL");
			continue;
		}
		appendStringInfoCharMacro(&text, '\'');
		for (int32 j = 0; j < len; j++)
		{
			if (p[j] == '\'')
				appendStringInfoCharMacro(&text, '\'');
			appendStringInfoCharMacro(&text, p[j]);
		}
		appendStringInfoCharMacro(&text, '\'');
		p += len;
	}
	return text.data;
}

/*
 * Writes the line of a statement that was captured.  May raise errors.
 */
void
dbperf_log_line(const Capture *capture)
{
	bool has_params = capture->nparams > 0;

	ereport(LOG, (errmsg("duration: %.3f ms  %s: %.*s", capture->head->duration_ns / 1e6,
						 has_params ? "execute <unnamed>" : "statement", capture->query_len,
						 capture->query),
				  has_params ? errdetail("parameters: %s", params_detail(capture)) : 0,
				  errhidestmt(true), errhidecontext(true)));
}
