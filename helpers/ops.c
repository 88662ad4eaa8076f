#include "ops.h"

#include <string.h>

#include "advice.h"
#include "advice_name.h"
#include "clock.h"
#include "log.h"
#include "report.h"
#include "visitor.h"

/* In an answer, besides the token: its other lines. */
#define ANSWER_BESIDES (WIRE_ACCOUNT_MAX + 150)

enum op {
	OP_GET,
	OP_REJECT,
	OP_STATUS,
	OP_METRICS,
	OP_REFRESH,
	OP_RELOAD,
	OP_FORGET,
	OP__COUNT
};

static void op_get(struct session *s, const struct wire_msg *msg);
static void op_reject(struct session *s, const struct wire_msg *msg);
static void op_status(struct session *s, const struct wire_msg *msg);
static void op_metrics(struct session *s, const struct wire_msg *msg);
static void op_refresh(struct session *s, const struct wire_msg *msg);
static void op_reload(struct session *s, const struct wire_msg *msg);
static void op_forget(struct session *s, const struct wire_msg *msg);

static const struct {
	const char *name;
	void (*run)(struct session *s, const struct wire_msg *msg);
	bool admin_only;
} ops[] = {
	[OP_GET] = { .name = "get", .run = op_get, .admin_only = false },
	[OP_REJECT] = { .name = "reject",
	    .run = op_reject,
	    .admin_only = false },
	[OP_STATUS] = { .name = "status",
	    .run = op_status,
	    .admin_only = true },
	[OP_METRICS] = { .name = "metrics",
	    .run = op_metrics,
	    .admin_only = true },
	[OP_REFRESH] = { .name = "refresh",
	    .run = op_refresh,
	    .admin_only = true },
	[OP_RELOAD] = { .name = "reload",
	    .run = op_reload,
	    .admin_only = true },
	[OP_FORGET] = { .name = "forget",
	    .run = op_forget,
	    .admin_only = true },
};
_Static_assert(sizeof(ops) / sizeof(ops[0]) == OP__COUNT, "one row per op");

/* The line that every request leaves: who asked for what, how it ended. */
static struct log_line
log_request(const struct session *s, int priority, const char *event,
    enum diag_kind result)
{
	struct log_line l = visitor_line(&s->peer, priority, event);

	log_str(&l, "account", s->what.account);
	log_str(&l, "service", s->what.service);
	log_int(&l, "uid", s->peer.uid);
	log_int(&l, "pid", s->peer.pid);
	log_str(&l, "host", s->what.host);
	log_str(&l, "user", s->what.user);
	log_str(&l, "result", diag_kind_name(result));
	return l;
}

static const char *
event_of(const struct session *s)
{
	return strcmp(s->what.op, "get") == 0 ? "token" : s->what.op;
}

/* l may be NULL. */
static void
count(const struct session *s, struct live *l, enum diag_kind result)
{
	if (strcmp(s->what.op, "get") != 0)
		return;
	tally_add(&accounts_metrics(s->server->accounts)->all.gets, result);
	if (l != NULL)
		tally_add(&l->metrics.gets, result);
}

/* Logs it and says it. */
static void
fail(struct session *s, const struct diag *d)
{
	struct log_line l = log_request(s, LOG_WARNING, event_of(s), d->kind);

	count(s, accounts_find(s->server->accounts, s->what.account), d->kind);
	log_str(&l, "text", d->text);
	log_send(&l);
	session_error(s, d);
}

static void
copy_field(char *to, size_t size, const char *value)
{
	size_t n = value != NULL ? strnlen(value, size - 1) : 0;

	if (n > 0)
		memcpy(to, value, n);
	to[n] = '\0';
}

static void
remember(struct session *s, const struct wire_msg *msg)
{
	copy_field(
	    s->what.account, sizeof(s->what.account), wire_get(msg, "account"));
	copy_field(
	    s->what.service, sizeof(s->what.service), wire_get(msg, "service"));
	copy_field(s->what.host, sizeof(s->what.host), wire_get(msg, "host"));
	copy_field(s->what.user, sizeof(s->what.user), wire_get(msg, "user"));
}

