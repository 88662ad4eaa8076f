#include "report.h"

#include "clock.h"
#include "expiry.h"

/* What the messages about an account begin with. */
static void
put_account(struct session *s, const struct live_status *st)
{
	wire_put(&s->out, "version", WIRE_VERSION);
	wire_put(&s->out, "status", "ok");
	wire_put_int(&s->out, "more", 1);
	wire_put(&s->out, "account", st->account->name);
}

static void
put_status(struct session *s, struct live *l)
{
	struct live_status st;

	live_status(l, &st);
	put_account(s, &st);
	wire_put(&s->out, "provider", st.account->provider);
	wire_put(&s->out, "grant", grant_name(st.account->grant));
	wire_put(&s->out, "state", st.state);
	wire_put_int(&s->out, "generation", st.generation);
	wire_put_int(&s->out, "expires_at", st.expires_at);
	wire_put_int(&s->out, "renewed_at", st.renewed_at);
	wire_put_int(&s->out, "next_at", st.next_at);
	wire_put_int(&s->out, "login_at", st.login_at);
	wire_put_int(&s->out, "login_idle_at", st.login_idle_at);
	wire_put(&s->out, "credential", expiry_what(st.account));
	wire_put_int(
	    &s->out, "credential_expires_at", st.credential_expires_at);
	wire_put_int(&s->out, "unsaved", l->unsaved);
	wire_put_int(&s->out, "waiting", st.waiting);
	wire_put_int(&s->out, "failures", st.failures);
	if (*st.text != '\0')
		wire_put(&s->out, "text", st.text);
	wire_end(&s->out);
}

static void
put_agent(struct session *s)
{
	const struct server *server = s->server;

	wire_put(&s->out, "version", WIRE_VERSION);
	wire_put(&s->out, "status", "ok");
	wire_put_int(
	    &s->out, "accounts", (int64_t)accounts_count(server->accounts));
	wire_put(&s->out, "version_agent", MAILTOKEN_VERSION);
	wire_put_int(&s->out, "started_at", clock_wall_s(server->started_ms));
}

static void
end_status(struct session *s)
{
	put_agent(s);
	wire_end(&s->out);
}

void
report_status(struct session *s, struct live *l)
{
	if (l == NULL) {
		session_list(s, put_status, end_status);
		return;
	}
	put_status(s, l);
	put_agent(s);
	session_finish(s);
}

static void
put_metrics(struct session *s, struct live *l)
{
	struct live_status st;

	live_status(l, &st);
	put_account(s, &st);
	wire_put(&s->out, "state", st.state);
	wire_put_int(&s->out, "expires_at", st.expires_at);
	wire_put_int(&s->out, "renewed_at", st.renewed_at);
	wire_put_int(&s->out, "login_idle_at", st.login_idle_at);
	wire_put(&s->out, "credential", expiry_what(st.account));
	wire_put_int(
	    &s->out, "credential_expires_at", st.credential_expires_at);
	wire_put_int(&s->out, "unsaved", l->unsaved);
	wire_put_int(&s->out, "waiting", st.waiting);
	wire_put_int(&s->out, "failures", st.failures);
	metrics_put_account(&s->out, &l->metrics);
	wire_end(&s->out);
}

static void
end_metrics(struct session *s)
{
	const struct server *server = s->server;
	uint32_t good, bad;

	put_agent(s);
	wire_put_int(&s->out, "connections", server->sessions);
	wire_put_int(&s->out, "in_flight",
	    (int64_t)accounts_in_flight(server->accounts));
	notify_counts(accounts_notify(server->accounts), &good, &bad);
	wire_put_int(&s->out, "notified", good);
	wire_put_int(&s->out, "notify_failed", bad);
	metrics_put(&s->out, accounts_metrics(server->accounts));
	wire_end(&s->out);
}

void
report_metrics(struct session *s)
{
	session_list(s, put_metrics, end_metrics);
}
