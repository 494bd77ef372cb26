/*-------------------------------------------------------------------------
 *
 * talk.h
 *		Conversations over libpq that never block.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_TALK_H
#define DBPERF_TALK_H

#include "core/compat.h"
#include "libpq-fe.h"
#include "storage/latch.h"

DBPERF_PRIVATE_BEGIN

typedef enum DbperfTalkStage
{
	TALK_CLOSED, /* failed or never opened; error says why, "" = never */
	TALK_CONNECTING,
	TALK_READY, /* nothing asked, or the answer is there */
	TALK_ASKED
} DbperfTalkStage;

/*
 * One conversation.  Whoever opens it has to close it, after an error, too:
 * libpq's memory and its socket belong to no memory context.
 */
typedef struct DbperfTalk
{
	DbperfTalkStage			  stage;
	PGconn					 *conn;
	PostgresPollingStatusType polling;	   /* while connecting */
	const char				 *command;	   /* to be sent when connected, NULL = none */
	PGresult				 *result;	   /* the answer, NULL = none yet */
	char					  error[256];  /* of the last command or the connection */
	char					  sqlstate[6]; /* of that, "" = it has none */
} DbperfTalk;

extern void dbperf_talk_begin(DbperfTalk *talk, const char *const *keywords,
							  const char *const *values, bool expand_dbname, const char *command);
extern void dbperf_talk_send(DbperfTalk *talk, const char *command);
extern void dbperf_talk_advance(DbperfTalk *talk);
extern bool dbperf_talk_busy(const DbperfTalk *talk);
extern void dbperf_talk_add_events(const DbperfTalk *talk, WaitEventSet *set);
extern void dbperf_talk_fail(DbperfTalk *talk, const char *message);
extern void dbperf_talk_close(DbperfTalk *talk);

DBPERF_PRIVATE_END

#endif /* DBPERF_TALK_H */
