/*
 * release.h - what differs between Dovecot 2.3.19 and the releases of 2.4.
 * Everything that compares versions is here, in agent_settings.c and in the
 * one table of passdb.c.  Include it first: lib.h wants to define bool.
 */
#ifndef DOVECOT_PLUGIN_RELEASE_H
#define DOVECOT_PLUGIN_RELEASE_H

#include <lib.h>

#include <dsasl-client-private.h>

/* Settings are looked up by an event, and belong to a settings module. */
#define HAVE_SETTINGS_BY_EVENT DOVECOT_PREREQ(2, 4, 0)
/* A driver sets the passdb's fields; before, Dovecot did around the lookup. */
#define PASSDB_SETS_FIELDS DOVECOT_PREREQ(2, 4, 0)
/* preinit() has one parameter more. */
#define HAVE_PASSDB_PARAMETERS DOVECOT_PREREQ(2, 4, 3)

#if DOVECOT_PREREQ(2, 4, 0)
#define MECHANISM_FLAGS		  DSASL_MECH_SEC_NO_PASSWORD
#define REQUEST_PROTOCOL(request) ((request)->fields.protocol)
#else
#define MECHANISM_FLAGS		  0
#define REQUEST_PROTOCOL(request) ((request)->fields.service)
#endif

#if DOVECOT_PREREQ(2, 4, 2)
typedef enum dsasl_client_result mechanism_result;
#define MECHANISM_OK	   DSASL_CLIENT_RESULT_OK
#define MECHANISM_REFUSED  DSASL_CLIENT_RESULT_AUTH_FAILED
#define MECHANISM_PROTOCOL DSASL_CLIENT_RESULT_ERR_PROTOCOL
#define MECHANISM_INTERNAL DSASL_CLIENT_RESULT_ERR_INTERNAL
#else
typedef int mechanism_result;
#define MECHANISM_OK	   0
#define MECHANISM_REFUSED  (-1)
#define MECHANISM_PROTOCOL (-1)
#define MECHANISM_INTERNAL (-1)
#endif

/*
 * Before 2.4.2, lib-smtp sends a null pointer in place of a client's second
 * response: the submission process would crash.
 */
#define RELAY_CAN_ANSWER DOVECOT_PREREQ(2, 4, 2)

/* Where the client connects to, if Dovecot tells the mechanism. */
static inline const char *
mechanism_host(const struct dsasl_client *client)
{
#if DOVECOT_PREREQ(2, 4, 2)
	return client->set.host;
#else
	(void)client;
	return NULL;
#endif
}

static inline unsigned
mechanism_port(const struct dsasl_client *client)
{
#if DOVECOT_PREREQ(2, 4, 2)
	return client->set.port;
#else
	(void)client;
	return 0;
#endif
}

#endif
