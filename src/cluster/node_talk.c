/*-------------------------------------------------------------------------
 *
 * node_talk.c
 *		The conversation with one node: its name, a connection, the questions.
 *
 * Nothing here blocks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/ioctl.h>

#include "cluster/node_round.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#define MAX_RECEIVED (4 * 1024 * 1024) /* bytes from one node in a round */

/*
 * Notes a failure; the conversation, if any, is over.
 */
void
dbperf_node_fail(NodeTalk *node, const char *error)
{
	strlcpy(node->error, error, sizeof(node->error));
	node->done = true;
	dbperf_lookup_end(&node->lookup);
	dbperf_talk_close(&node->talk);
}

/* Starts to connect. */
static void
connect_to(NodeTalk *node)
{
	node->options.keywords[node->options.num] = NULL;
	node->options.values[node->options.num] = NULL;
	dbperf_talk_begin(&node->talk, node->options.keywords, node->options.values, false, NULL);
	if (node->talk.stage == TALK_CLOSED)
		dbperf_node_fail(node, node->talk.error);
}

/*
 * Starts with a node.
 */
void
dbperf_node_begin(NodeTalk *node)
{
	if (node->done)
		return;
	if (!dbperf_lookup_needed(&node->options))
		connect_to(node);
	else if (!dbperf_lookup_begin(&node->lookup, &node->options))
		dbperf_node_fail(node,
						 psprintf("the host's name could not be looked up: %s", strerror(errno)));
}

/* Goes on with a look-up.  Returns whether the conversation has begun. */
static bool
look_up(NodeTalk *node)
{
	char error[256];

	if (node->lookup.pid == 0)
		return !node->done;
	if (!dbperf_lookup_advance(&node->lookup))
		return false;
	dbperf_lookup_end(&node->lookup);
	if (dbperf_lookup_take(&node->lookup, &node->options, error, sizeof(error)))
		connect_to(node);
	else
		dbperf_node_fail(node, error);
	return !node->done;
}

/* The next question that can be asked; beyond the last one there is none. */
static int
next_question(NodeTalk *node)
{
	int question = node->question + 1;

	if (question == ASK_USAGE && !node->is_replica)
		question++;
	for (; question >= ASK_FIRST_PART && question < ASK_FIRST_PART + NODE_PARTS; question++)
	{
		int part = question - ASK_FIRST_PART;

		if (node->refusals[part] == NULL)
			break;
		strlcpy(node->problems[part], node->refusals[part], sizeof(node->problems[part]));
	}
	return question;
}

/* Asks the next question, or ends the conversation after the last. */
static void
ask(NodeTalk *node)
{
	char *question;

	node->question = next_question(node);
	if (node->question >= ASK_FIRST_PART + NODE_PARTS)
	{
		node->done = true;
		dbperf_talk_close(&node->talk);
		return;
	}
	if (node->question == ASK_IDENTITY)
		question = dbperf_identity_question(dbperf_node_timeout);
	else if (node->question == ASK_USAGE)
		question = dbperf_usage_question(dbperf_node_timeout);
	else
		question =
			dbperf_part_question((NodePart) (node->question - ASK_FIRST_PART), dbperf_node_timeout);
	dbperf_talk_send(&node->talk, question);
	pfree(question);
}

/*
 * The connection stands.  Nothing is said over it if it came about with what is
 * the server's own and not the role's.
 */
static void
connected(NodeTalk *node)
{
	const char *encoding = PQparameterStatus(node->talk.conn, "server_encoding");

	if (node->options.password_required && !PQconnectionUsedPassword(node->talk.conn))
	{
		dbperf_node_fail(node,
						 "the node does not ask for a password, and the role that added it is no "
						 "superuser");
		return;
	}
	strlcpy(node->slot->facts.address, PQhostaddr(node->talk.conn), NODE_ADDRESS_LEN);
	node->answers.encoding = encoding != NULL ? pg_valid_server_encoding(encoding) : -1;
	ask(node);
}

/* Takes an answer. */
static void
take_answer(NodeTalk *node)
{
	PGresult  **keep = node->question == ASK_IDENTITY ? &node->identity : &node->usage;
	const char *error = node->talk.error;
	int			part = node->question - ASK_FIRST_PART;

	if (part >= 0)
	{
		if (error[0] == '\0')
			node->answers.parts[part] = dbperf_take_part(node->talk.result);
		if (node->answers.parts[part] == NULL)
			strlcpy(node->problems[part], error[0] != '\0' ? error : "the answer cannot be read",
					sizeof(node->problems[part]));
	}
	else if (error[0] == '\0')
	{
		*keep = node->talk.result;
		node->talk.result = NULL;
	}
	if (node->question == ASK_IDENTITY)
		node->heard = GetCurrentTimestamp();
	if (node->question == ASK_IDENTITY &&
		!dbperf_peek_identity(node->identity, &node->is_replica, node->refusals))
	{
		PQclear(node->identity);
		node->identity = NULL;
		dbperf_node_fail(node, error[0] != '\0' ? error : "the answer cannot be read");
		return;
	}
	ask(node);
}

/* Whether the node has sent more than it should; counts what has arrived. */
static bool
sends_too_much(NodeTalk *node)
{
	int waiting = 0;

	if (ioctl(PQsocket(node->talk.conn), FIONREAD, &waiting) == 0)
		node->received += waiting;
	return node->received > MAX_RECEIVED;
}

/*
 * Does what can be done without waiting.
 */
void
dbperf_node_advance(NodeTalk *node)
{
	if (node->done || !look_up(node))
		return;
	if (sends_too_much(node))
	{
		dbperf_node_fail(node, "the node sends more than it was asked for");
		return;
	}
	dbperf_talk_advance(&node->talk);
	if (node->talk.stage == TALK_CLOSED)
		dbperf_node_fail(node, node->talk.error);
	else if (node->talk.stage == TALK_READY && node->question == ASK_NOTHING)
		connected(node);
	else if (node->talk.stage == TALK_READY)
		take_answer(node);
	if (!node->done && node->talk.stage == TALK_CLOSED)
		dbperf_node_fail(node, node->talk.error);
}
