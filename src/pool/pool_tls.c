/*-------------------------------------------------------------------------
 *
 * pool_tls.c
 *		Encrypted connections to the pool, with the server's certificate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pool/pool_config.h"
#include "storage/fd.h"
#include "utils/guc.h"

#define KEY_BYTES 16384 /* of the key's file that are looked at */

/* The names of protocols in the server's settings and in PgBouncer's. */
static const char *const protocols[][2] = {
	{"TLSv1", "tlsv1.0"},
	{"TLSv1.1", "tlsv1.1"},
	{"TLSv1.2", "tlsv1.2"},
	{"TLSv1.3", "tlsv1.3"},
};

/* One of the server's settings; "" if it has none of that name. */
static const char *
setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value != NULL ? value : "";
}

/* A path from the server's settings, absolute, palloc'd. */
static char *
setting_path(const char *name)
{
	const char *value = setting(name);

	return is_absolute_path(value) ? pstrdup(value) : psprintf("%s/%s", DataDir, value);
}

/* The number of a protocol in the list, otherwise if there is none. */
static int
protocol_number(const char *value, int otherwise)
{
	for (int i = 0; i < (int) lengthof(protocols); i++)
	{
		if (pg_strcasecmp(protocols[i][0], value) == 0)
			return i;
	}
	return otherwise;
}

/* Whether a private key is encrypted; false if that cannot be seen. */
static bool
key_is_encrypted(const char *path)
{
	char   *bytes = palloc(KEY_BYTES + 1);
	int		fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, bytes, KEY_BYTES);
	CloseTransientFile(fd);
	if (len < 0)
		return false;
	bytes[len] = '\0';
	return strstr(bytes, "ENCRYPTED") != NULL;
}

/*
 * Appends what tells a replaced file from the one before: PgBouncer reads it
 * again when it is told to, which happens if its configuration has changed.
 */
static void
append_stamp(StringInfo text, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		appendStringInfo(text, "; of " INT64_FORMAT ", " INT64_FORMAT " bytes, file %llu\n",
						 (int64) st.st_mtime, (int64) st.st_size, (unsigned long long) st.st_ino);
}

/*
 * Appends the settings of TLS, if it is wanted and the server has it.  What
 * would keep PgBouncer from starting is left out, and said.
 */
void
dbperf_pool_append_tls(StringInfo text, StringInfo errors)
{
	char *key = setting_path("ssl_key_file");
	char *certificate = setting_path("ssl_cert_file");
	int	  first = protocol_number(setting("ssl_min_protocol_version"), 0);
	int	  last = protocol_number(setting("ssl_max_protocol_version"), lengthof(protocols) - 1);

	if (!dbperf_pool_tls || strcmp(setting("ssl"), "on") != 0)
		return;
	if (access(key, R_OK) < 0 || access(certificate, R_OK) < 0)
	{
		dbperf_pool_complain(errors,
							 "the pool offers no TLS: the certificate \"%s\" or its key "
							 "cannot be read",
							 certificate);
		return;
	}
	if (key_is_encrypted(key))
	{
		dbperf_pool_complain(errors, "the pool offers no TLS: PgBouncer cannot use a key with a "
									 "passphrase");
		return;
	}
	if (!dbperf_pool_plain_text(key) || !dbperf_pool_plain_text(certificate) ||
		!dbperf_pool_plain_text(setting("ssl_ciphers")))
		return;
	appendStringInfo(text, "client_tls_sslmode = allow\n");
	appendStringInfo(text, "client_tls_key_file = %s\n", key);
	append_stamp(text, key);
	appendStringInfo(text, "client_tls_cert_file = %s\n", certificate);
	append_stamp(text, certificate);
	/* it asks nobody for a certificate, but reads a list of authorities, and fails without one */
	appendStringInfo(text, "client_tls_ca_file = %s\n", certificate);
	appendStringInfo(text, "client_tls_ciphers = %s\n", setting("ssl_ciphers"));
	appendStringInfo(text, "client_tls_protocols = ");
	for (int i = first; i <= last; i++)
		appendStringInfo(text, "%s%s", i > first ? "," : "", protocols[i][1]);
	appendStringInfoChar(text, '\n');
}