void
ops_run(struct session *s, const struct wire_msg *msg)
{
	const char *version = wire_get(msg, "version");
	const char *name = wire_get(msg, "op");
	struct diag d = DIAG_INIT;
	enum op op = 0;

	s->what.op = "request";
	remember(s, msg);
	while (
	    op < OP__COUNT && (name == NULL || strcmp(ops[op].name, name) != 0))
		op++;
	if (version == NULL || strcmp(version, WIRE_VERSION) != 0) {
		(void)diag_set(&d, DIAG_PROTO,
		    "this agent speaks version " WIRE_VERSION
		    " of its protocol, the request another");
		fail(s, &d);
		return;
	}
	if (op == OP__COUNT) {
		(void)diag_set(&d, DIAG_PROTO, "unknown op");
		fail(s, &d);
		return;
	}
	s->what.op = ops[op].name;
	if (ops[op].admin_only && !peer_is_ours(&s->peer) &&
	    !peer_allowed(s->fd, &s->peer, &s->server->config->admin)) {
		(void)diag_set(&d, DIAG_DENIED,
		    "uid %u may not ask for %s: run it as root, or add the "
		    "user to 'admin' in %s",
		    (unsigned)s->peer.uid, s->what.op, s->server->config->path);
		fail(s, &d);
		return;
	}
	ops[op].run(s, msg);
}

/* The account of the request; NULL, and it has been answered. */
static struct live *
find_account(struct session *s)
{
	struct diag d = DIAG_INIT;
	struct live *l;

	if (!wire_account_ok(s->what.account) &&
	    !wire_pattern_ok(s->what.account)) {
		s->what.account[0] = '\0';
		(void)diag_set(&d, DIAG_PROTO,
		    "the request names no account, or not as one may be "
		    "named");
		fail(s, &d);
		return NULL;
	}
	l = accounts_find(s->server->accounts, s->what.account);
	if (l == NULL) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "there is no account %s in %s: mailtoken add %s, or "
		    "correct the name",
		    s->what.account, s->server->config->path,
		    ADVICE_WORD(s->what.account));
		fail(s, &d);
	}
	return l;
}

/* May this peer have the account's token, for this service? */
static struct live *
find_allowed(struct session *s)
{
	struct live *l = find_account(s);
	const struct account *a;
	struct diag d = DIAG_INIT;
	unsigned service;

	if (l == NULL)
		return NULL;
	a = l->account;
	if (!peer_is_ours(&s->peer) &&
	    !peer_allowed(s->fd, &s->peer, &a->allow)) {
		(void)diag_set(&d, DIAG_DENIED,
		    "uid %u may not use account %s: add its user to 'allow' "
		    "in %s, line %u",
		    (unsigned)s->peer.uid, a->name, a->config->path, a->line);
		fail(s, &d);
		return NULL;
	}
	service = service_parse(s->what.service);
	if (a->services != 0 && service != 0 && (a->services & service) == 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "account %s is not for %s: add it to 'services' in %s, "
		    "line %u, and log in again if the grant is delegated",
		    a->name, s->what.service, a->config->path, a->line);
		fail(s, &d);
		return NULL;
	}
	return l;
}

static void
answer_failure(struct session *s, const struct diag *why)
{
	struct diag d = *why;

	session_answered(s);
	/* What is wrong with a file names the account already. */
	advice_name_wrap(&d, s->what.account);
	fail(s, &d);
}

static void
answer_ok(struct session *s, const struct refresh_token *tok)
{
	struct live *live = s->waits_for;
	struct log_line l;

	session_answered(s);
	count(s, live, DIAG_OK);
	l = log_request(s, LOG_INFO, event_of(s), DIAG_OK);
	log_int(&l, "generation", tok->generation);
	log_int(&l, "life", (tok->expires_ms - clock_now_ms()) / 1000);
	log_send(&l);

	/* So that it grows only once; session_finish() sees if it cannot. */
	(void)buf_room(&s->out, ANSWER_BESIDES + tok->value.len);
	session_begin(s, "ok");
	wire_put(&s->out, "account", s->what.account);
	wire_put_int(&s->out, "generation", tok->generation);
	wire_put_int(&s->out, "expires_at", clock_wall_s(tok->expires_ms));
	if (strcmp(s->what.op, "get") == 0)
		wire_put_bytes(
		    &s->out, "token", tok->value.ptr, tok->value.len);
	session_finish(s);
}

static void
answer_token(
    struct waiter *w, const struct refresh_token *tok, const struct diag *why)
{
	struct session *s = (struct session *)w;

	if (tok != NULL)
		answer_ok(s, tok);
	else
		answer_failure(s, why);
}

