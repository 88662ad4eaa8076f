#include "token_source.h"

#include <string.h>

#include "exchange.h"

#define SCHEME	   "mailtoken:"
#define REASON_MAX 200	/* PROTOCOL.md */
#define FIELD_MAX  1024 /* bytes of a user or a host */

void
token_wipe(struct token *t)
{
	secret_wipe(&t->value);
	*t = (struct token)TOKEN_INIT;
}

int
token_agent_ask(const struct token_agent *a, const struct buf *request,
    struct buf *answer, struct wire_msg *ret, struct diag *reterr)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;
	ssize_t n;

	buf_wipe(answer);
	n = exchange_ask(
	    &x, a->path, a->timeout_ms, request, answer, ret, reterr);
	if (n < 0)
		return -1;
	if ((size_t)n < answer->len)
		return diag_set(reterr, DIAG_PROTO,
		    "the agent at %s sent more than one answer",
		    x.addr.sun_path);
	return 0;
}

int
token_agent_ask_many(const struct token_agent *a, const struct buf *request,
    int (*each)(void *arg, const struct wire_msg *msg, struct diag *reterr),
    void *arg, struct diag *reterr)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct wire_msg msg;
	ssize_t n = exchange_ask(
	    &x, a->path, a->timeout_ms, request, &answer, &msg, reterr);

	for (;;) {
		const char *value;

		if (n < 0 || each(arg, &msg, reterr) < 0)
			return -1;
		value = wire_get(&msg, "more");
		if (value == NULL || strcmp(value, "1") != 0)
			return 0;
		buf_drop(&answer, (size_t)n);
		/* As long as it goes on, an agent with many accounts may. */
		exchange_extend(&x);
		n = exchange_next(&x, &answer, &msg, reterr);
	}
}

/* The queries' strings come from hosts: is this one why a request failed? */
static bool
field_ok(const char *what, const char *value, struct diag *reterr)
{
	size_t n = value != NULL ? strlen(value) : 0;

	if (wire_text(value, n) == WIRE_TEXT_CONTROL)
		(void)diag_set(reterr, DIAG_CONFIG,
		    "the %s has a control character", what);
	else if (n > FIELD_MAX)
		(void)diag_set(reterr, DIAG_CONFIG,
		    "the %s is longer than %d bytes", what, FIELD_MAX);
	else
		return true;
	return false;
}

static int
put_query(struct buf *b, const char *op, const struct token_query *q,
    struct diag *reterr)
{
	if (!wire_account_ok(q->account) && !wire_pattern_ok(q->account))
		return diag_set(reterr, DIAG_CONFIG,
		    "\"%.*s\" cannot be the name of an account",
		    WIRE_ACCOUNT_MAX, q->account);
	wire_put(b, "version", WIRE_VERSION);
	wire_put(b, "op", op);
	wire_put(b, "account", q->account);
	wire_put(b, "service", q->service);
	wire_put(b, "host", q->host);
	wire_put(b, "user", q->user);
	if (!b->failed)
		return 0;
	if (field_ok("service", q->service, reterr) &&
	    field_ok("host name", q->host, reterr) &&
	    field_ok("user name", q->user, reterr))
		(void)diag_nomem(reterr);
	return -1;
}

int
token_error(const struct token_query *q, struct diag *d)
{
	if (strstr(d->text, q->account) != NULL)
		return -1;
	return diag_wrap(d, "account %s", q->account);
}

int
token_request_get(
    struct buf *request, const struct token_query *q, struct diag *reterr)
{
	if (put_query(request, "get", q, reterr) < 0)
		return -1;
	wire_end(request);
	return request->failed ? diag_nomem(reterr) : 0;
}

int
token_answer_get(struct buf *answer, const struct wire_msg *m,
    const struct token_query *q, struct token *ret, struct diag *reterr)
{
	const char *account = wire_get(m, "account");
	size_t len = 0;
	const char *value = wire_get_bytes(m, "token", &len);
	int64_t generation, expires_at;

	if (account == NULL || strcmp(account, q->account) != 0 ||
	    value == NULL || len == 0 ||
	    !wire_get_int(m, "generation", &generation) ||
	    !wire_get_int(m, "expires_at", &expires_at))
		return diag_set(reterr, DIAG_PROTO,
		    "the agent's answer lacks the token or what belongs to it");
	ret->generation = generation;
	ret->expires_at = expires_at;
	buf_to_secret(answer, (size_t)(value - answer->ptr), len, &ret->value);
	return 0;
}

static int
agent_get(struct token_source *source, const struct token_query *q,
    struct token *ret, struct diag *reterr)
{
	const struct token_agent *a = (const struct token_agent *)source;
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct wire_msg m;

	if (token_request_get(&request, q, reterr) < 0)
		return -1;
	if (token_agent_ask(a, &request, &answer, &m, reterr) < 0 ||
	    token_answer_get(&answer, &m, q, ret, reterr) < 0)
		return token_error(q, reterr);
	return 0;
}

/* The server's words as a value: cut, and whatever is no text as '?'. */
static void
put_reason(struct buf *b, const char *reason)
{
	char line[REASON_MAX + 1];
	size_t n = 0;

	if (reason == NULL)
		return;
	for (; n < REASON_MAX && reason[n] != '\0'; n++)
		line[n] =
		    reason[n] >= 0x20 && reason[n] < 0x7f ? reason[n] : '?';
	wire_put_bytes(b, "reason", line, n);
}

static int
agent_reject(struct token_source *source, const struct token_query *q,
    const struct token *refused, const char *reason, struct diag *reterr)
{
	const struct token_agent *a = (const struct token_agent *)source;
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct wire_msg m;

	if (put_query(&request, "reject", q, reterr) < 0)
		return -1;
	wire_put_int(&request, "generation", refused->generation);
	put_reason(&request, reason);
	wire_end(&request);
	if (request.failed)
		return diag_nomem(reterr);
	if (token_agent_ask(a, &request, &answer, &m, reterr) < 0)
		return token_error(q, reterr);
	return 0;
}

void
token_agent_init(struct token_agent *a, const char *socket_path, int timeout_ms)
{
	static const struct token_source_ops ops = {
		.get = agent_get,
		.reject = agent_reject,
	};

	*a = (struct token_agent){ .source = { .ops = &ops },
		.path = socket_path,
		.timeout_ms = timeout_ms };
}

int
token_ref_parse(const char *password, size_t len, const char *user,
    struct token_ref *ret, struct diag *reterr)
{
	size_t scheme = strlen(SCHEME);
	const char *name = user;
	size_t n = strlen(user);

	ret->account[0] = '\0';
	ret->literal = password != NULL && len > 0 &&
		       (len < scheme || memcmp(password, SCHEME, scheme) != 0);
	if (ret->literal)
		return 0;
	if (password != NULL && len > scheme) {
		name = password + scheme;
		n = len - scheme;
	}
	if (n <= WIRE_ACCOUNT_MAX && memchr(name, '\0', n) == NULL) {
		memcpy(ret->account, name, n);
		ret->account[n] = '\0';
	}
	if (wire_account_ok(ret->account) || wire_pattern_ok(ret->account))
		return 0;
	ret->account[0] = '\0';
	if (name == user)
		return diag_set(reterr, DIAG_CONFIG,
		    "the user name \"%.*s\" cannot be the name of an account: "
		    "name one in the password, as " SCHEME "NAME",
		    WIRE_ACCOUNT_MAX, user);
	return diag_set(reterr, DIAG_CONFIG,
	    "what follows " SCHEME " in the password of %.*s cannot be the "
	    "name of an account",
	    WIRE_ACCOUNT_MAX, user);
}
