/*
 * agent_settings.h - where the agent is, and how long it may take.
 *
 * 2.4: the settings mailtoken_socket_path and mailtoken_timeout, which
 * settings_module.c makes known to Dovecot.
 * 2.3: plugin { mailtoken_socket, mailtoken_timeout } in mail processes, and
 * the passdb's args: "socket=PATH timeout=TIME".
 *
 * Without a path: $MAILTOKEN_SOCKET, if Dovecot's import_environment lets it
 * through, and the paths that token_source.h gives.
 */
#ifndef DOVECOT_PLUGIN_AGENT_SETTINGS_H
#define DOVECOT_PLUGIN_AGENT_SETTINGS_H

#include "release.h"

#include "token_source.h"

struct agent_settings {
	const char *path; /* of the socket; NULL: the default paths */
	int timeout_ms;
};

/* What holds if nothing is set. */
#define AGENT_SETTINGS_DEFAULT { NULL, TOKEN_TIMEOUT_MS }

/* Each returns -1 with *error_r and *ret untouched. */
#if HAVE_SETTINGS_BY_EVENT
extern const struct setting_parser_info agent_setting_parser_info;

int agent_settings_get(struct event *event, pool_t pool,
    struct agent_settings *ret, const char **error_r);
#else
/* path and timeout may be NULL: not set. */
int agent_settings_parse(const char *path, const char *timeout, pool_t pool,
    struct agent_settings *ret, const char **error_r);
/* The args of a passdb. */
int agent_settings_parse_args(const char *args, pool_t pool,
    struct agent_settings *ret, const char **error_r);
#endif

#endif
