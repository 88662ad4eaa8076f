/*
 * passdb.c - the passdb driver "mailtoken", for login proxies: a client that
 * has logged in with its own password is logged in upstream with the agent's
 * token.
 *
 * It sets the field "pass".  A field "pass" that is there already is read as
 * token_source.h says: "mailtoken:NAME" for another account, anything else is
 * a token.  The account is named like the user that the proxy logs in as.
 * And it sets "ssl" or "starttls" if neither is there: a token that crosses
 * the network in clear belongs to whoever listens.
 *
 * It never decides on a password: a client that no passdb before it has
 * authenticated is refused.  It never waits: Dovecot's loop drives it.
 *
 *   connect --busy--> retry
 *      |<---------------'
 *      |<--cut off, once--.
 *      '--sent------------> answer --whole--> finished
 *
 * The deadline runs all along.
 */
#include "agent_settings.h"

#include <auth-common.h>
#include <ioloop.h>
#include <llist.h>
#include <passdb.h>

#include "exchange.h"

#define RETRY_MS 10

#pragma GCC visibility push(default)
extern const char *authdb_mailtoken_version;
void authdb_mailtoken_init(void);
void authdb_mailtoken_deinit(void);
#pragma GCC visibility pop

struct lookup;

struct mailtoken_passdb {
	struct passdb_module module;
	struct agent_settings agent;
	struct lookup *lookups; /* that wait for the agent */
};

struct lookup {
	struct lookup *prev, *next;
	struct mailtoken_passdb *passdb;
	struct auth_request *request;
	/* One of them, by what was called. */
	verify_plain_callback_t *verify_callback;
	lookup_credentials_callback_t *credentials_callback;

	struct token_ref ref;
	struct exchange exchange;
	struct buf answer;
	struct io *io;
	struct timeout *to_retry, *to_expire;
};

const char *authdb_mailtoken_version = DOVECOT_ABI_VERSION;

