#include "mechanism.h"

#include <limits.h>
#include <mail-user.h>
#include <net.h>

#include "agent_settings.h"
#include "token_source.h"
#include "xoauth2.h"

#define REJECT_TIMEOUT_MS 2000

struct mechanism {
	struct dsasl_client client; /* first: Dovecot casts */
	struct xoauth2 exchange;
	struct token token; /* its value is gone once it is sent */
	struct token_ref ref;
	const char *host; /* of the server, if Dovecot told */
	unsigned port;
	bool started;
};

/* Of the process: Dovecot does not say which user a client is for. */
static struct agent_settings agent = AGENT_SETTINGS_DEFAULT;
static pool_t agent_pool;

static struct mechanism *
mechanism_of(struct dsasl_client *client)
{
	return container_of(client, struct mechanism, client);
}

static bool
is_relay(const struct mechanism *m)
{
	return m->client.mech == &mechanism_relay;
}

/* The agent, which may take so long and not longer than the settings say. */
static struct token_agent
agent_within(int timeout_ms)
{
	struct token_agent a;

	if (timeout_ms > agent.timeout_ms)
		timeout_ms = agent.timeout_ms;
	token_agent_init(&a, agent.path, timeout_ms);
	return a;
}

/*
 * Whose mailbox: with a master user, that is the one it logs in for.  A
 * literal token is sent with the name that Dovecot's own mechanism takes.
 */
static const char *
mailbox(const struct mechanism *m)
{
	const char *authzid = m->client.set.authzid;

	if (m->ref.literal || authzid == NULL || *authzid == '\0')
		return m->client.set.authid;
	return authzid;
}

static struct token_query
query(const struct mechanism *m)
{
	bool same = strcmp(mailbox(m), m->ref.account) == 0;

	return (struct token_query){
		.account = m->ref.account,
		.service = is_relay(m) ? "smtp" : "imap",
		.host = m->host,
		.user = same ? NULL : mailbox(m),
	};
}

static int
get_token(struct mechanism *m, struct diag *reterr)
{
	const char *password = m->client.set.password;
	size_t n = password != NULL ? strlen(password) : 0;
	const char *authid = m->client.set.authid;
	struct token_agent a;
	struct token_query q;

	if (authid == NULL || *authid == '\0')
		return diag_set(reterr, DIAG_CONFIG, "the user name is empty");
	if (token_ref_parse(password, n, authid, &m->ref, reterr) < 0)
		return -1;
	if (m->ref.literal)
		return secret_set(&m->token.value, password, n) ?
			   0 :
			   diag_nomem(reterr);
	a = agent_within(INT_MAX);
	q = query(m);
	return a.source.ops->get(&a.source, &q, &m->token, reterr);
}

static int
start(struct mechanism *m, struct diag *reterr)
{
	int rc;

	if (m->host == NULL)
		m->host = mechanism_host(&m->client);
	if (m->port == 0)
		m->port = mechanism_port(&m->client);
	if (get_token(m, reterr) < 0)
		return -1;
	if (strcmp(m->client.mech->name, "OAUTHBEARER") == 0)
		oauthbearer_init(&m->exchange, m->host, m->port);
	else
		xoauth2_init(&m->exchange);
	rc = xoauth2_step(
	    &m->exchange, mailbox(m), &m->token.value, NULL, 0, reterr);
	secret_wipe(&m->token.value);
	m->started = rc == 0;
	return rc < 0 ? diag_wrap(reterr, "user %s", mailbox(m)) : 0;
}

static mechanism_result
mechanism_output(struct dsasl_client *client, const unsigned char **output_r,
    size_t *output_len_r, const char **error_r)
{
	struct mechanism *m = mechanism_of(client);
	struct diag d = DIAG_INIT;

	if (!m->started && start(m, &d) < 0) {
		*error_r = t_strdup_printf("mailtoken: %s", d.text);
		return MECHANISM_INTERNAL;
	}
	*output_len_r = m->exchange.out.len;
	*output_r = m->exchange.out.len > 0 ?
			(const unsigned char *)m->exchange.out.ptr :
			uchar_empty_ptr;
	return MECHANISM_OK;
}

/*
 * Exchange's words for "not now".  They come in place of the challenge too,
 * and the token is not to blame then.
 */
static bool
is_throttled(const char *words)
{
	return strstr(words, "Suggested Backoff Time") != NULL ||
	       strstr(words, "is throttled") != NULL ||
	       strstr(words, "Server Unavailable") != NULL;
}

/* Best effort: the login has failed either way. */
static void
report_refusal(struct mechanism *m)
{
	const char *words = m->exchange.verdict.text;
	struct token_agent a = agent_within(REJECT_TIMEOUT_MS);
	struct diag unheard = DIAG_INIT;
	struct token_query q;

	if (m->ref.literal || is_throttled(words))
		return;
	q = query(m);
	(void)a.source.ops->reject(&a.source, &q, &m->token, words, &unheard);
}

