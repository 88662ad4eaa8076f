/* mailtoken.c - libmailtoken: what mailtoken.h promises, on core/. */
#include "mailtoken.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "token_source.h"
#include "xoauth2.h"

#define ACCOUNT_MAX (WIRE_ACCOUNT_MAX + 1)
#define EXPORTED    __attribute__((visibility("default")))

/* mailtoken.h promises what we were compiled with. */
#define SAME(a, b)                           \
	_Static_assert((int)(a) == (int)(b), \
	    "the library's results are the kinds of diag.h")
SAME(MAILTOKEN_OK, DIAG_OK);
SAME(MAILTOKEN_RETRY, DIAG_RETRY);
SAME(MAILTOKEN_REAUTH, DIAG_REAUTH);
SAME(MAILTOKEN_CONFIG, DIAG_CONFIG);
SAME(MAILTOKEN_DENIED, DIAG_DENIED);
SAME(MAILTOKEN_PROTO, DIAG_PROTO);
SAME(MAILTOKEN_NOMEM, DIAG_NOMEM);

struct mailtoken {
	struct token_agent agent;
	char *path;
	/* What the token was asked for; a refusal concerns the same. */
	char account[ACCOUNT_MAX];
	char *service, *host, *user;
	struct token token;
	struct xoauth2 response;
	struct diag why;
};

EXPORTED struct mailtoken *
mailtoken_new(const char *socket_path, int timeout_ms)
{
	struct mailtoken *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	if (socket_path != NULL && (m->path = strdup(socket_path)) == NULL) {
		free(m);
		return NULL;
	}
	token_agent_init(
	    &m->agent, m->path, timeout_ms > 0 ? timeout_ms : TOKEN_TIMEOUT_MS);
	xoauth2_init(&m->response);
	return m;
}

static void
forget(struct mailtoken *m)
{
	token_wipe(&m->token);
	xoauth2_wipe(&m->response);
	m->account[0] = '\0';
	free(take_ptr(&m->service));
	free(take_ptr(&m->host));
	free(take_ptr(&m->user));
	m->why = (struct diag)DIAG_INIT;
}

static bool
copy(char **ret, const char *text)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL;
}

/* Of q, which is what mailtoken_reject() will need. */
static bool
remember(struct mailtoken *m, const struct token_query *q)
{
	memcpy(m->account, q->account, strlen(q->account) + 1);
	return copy(&m->service, q->service) && copy(&m->host, q->host) &&
	       copy(&m->user, q->user);
}

EXPORTED void
mailtoken_free(struct mailtoken *m)
{
	if (m == NULL)
		return;
	forget(m);
	free(m->path);
	free(m);
}

static enum mailtoken_result
result(const struct mailtoken *m)
{
	return (enum mailtoken_result)m->why.kind;
}

EXPORTED enum mailtoken_result
mailtoken_get(struct mailtoken *m, const char *account, const char *service,
    const char *host, const char *user)
{
	struct token_source *source = &m->agent.source;
	struct token_query q = { .account = account,
		.service = service,
		.host = host,
		.user = user };

	forget(m);
	if (account == NULL || strlen(account) >= ACCOUNT_MAX)
		(void)diag_set(&m->why, DIAG_CONFIG,
		    "the account's name is missing or too long");
	else if (source->ops->get(source, &q, &m->token, &m->why) == 0 &&
		 !remember(m, &q)) {
		forget(m);
		(void)diag_nomem(&m->why);
	}
	return result(m);
}

EXPORTED enum mailtoken_result
mailtoken_reject(struct mailtoken *m, const char *reason)
{
	struct token_source *source = &m->agent.source;
	struct token_query q = { .account = m->account,
		.service = m->service,
		.host = m->host,
		.user = m->user };

	m->why = (struct diag)DIAG_INIT;
	if (m->account[0] == '\0')
		(void)diag_set(&m->why, DIAG_CONFIG,
		    "there is no token that a server could have refused");
	else
		(void)source->ops->reject(
		    source, &q, &m->token, reason, &m->why);
	return result(m);
}

EXPORTED const char *
mailtoken_token(const struct mailtoken *m)
{
	return m->token.value.ptr;
}

EXPORTED int64_t
mailtoken_expires_at(const struct mailtoken *m)
{
	return m->token.expires_at;
}

EXPORTED const char *
mailtoken_text(const struct mailtoken *m)
{
	return m != NULL ? m->why.text : "out of memory";
}

EXPORTED const char *
mailtoken_response(struct mailtoken *m, const char *mechanism, const char *user,
    const char *host, unsigned port, size_t *ret_len)
{
	bool bearer = strcmp(mechanism, "OAUTHBEARER") == 0;

	m->why = (struct diag)DIAG_INIT;
	xoauth2_wipe(&m->response);
	if (bearer)
		oauthbearer_init(&m->response, host, port);
	else
		xoauth2_init(&m->response);
	if (!bearer && strcmp(mechanism, "XOAUTH2") != 0) {
		(void)diag_set(&m->why, DIAG_CONFIG,
		    "the mechanism must be XOAUTH2 or OAUTHBEARER");
		return NULL;
	}
	if (xoauth2_step(
		&m->response, user, &m->token.value, NULL, 0, &m->why) < 0)
		return NULL;
	m->response.host = NULL; /* borrowed until now */
	*ret_len = m->response.out.len;
	return m->response.out.ptr;
}

EXPORTED const char *
mailtoken_version(void)
{
	return MAILTOKEN_VERSION;
}
