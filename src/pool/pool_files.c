/*-------------------------------------------------------------------------
 *
 * pool_files.c
 *		Where the files of the connection pool are, and how they are written.
 *
 * Everything is in one directory of the data directory whose name keeps it out
 * of base backups, and that only the server's own user can read: the secrets
 * of roles are in it.  Files are replaced as a whole, so that a PgBouncer
 * that reads one never sees half of it.
 *
 * Sockets are there as well, unless the path of the data directory is too long
 * for a socket's address.  Then they are in a directory of their own in /tmp,
 * which is made with a name that nobody can have taken before, and is found
 * again by a file that has its path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_utils.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "pool/pool_config.h"
#include "storage/fd.h"

#define DIRECTORY PG_TEMP_FILE_PREFIX "_dbperf_pool"
#define SOCKET_PLACE "sockets"				 /* file that says where the sockets are */
#define LONGEST_SOCKET "/s16/.s.PGSQL.65535" /* behind the directory's path */
#define ELSEWHERE "/tmp/dbperf_pool_XXXXXX"	 /* for mkdtemp() */
#define SUFFIX_NEW ".new"

#define DIRECTORY_MODE 0700
#define FILE_MODE 0600

/* ---- paths ---- */

/*
 * The directory of all files, absolute, in static memory.
 */
const char *
dbperf_pool_directory(void)
{
	static char path[MAXPGPATH] = "";

	if (path[0] == '\0')
		snprintf(path, sizeof(path), "%s/%s", DataDir, DIRECTORY);
	return path;
}

/*
 * The configuration of a process, palloc'd, like all that follow.
 */
const char *
dbperf_pool_ini_path(int process)
{
	return psprintf("%s/pool%d.ini", dbperf_pool_directory(), process + 1);
}

const char *
dbperf_pool_log_path(int process)
{
	return psprintf("%s/pool%d.log", dbperf_pool_directory(), process + 1);
}

const char *
dbperf_pool_auth_path(void)
{
	return psprintf("%s/users.txt", dbperf_pool_directory());
}

const char *
dbperf_pool_hba_path(void)
{
	return psprintf("%s/hba.conf", dbperf_pool_directory());
}

/*
 * Where the sockets of a process are; the same in all processes of the server
 * once the files have been written.
 */
const char *
dbperf_pool_socket_directory(int process)
{
	char *base = dbperf_pool_socket_base();

	return psprintf("%s/s%d", base[0] != '\0' ? base : dbperf_pool_directory(), process + 1);
}

/* ---- directories ---- */

/* Whether it is a directory of this user that nobody else can enter. */
static bool
is_private_directory(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
		   (st.st_mode & 07777) == DIRECTORY_MODE;
}

/* Makes a directory, or takes one that is there, for nobody else. */
static void
make_private_directory(const char *path)
{
	if (mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not create directory \"%s\": %m", path)));
	if (is_private_directory(path))
		return;
	if (chmod(path, DIRECTORY_MODE) < 0 || !is_private_directory(path))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("\"%s\" is not a directory of the server's user alone", path),
						errhint("Remove it; it is made again.")));
}

/*
 * The text of a file, palloc'd, NULL if there is none that is as private as it
 * should be.
 */
static char *
read_file(const char *path)
{
	struct stat st;
	char	   *text;
	int			fd;
	ssize_t		len;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 07777) != FILE_MODE ||
		st.st_size >= (off_t) MaxAllocSize)
		return NULL;
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return NULL;
	text = palloc(st.st_size + 1);
	len = read(fd, text, st.st_size);
	CloseTransientFile(fd);
	if (len != st.st_size)
		return NULL;
	text[len] = '\0';
	return text;
}

/*
 * The directory outside of the data directory that has the sockets: the one of
 * last time if it is still there.
 */
static char *
socket_base_elsewhere(void)
{
	char *place = psprintf("%s/%s", dbperf_pool_directory(), SOCKET_PLACE);
	char *base = read_file(place);

	if (base != NULL && is_private_directory(base))
		return base;
	base = pstrdup(ELSEWHERE);
	if (mkdtemp(base) == NULL)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not create a directory like \"%s\": %m", ELSEWHERE)));
	(void) dbperf_pool_write_file(place, base);
	return base;
}

/*
 * Makes the directories of all processes.
 */
void
dbperf_pool_make_directories(const PoolLaunch *launch)
{
	make_private_directory(dbperf_pool_directory());
	if (strlen(dbperf_pool_directory()) + strlen(LONGEST_SOCKET) < UNIXSOCK_PATH_BUFLEN)
		dbperf_pool_set_socket_base("");
	else
		dbperf_pool_set_socket_base(socket_base_elsewhere());
	for (int i = 0; i < launch->processes; i++)
		make_private_directory(dbperf_pool_socket_directory(i));
}

/*
 * Removes all files and directories: the pool is off.  Raises no error.
 */
void
dbperf_pool_remove_files(void)
{
	char *base = dbperf_pool_socket_base();

	dbperf_pool_forget_entries();
	dbperf_pool_evict_nobody();
	if (base[0] != '\0' && is_private_directory(base))
		(void) rmtree(base, true);
	dbperf_pool_set_socket_base("");
	if (is_private_directory(dbperf_pool_directory()))
		(void) rmtree(dbperf_pool_directory(), true);
}

/* ---- files ---- */

/* Writes the bytes to a new file, which is removed again if that fails. */
static void
write_new_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int	   fd;

	if (unlink(path) < 0 && errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", path)));
	fd = OpenTransientFilePerm(path, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY, FILE_MODE);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not create file \"%s\": %m", path)));
	errno = 0;
	if (write(fd, text, len) != (ssize_t) len || pg_fsync(fd) != 0)
	{
		int saved = errno != 0 ? errno : ENOSPC; /* a short write sets none */

		CloseTransientFile(fd);
		(void) unlink(path);
		errno = saved;
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path)));
	}
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not close file \"%s\": %m", path)));
}

/*
 * Gives a file this text, unless it has it already.  Returns whether it was
 * written.
 */
bool
dbperf_pool_write_file(const char *path, const char *text)
{
	char *present = read_file(path);
	char *new_path;
	bool  same = present != NULL && strcmp(present, text) == 0;

	if (present != NULL)
		pfree(present);
	if (same)
		return false;
	new_path = psprintf("%s%s", path, SUFFIX_NEW);
	write_new_file(new_path, text);
	(void) durable_rename(new_path, path, ERROR);
	pfree(new_path);
	return true;
}
