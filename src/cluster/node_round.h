/*-------------------------------------------------------------------------
 *
 * node_round.h
 *		What the files share that ask the nodes, in the poller.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_NODE_ROUND_H
#define DBPERF_NODE_ROUND_H

#include "cluster/cluster_int.h"
#include "core/talk.h"

DBPERF_PRIVATE_BEGIN

/* The questions, in this order; the parts follow. */
typedef enum Question
{
	ASK_NOTHING, /* not connected yet */
	ASK_IDENTITY,
	ASK_USAGE,
	ASK_FIRST_PART
} Question;

/* One node in this round. */
typedef struct NodeTalk
{
	NodeRow		row;
	NodeOptions options;
	NodeSlot   *slot; /* becomes what is kept */
	bool		done;
	char		error[256]; /* why it did not answer, in its encoding; "" = it did */

	NodeLookup lookup; /* pid 0 = none */
	DbperfTalk talk;
	int		   question;
	int64	   received;

	PGresult   *identity;
	TimestampTz heard; /* when that arrived */
	PGresult   *usage;
	bool		is_replica;			  /* of our system */
	const char *refusals[NODE_PARTS]; /* why a part is not asked for */
	NodeAnswers answers;
	char		problems[NODE_PARTS][128]; /* in its encoding */
} NodeTalk;

/* ---- node_talk.c ---- */
extern void dbperf_node_fail(NodeTalk *node, const char *error);
extern void dbperf_node_begin(NodeTalk *node);
extern void dbperf_node_advance(NodeTalk *node);

DBPERF_PRIVATE_END

#endif /* DBPERF_NODE_ROUND_H */
