/*
 * submission_plugin.c - the submission relay logs in upstream with XOAUTH2.
 *
 * No Dovecot has a setting for the relay's mechanism, but a connection has
 * one, and the hook comes before it is made.  A relay whose password is not
 * ours is left alone.
 */
#include "mechanism.h"

#include <mail-user.h>
#include <module-dir.h>
#include <smtp-client-private.h>
#include <submission-backend-relay.h>
#include <submission-common.h>

#include "token_source.h"

#pragma GCC visibility push(default)
extern const char *mailtoken_submission_plugin_version;
extern const char mailtoken_submission_plugin_binary_dependency[];
void mailtoken_submission_plugin_init(struct module *module);
void mailtoken_submission_plugin_deinit(void);
#pragma GCC visibility pop

const char *mailtoken_submission_plugin_version = DOVECOT_ABI_VERSION;
/* The symbols that we need are nowhere else. */
const char mailtoken_submission_plugin_binary_dependency[] = "submission";

static submission_client_created_func_t *next_client_created;

/* Empty means no password here: the relay may want no login at all. */
static bool
is_reference(const char *password, const char *user)
{
	struct diag d = DIAG_INIT;
	struct token_ref ref;

	if (password == NULL || *password == '\0')
		return FALSE;
	(void)token_ref_parse(password, strlen(password), user, &ref, &d);
	return !ref.literal;
}

static void
client_created(struct client **clientp)
{
	struct client *client = *clientp;
	struct smtp_client_connection *conn;

	if (next_client_created != NULL)
		next_client_created(clientp);
	if (client->backend_default_relay == NULL ||
	    !is_reference(
		client->set->submission_relay_password, client->user->username))
		return;
	mechanism_read_settings(client->user);
	conn = submission_backend_relay_get_connection(
	    client->backend_default_relay);
	conn->set.sasl_mech = &mechanism_relay;
	/* It is no secret, and says whose token the next login needs. */
	conn->set.remember_password = TRUE;
	if (conn->set.username == NULL || *conn->set.username == '\0')
		conn->set.username =
		    p_strdup(conn->pool, client->user->username);
}

void
mailtoken_submission_plugin_init(struct module *module ATTR_UNUSED)
{
	next_client_created =
	    submission_client_created_hook_set(client_created);
}

void
mailtoken_submission_plugin_deinit(void)
{
	(void)submission_client_created_hook_set(next_client_created);
	mechanism_forget_settings();
}