static mechanism_result
mechanism_input(struct dsasl_client *client, const unsigned char *input,
    size_t input_len, const char **error_r)
{
	struct mechanism *m = mechanism_of(client);
	struct diag d = DIAG_INIT;
	const char *what;

	if (!m->started) /* the mechanism is client-first: a greeting */
		return MECHANISM_OK;
	if (xoauth2_step(&m->exchange, NULL, NULL, (const char *)input,
		input_len, &d) < 0) {
		*error_r = t_strdup_printf("mailtoken: %s", d.text);
		return MECHANISM_PROTOCOL;
	}
	what = "the server wants more than the token";
	if (m->exchange.state == XOAUTH2_REFUSED) {
		report_refusal(m);
		what = t_strdup_printf("server refused the token for %s: %s",
		    m->ref.literal ? mailbox(m) : m->ref.account,
		    m->exchange.verdict.text);
	}
	if (is_relay(m) && !RELAY_CAN_ANSWER) {
		*error_r = t_strdup_printf("mailtoken: %s", what);
		return MECHANISM_REFUSED;
	}
	/* The answer to the challenge makes the server say no by itself. */
	if (m->exchange.state == XOAUTH2_REFUSED)
		i_error("mailtoken: %s", what);
	return MECHANISM_OK;
}

static int
mechanism_set_parameter(struct dsasl_client *client, const char *key,
    const char *value, const char **error_r)
{
	struct mechanism *m = mechanism_of(client);
	in_port_t port = 0;

	if (strcmp(key, "host") == 0) {
		m->host = p_strdup(client->pool, value);
		return 1;
	}
	if (strcmp(key, "port") != 0)
		return 0;
	if (value != NULL && net_str2port(value, &port) < 0) {
		*error_r = t_strdup_printf("Invalid port: %s", value);
		return -1;
	}
	m->port = port;
	return 1;
}

static int
mechanism_get_result(struct dsasl_client *client, const char *key,
    const char **value_r, const char **error_r ATTR_UNUSED)
{
	struct mechanism *m = mechanism_of(client);

	if (strcmp(key, "status") != 0 || !m->started ||
	    m->exchange.state != XOAUTH2_REFUSED)
		return 0;
	*value_r = m->exchange.verdict.text;
	return 1;
}

static void
mechanism_free(struct dsasl_client *client)
{
	struct mechanism *m = mechanism_of(client);

	if (m->started)
		xoauth2_wipe(&m->exchange);
	token_wipe(&m->token);
}

#define MECHANISM(name_)                                                    \
	{                                                                   \
		.name = (name_), .struct_size = sizeof(struct mechanism),   \
		.flags = MECHANISM_FLAGS, .input = mechanism_input,         \
		.output = mechanism_output,                                 \
		.set_parameter = mechanism_set_parameter,                   \
		.get_result = mechanism_get_result, .free = mechanism_free, \
	}

static const struct dsasl_client_mech mechanism_xoauth2 = MECHANISM("XOAUTH2");
static const struct dsasl_client_mech mechanism_oauthbearer =
    MECHANISM("OAUTHBEARER");
const struct dsasl_client_mech mechanism_relay = MECHANISM("XOAUTH2");

void
mechanisms_register(void)
{
	dsasl_clients_init();
	dsasl_client_mech_register(&mechanism_xoauth2);
	dsasl_client_mech_register(&mechanism_oauthbearer);
}

void
mechanisms_restore(void)
{
	dsasl_client_mech_register(&dsasl_client_mech_xoauth2);
	dsasl_client_mech_register(&dsasl_client_mech_oauthbearer);
	dsasl_clients_deinit();
}

void
mechanism_read_settings(struct mail_user *user)
{
	pool_t pool = pool_alloconly_create("mailtoken settings", 256);
	struct agent_settings set;
	const char *error;
	int rc;

#if HAVE_SETTINGS_BY_EVENT
	rc = agent_settings_get(user->event, pool, &set, &error);
#else
	rc = agent_settings_parse(
	    mail_user_plugin_getenv(user, "mailtoken_socket"),
	    mail_user_plugin_getenv(user, "mailtoken_timeout"), pool, &set,
	    &error);
#endif
	if (rc < 0) {
		e_error(user->event, "%s", error);
		pool_unref(&pool);
		return;
	}
	mechanism_forget_settings();
	agent = set;
	agent_pool = pool;
}

void
mechanism_forget_settings(void)
{
	agent = (struct agent_settings)AGENT_SETTINGS_DEFAULT;
	if (agent_pool != NULL)
		pool_unref(&agent_pool);
}
