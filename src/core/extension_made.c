/*-------------------------------------------------------------------------
 *
 * extension_made.c
 *		Has a database visited as soon as it has the extension.
 *
 * The launcher cannot know which databases have it, since it is connected to
 * none; so it has sent workers who found nothing to work on.  Any extension
 * counts: its name could not be looked up when the transaction has committed, and
 * a visit is cheap.  CREATE EXTENSION ... CASCADE of another one may make ours,
 * therefore no command is looked at but what is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "core/launcher_int.h"
#include "miscadmin.h"

static object_access_hook_type prev_object_access = NULL;

/* This transaction has made an extension. */
static bool made = false;

/*
 * The transaction has ended.  Nobody knows when a prepared one does.
 */
static void
made_xact(XactEvent event, void *arg)
{
	(void) arg;

	if (!made ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	made = false;
	if (event == XACT_EVENT_COMMIT)
		dbperf_duty_awake(MyDatabaseId);
}

/* Something was made, changed or is to be dropped. */
static void
watch_object(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	static bool registered = false;

	if (prev_object_access != NULL)
		prev_object_access(access, class, object, sub, arg);
	if (access != OAT_POST_CREATE || class != ExtensionRelationId)
		return;
	if (!registered)
		RegisterXactCallback(made_xact, NULL);
	registered = true;
	made = true;
}

/*
 * Installs the hook.  Called once, from the launcher's init function.
 */
void
dbperf_extension_made_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = watch_object;
}