static void
op_get(struct session *s, const struct wire_msg *msg)
{
	struct live *l = find_allowed(s);

	(void)msg;
	if (l == NULL)
		return;
	s->waiter.answer = answer_token;
	session_ask(s, l, live_want);
}

/* Who wants a new token is not told that the old one is good. */
static void
answer_refresh(
    struct waiter *w, const struct refresh_token *tok, const struct diag *why)
{
	struct session *s = (struct session *)w;

	if (why != NULL)
		answer_failure(s, why);
	else
		answer_ok(s, tok);
}

static void
op_refresh(struct session *s, const struct wire_msg *msg)
{
	struct live *l = find_account(s);

	(void)msg;
	if (l == NULL)
		return;
	s->waiter.answer = answer_refresh;
	session_ask(s, l, live_refresh);
}

static void
op_forget(struct session *s, const struct wire_msg *msg)
{
	struct live *l = find_account(s);
	struct log_line line;

	(void)msg;
	if (l == NULL)
		return;
	live_forget(l);
	line = log_request(s, LOG_NOTICE, "forget", DIAG_OK);
	log_send(&line);
	session_begin(s, "ok");
	wire_put(&s->out, "account", s->what.account);
	session_finish(s);
}

/* A mail server's words, which may quote the token, and what they mean. */
static void
log_reason(struct log_line *line, const char *reason, const struct live *l,
    const struct advice *a)
{
	const struct secret *token = &l->grant.access_token;
	struct diag d = DIAG_INIT;
	char named[sizeof(d.text)];

	(void)diag_set(&d, DIAG_REAUTH, "%s", reason != NULL ? reason : "");
	diag_hide(&d, token->ptr, token->len);
	log_str(line, "reason", d.text);
	if (a == NULL)
		return;
	(void)diag_set(&d, a->kind, "%s: %s", a->cause, a->todo);
	log_str(line, "advice",
	    advice_named(d.text, l->account->name, named, sizeof(named)));
}

/*
 * Which of the mailboxes that the account's token opens has refused it; NULL:
 * the account's own.  Of *@DOMAIN, the name that was asked for is a mailbox.
 */
static const char *
mailbox_of(
    const struct session *s, const struct live *l, const struct wire_msg *msg)
{
	const char *name = wire_get(msg, "user");

	if (name == NULL)
		name = s->what.account;
	return strcmp(name, l->account->name) == 0 ? NULL : name;
}

static void
op_reject(struct session *s, const struct wire_msg *msg)
{
	struct live *l = find_allowed(s);
	const char *reason;
	const struct advice *a;
	struct diag d = DIAG_INIT;
	struct log_line line;
	int64_t generation;

	/* An answer has been the end of the message, or even of the session. */
	if (l == NULL)
		return;
	reason = wire_get(msg, "reason");
	a = reason != NULL ? advice_mail(reason) : NULL;
	if (!wire_get_int(msg, "generation", &generation)) {
		(void)diag_set(&d, DIAG_PROTO, "reject needs a generation");
		fail(s, &d);
		return;
	}
	l->metrics.rejects++;
	accounts_metrics(s->server->accounts)->all.rejects++;
	line = log_request(s, LOG_WARNING, "reject", DIAG_OK);
	log_int(&line, "generation", generation);
	log_reason(&line, reason, l, a);
	log_send(&line);
	/* Some words say that no token would do. */
	if (a == NULL || a->stale)
		live_reject(l, mailbox_of(s, l, msg), generation);
	session_begin(s, "ok");
	session_finish(s);
}

static void
op_status(struct session *s, const struct wire_msg *msg)
{
	struct live *l = NULL;

	if (wire_get(msg, "account") != NULL && (l = find_account(s)) == NULL)
		return;
	report_status(s, l);
}

static void
op_metrics(struct session *s, const struct wire_msg *msg)
{
	(void)msg;
	report_metrics(s);
}

static void
op_reload(struct session *s, const struct wire_msg *msg)
{
	struct diag warning = DIAG_INIT, d = DIAG_INIT;

	(void)msg;
	if (server_reload(s->server, &warning, &d) < 0) {
		fail(s, &d);
		return;
	}
	session_begin(s, "ok");
	wire_put_int(
	    &s->out, "accounts", (int64_t)accounts_count(s->server->accounts));
	if (warning.kind != DIAG_OK)
		wire_put(&s->out, "warning", warning.text);
	session_finish(s);
}
