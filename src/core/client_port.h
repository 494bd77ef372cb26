/*-------------------------------------------------------------------------
 *
 * client_port.h
 *		The server's description of a client connection.
 *
 * Its header wants those of GSSAPI and OpenSSL if the server was built with
 * them, which the packages that extensions are built with do not bring.  The
 * struct is made so that all other fields are where they are without them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CLIENT_PORT_H
#define DBPERF_CLIENT_PORT_H

#undef ENABLE_GSS
#undef USE_OPENSSL

#include "libpq/auth.h"
#include "libpq/libpq-be.h"

#endif /* DBPERF_CLIENT_PORT_H */