static const char *
field(const struct lookup *l, const char *name)
{
	const char *value =
	    auth_fields_find(l->request->fields.extra_fields, name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* The user that the proxy logs in as. */
static const char *
upstream_user(const struct lookup *l)
{
	const char *user = field(l, "destuser");

	return user != NULL ? user : l->request->fields.user;
}

static struct token_query
query(const struct lookup *l)
{
	static const char *const services[][2] = {
		{ "imap", "imap" },
		{ "pop3", "pop" },
		{ "submission", "smtp" },
		{ "smtp", "smtp" },
	};
	const char *protocol = REQUEST_PROTOCOL(l->request);
	const char *user = upstream_user(l);
	struct token_query q = {
		.account = l->ref.account,
		.host = field(l, "host"),
		.user = strcmp(user, l->ref.account) == 0 ? NULL : user,
	};

	for (size_t i = 0; i < N_ELEMENTS(services); i++)
		if (protocol != NULL && strcmp(services[i][0], protocol) == 0)
			q.service = services[i][1];
	return q;
}

/* Hands the request back; the lookup, which is in its pool, may be gone. */
static void
lookup_finish(struct lookup *l, enum passdb_result result)
{
	struct auth_request *request = l->request;

	DLLIST_REMOVE(&l->passdb->lookups, l);
	timeout_remove(&l->to_retry);
	timeout_remove(&l->to_expire);
	io_remove(&l->io);
	exchange_close(&l->exchange);
	buf_wipe(&l->answer);

	if (l->verify_callback != NULL)
		l->verify_callback(result, request);
	else
		passdb_handle_credentials(
		    result, NULL, NULL, l->credentials_callback, request);
	auth_request_unref(&request);
}

static void
lookup_fail(struct lookup *l, const struct diag *d)
{
	e_error(authdb_event(l->request), "mailtoken: %s", d->text);
	lookup_finish(l, PASSDB_RESULT_INTERNAL_FAILURE);
}

static void
lookup_fail_account(struct lookup *l, struct diag *d)
{
	struct token_query q = query(l);

	(void)token_error(&q, d);
	lookup_fail(l, d);
}

static void
lookup_expire(struct lookup *l)
{
	struct diag d = DIAG_INIT;

	(void)exchange_expired(&l->exchange, &d);
	lookup_fail_account(l, &d);
}

static void
set_fields(struct lookup *l, const struct token *token)
{
	const char *protocol = REQUEST_PROTOCOL(l->request);
	bool tls_first = protocol != NULL && (strcmp(protocol, "imap") == 0 ||
						 strcmp(protocol, "pop3") == 0);

	auth_request_set_field(l->request, "pass", token->value.ptr, NULL);
	if (!auth_fields_exists(l->request->fields.extra_fields, "ssl") &&
	    !auth_fields_exists(l->request->fields.extra_fields, "starttls"))
		auth_request_set_field(
		    l->request, tls_first ? "ssl" : "starttls", "yes", NULL);
}

static void lookup_connect(struct lookup *l);

static void
lookup_input(struct lookup *l)
{
	auto_token struct token token = TOKEN_INIT;
	struct token_query q = query(l);
	struct diag d = DIAG_INIT;
	struct wire_msg m;
	ssize_t n = exchange_poll(&l->exchange, &l->answer, &m, &d);

	if (n == 0)
		return;
	io_remove(&l->io); /* before its descriptor is another one's */
	if (n < 0 && exchange_again(&l->exchange)) {
		lookup_connect(l);
		return;
	}
	if (n < 0 || token_answer_get(&l->answer, &m, &q, &token, &d) < 0) {
		lookup_fail_account(l, &d);
		return;
	}
	set_fields(l, &token);
	lookup_finish(l, PASSDB_RESULT_OK);
}

static void
lookup_connect(struct lookup *l)
{
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	struct token_query q = query(l);
	struct diag d = DIAG_INIT;
	int rc = exchange_connect(&l->exchange, l->passdb->agent.path, &d);

	timeout_remove(&l->to_retry);
	if (rc > 0) {
		l->to_retry = timeout_add_short(RETRY_MS, lookup_connect, l);
		return;
	}
	/* A new socket takes a request at once. */
	if (rc < 0 || token_request_get(&request, &q, &d) < 0 ||
	    exchange_send(&l->exchange, &request, &d) < 0) {
		lookup_fail_account(l, &d);
		return;
	}
	l->io = io_add(l->exchange.fd, IO_READ, lookup_input, l);
}

/* False if the request is not to have a token; then *d says why, if it is. */
static bool
lookup_wanted(struct lookup *l, struct diag *d)
{
	const struct auth_request *request = l->request;
	const char *pass;

	if (!request->fields.skip_password_check) {
		(void)diag_set(d, DIAG_CONFIG,
		    "no passdb before this one has authenticated the user: "
		    "put one with result_success = continue there, and "
		    "skip = unauthenticated here");
		return FALSE;
	}
	/* Somebody looks up fields; nobody logs in. */
	if (l->verify_callback == NULL &&
	    *request->wanted_credentials_scheme == '\0')
		return FALSE;
	pass = field(l, "pass");
	if (token_ref_parse(pass, pass != NULL ? strlen(pass) : 0,
		upstream_user(l), &l->ref, d) < 0)
		return FALSE;
	return !l->ref.literal;
}

static void
lookup_start(struct auth_request *request, verify_plain_callback_t *verify,
    lookup_credentials_callback_t *credentials)
{
	struct mailtoken_passdb *passdb = container_of(
	    request->passdb->passdb, struct mailtoken_passdb, module);
	struct lookup *l = p_new(request->pool, struct lookup, 1);
	struct diag d = DIAG_INIT;
	bool set = TRUE;

	l->passdb = passdb;
	l->request = request;
	l->verify_callback = verify;
	l->credentials_callback = credentials;
	l->exchange = (struct exchange)EXCHANGE_INIT;
	buf_init(&l->answer, WIRE_MAX_BYTES);
	auth_request_ref(request);
	DLLIST_PREPEND(&passdb->lookups, l);

#if PASSDB_SETS_FIELDS
	set = auth_request_set_passdb_fields(request, NULL) == 0;
#endif
	if (!set) {
		lookup_finish(l, PASSDB_RESULT_INTERNAL_FAILURE);
	} else if (!lookup_wanted(l, &d)) {
		if (d.kind != DIAG_OK)
			lookup_fail(l, &d);
		else
			lookup_finish(l, PASSDB_RESULT_OK);
	} else if (exchange_begin(&l->exchange, passdb->agent.timeout_ms, &d) <
		   0) {
		lookup_fail_account(l, &d);
	} else {
		l->to_expire = timeout_add(
		    (unsigned)passdb->agent.timeout_ms, lookup_expire, l);
		lookup_connect(l);
	}
}

static void
passdb_verify_plain(struct auth_request *request,
    const char *password ATTR_UNUSED, verify_plain_callback_t *callback)
{
	lookup_start(request, callback, NULL);
}

static void
passdb_lookup_credentials(
    struct auth_request *request, lookup_credentials_callback_t *callback)
{
	lookup_start(request, NULL, callback);
}

#if HAVE_SETTINGS_BY_EVENT
static int
passdb_new(pool_t pool, struct event *event,
#if HAVE_PASSDB_PARAMETERS
    const struct passdb_parameters *parameters ATTR_UNUSED,
#endif
    struct passdb_module **module_r, const char **error_r)
{
	struct mailtoken_passdb *p = p_new(pool, struct mailtoken_passdb, 1);

	if (agent_settings_get(event, pool, &p->agent, error_r) < 0)
		return -1;
	*module_r = &p->module;
	return 0;
}
#else
static struct passdb_module *
passdb_new(pool_t pool, const char *args)
{
	struct mailtoken_passdb *p = p_new(pool, struct mailtoken_passdb, 1);
	const char *error;

	if (agent_settings_parse_args(args, pool, &p->agent, &error) < 0)
		i_fatal("%s", error);
	return &p->module;
}
#endif

/* Dovecot waits for no answer any more when it ends. */
static void
passdb_end(struct passdb_module *module)
{
	struct mailtoken_passdb *p =
	    container_of(module, struct mailtoken_passdb, module);
	struct diag d = DIAG_INIT;

	(void)diag_set(&d, DIAG_RETRY, "Dovecot is shutting down");
	while (p->lookups != NULL)
		lookup_fail(p->lookups, &d);
}

static struct passdb_module_interface driver = {
	.name = "mailtoken",
	.preinit = passdb_new,
	.deinit = passdb_end,
	.verify_plain = passdb_verify_plain,
	.lookup_credentials = passdb_lookup_credentials,
};

void
authdb_mailtoken_init(void)
{
	passdb_register_module(&driver);
}

void
authdb_mailtoken_deinit(void)
{
	passdb_unregister_module(&driver);
}
