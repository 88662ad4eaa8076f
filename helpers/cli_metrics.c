/* cli_metrics.c - mailtoken metrics: what the agent counts, for monitoring. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_exposition.h"
#include "cli_file.h"
#include "cli_state.h"
#include "clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum {
	UP,
	BUILD,
	STARTED,
	ACCOUNTS,
	UNSAVED,
	WITHOUT_TOKEN,
	CREDENTIAL_FIRST,
	LOGIN_FIRST,
	RENEWALS,
	RENEWAL_TIME,
	IN_FLIGHT,
	GETS,
	LOOKUPS,
	REJECTS,
	CONNECTIONS,
	ACCEPTED,
	REFUSED,
	NOTIFICATIONS,
	A_STATE,
	A_EXPIRES,
	A_RENEWED,
	A_LOGIN,
	A_CREDENTIAL,
	A_UNSAVED,
	A_FAILURES,
	A_WAITING,
	A_RENEWALS,
	A_GETS,
	A_REJECTS,
	FAMILIES
};

/* clang-format off */
static const struct family families[] = {
	[UP] = { "mailtoken_up", FAMILY_GAUGE, "Whether the agent answers." },
	[BUILD] = { "mailtoken_build_info", FAMILY_GAUGE, "The agent's version." },
	[STARTED] = { "mailtoken_start_time_seconds", FAMILY_GAUGE, "When the agent started." },
	[ACCOUNTS] = { "mailtoken_accounts", FAMILY_GAUGE, "Accounts by state." },
	[UNSAVED] = { "mailtoken_accounts_unsaved", FAMILY_GAUGE, "Accounts whose newest token could not be written to the disk yet." },
	[WITHOUT_TOKEN] = { "mailtoken_accounts_without_token", FAMILY_GAUGE, "Accounts that have no token, or one that has expired." },
	[CREDENTIAL_FIRST] = { "mailtoken_credential_expires_first_timestamp_seconds", FAMILY_GAUGE, "When the first certificate or client secret ends." },
	[LOGIN_FIRST] = { "mailtoken_login_idle_first_timestamp_seconds", FAMILY_GAUGE, "When the first login ends unless it is used." },
	[RENEWALS] = { "mailtoken_renewals", FAMILY_COUNTER, "Renewals by result." },
	[RENEWAL_TIME] = { "mailtoken_renewal_duration_seconds", FAMILY_HISTOGRAM, "How long renewals took, however they ended." },
	[IN_FLIGHT] = { "mailtoken_renewals_in_flight", FAMILY_GAUGE, "Renewals whose answer is still to come." },
	[GETS] = { "mailtoken_gets", FAMILY_COUNTER, "Requests for a token by result." },
	[LOOKUPS] = { "mailtoken_lookups", FAMILY_COUNTER, "Lookups of Postfix that led to an account, by result." },
	[REJECTS] = { "mailtoken_rejects", FAMILY_COUNTER, "Tokens that mail servers refused." },
	[CONNECTIONS] = { "mailtoken_connections", FAMILY_GAUGE, "Connections now." },
	[ACCEPTED] = { "mailtoken_connections_accepted", FAMILY_COUNTER, "Connections that were served, by kind of socket." },
	[REFUSED] = { "mailtoken_connections_refused", FAMILY_COUNTER, "Connections that were too many, by kind of socket." },
	[NOTIFICATIONS] = { "mailtoken_notifications", FAMILY_COUNTER, "Runs of the notify program, by result." },
	[A_STATE] = { "mailtoken_account_state", FAMILY_GAUGE, "The account's state: 1 for the one that it is in." },
	[A_EXPIRES] = { "mailtoken_account_token_expires_timestamp_seconds", FAMILY_GAUGE, "When the account's token expires." },
	[A_RENEWED] = { "mailtoken_account_renewed_timestamp_seconds", FAMILY_GAUGE, "When this agent renewed the account's token." },
	[A_LOGIN] = { "mailtoken_account_login_idle_timestamp_seconds", FAMILY_GAUGE, "When the account's login ends unless it is used." },
	[A_CREDENTIAL] = { "mailtoken_account_credential_expires_timestamp_seconds", FAMILY_GAUGE, "When the account's certificate or client secret ends." },
	[A_UNSAVED] = { "mailtoken_account_unsaved", FAMILY_GAUGE, "Whether the account's newest token could not be written to the disk yet." },
	[A_FAILURES] = { "mailtoken_account_failures", FAMILY_GAUGE, "The account's failed renewals since the last good one." },
	[A_WAITING] = { "mailtoken_account_waiting", FAMILY_GAUGE, "Clients that wait for the account's token." },
	[A_RENEWALS] = { "mailtoken_account_renewals", FAMILY_COUNTER, "The account's renewals by result." },
	[A_GETS] = { "mailtoken_account_gets", FAMILY_COUNTER, "Requests for the account's token by result." },
	[A_REJECTS] = { "mailtoken_account_rejects", FAMILY_COUNTER, "The account's tokens that mail servers refused." },
};
/* clang-format on */
_Static_assert(COUNT(families) == FAMILIES, "a row for each family");

struct scrape {
	struct exposition *e;
	bool names; /* of accounts are shown */
	int64_t states[STATE__COUNT];
	int64_t unsaved, without_token;
	int64_t credential_first, login_first; /* 0: none */
};

/* 0 if there is none. */
static int64_t
number(const struct wire_msg *msg, const char *key)
{
	int64_t n = 0;

	(void)wire_get_int(msg, key, &n);
	return n;
}

/* "ok 17 retry 2": each() gets the words and the numbers. */
static void
each_count(const char *list,
    void (*each)(void *arg, const char *word, int64_t n), void *arg)
{
	char word[32];

	while (list != NULL && *(list += strspn(list, " ")) != '\0') {
		size_t len = strcspn(list, " ");
		char *end;
		long long n;

		if (len >= sizeof(word))
			return;
		memcpy(word, list, len);
		word[len] = '\0';
		n = strtoll(list + len, &end, 10);
		if (end == list + len)
			return;
		each(arg, word, n);
		list = end;
	}
}

/* A list is a family with a label. */
struct list {
	struct exposition *e;
	size_t family;
	const char *label, *account;
};

static void
add_count(void *arg, const char *word, int64_t n)
{
	const struct list *l = arg;
	const struct label labels[] = { { "account", l->account },
		{ l->label, word }, { NULL, NULL } };

	exposition_add(l->e, l->family, "_total", labels, n);
}

static void
add_list(struct exposition *e, size_t family, const struct wire_msg *msg,
    const char *key, const char *label, const char *account)
{
	struct list l = { e, family, label, account };

	each_count(wire_get(msg, key), add_count, &l);
}

static void
add_time(struct scrape *s, size_t family, const struct label *labels,
    int64_t at, int64_t *first)
{
	if (at == 0)
		return;
	if (first != NULL && (*first == 0 || at < *first))
		*first = at;
	if (s->names)
		exposition_add(s->e, family, "", labels, at);
}

static void
add_account(struct scrape *s, const struct wire_msg *msg)
{
	const char *name = wire_get(msg, "account");
	const struct label account[] = { { "account", name }, { NULL, NULL } };
	const struct label credential[] = { { "account", name },
		{ "credential", wire_get(msg, "credential") }, { NULL, NULL } };
	struct exposition *e = s->e;
	enum cli_state state = cli_state_parse(wire_get(msg, "state"));

	s->states[state]++;
	s->unsaved += number(msg, "unsaved") != 0;
	s->without_token += number(msg, "expires_at") <= clock_now_s();
	add_time(s, A_EXPIRES, account, number(msg, "expires_at"), NULL);
	add_time(s, A_RENEWED, account, number(msg, "renewed_at"), NULL);
	add_time(
	    s, A_LOGIN, account, number(msg, "login_idle_at"), &s->login_first);
	add_time(s, A_CREDENTIAL, credential,
	    number(msg, "credential_expires_at"), &s->credential_first);
	if (!s->names)
		return;
	for (enum cli_state i = 0; i < STATE__COUNT; i++) {
		const struct label labels[] = { { "account", name },
			{ "state", cli_state_name(i) }, { NULL, NULL } };

		exposition_add(e, A_STATE, "", labels, i == state);
	}
	exposition_add(e, A_UNSAVED, "", account, number(msg, "unsaved"));
	exposition_add(e, A_FAILURES, "", account, number(msg, "failures"));
	exposition_add(e, A_WAITING, "", account, number(msg, "waiting"));
	add_list(e, A_RENEWALS, msg, "renewals", "result", name);
	add_list(e, A_GETS, msg, "gets", "result", name);
	exposition_add(e, A_REJECTS, "_total", account, number(msg, "rejects"));
}

/* Each limit's bucket holds what is in those before it, too. */
struct buckets {
	struct exposition *e;
	int64_t sum;
};

static void
add_bucket(void *arg, const char *limit, int64_t n)
{
	struct buckets *b = arg;
	long long ms = strtoll(limit, NULL, 10);
	char le[32];
	const struct label labels[] = { { "le", le }, { NULL, NULL } };
	size_t len;

	(void)snprintf(le, sizeof(le), "%lld.%03lld", ms / 1000, ms % 1000);
	len = strlen(le);
	/* As floats are written: 0.25, 1.0. */
	while (le[len - 1] == '0' && le[len - 2] != '.')
		le[--len] = '\0';
	b->sum += n;
	exposition_add(b->e, RENEWAL_TIME, "_bucket", labels, b->sum);
}

static void
add_times(struct exposition *e, const struct wire_msg *msg)
{
	const struct label all[] = { { "le", "+Inf" }, { NULL, NULL } };
	int64_t count = number(msg, "renewal_ms_count");
	struct buckets b = { e, 0 };

	each_count(wire_get(msg, "renewal_ms"), add_bucket, &b);
	exposition_add(e, RENEWAL_TIME, "_bucket", all, count);
	exposition_add(e, RENEWAL_TIME, "_count", NULL, count);
	exposition_add_milli(
	    e, RENEWAL_TIME, "_sum", NULL, number(msg, "renewal_ms_sum"));
}

static void
add_sums(const struct scrape *s)
{
	for (enum cli_state i = 0; i < STATE__COUNT; i++) {
		const struct label labels[] = { { "state", cli_state_name(i) },
			{ NULL, NULL } };

		exposition_add(s->e, ACCOUNTS, "", labels, s->states[i]);
	}
	exposition_add(s->e, UNSAVED, "", NULL, s->unsaved);
	exposition_add(s->e, WITHOUT_TOKEN, "", NULL, s->without_token);
	if (s->credential_first != 0)
		exposition_add(
		    s->e, CREDENTIAL_FIRST, "", NULL, s->credential_first);
	if (s->login_first != 0)
		exposition_add(s->e, LOGIN_FIRST, "", NULL, s->login_first);
}

static void
add_agent(struct scrape *s, const struct wire_msg *msg)
{
	const struct label version[] = {
		{ "version", wire_get(msg, "version_agent") }, { NULL, NULL }
	};
	struct list notified = { s->e, NOTIFICATIONS, "result", NULL };

	exposition_add(s->e, UP, "", NULL, 1);
	exposition_add(s->e, BUILD, "", version, 1);
	exposition_add(s->e, STARTED, "", NULL, number(msg, "started_at"));
	add_sums(s);
	add_list(s->e, RENEWALS, msg, "renewals", "result", NULL);
	add_times(s->e, msg);
	exposition_add(s->e, IN_FLIGHT, "", NULL, number(msg, "in_flight"));
	add_list(s->e, GETS, msg, "gets", "result", NULL);
	add_list(s->e, LOOKUPS, msg, "lookups", "result", NULL);
	exposition_add(s->e, REJECTS, "_total", NULL, number(msg, "rejects"));
	exposition_add(s->e, CONNECTIONS, "", NULL, number(msg, "connections"));
	add_list(s->e, ACCEPTED, msg, "accepted", "socket", NULL);
	add_list(s->e, REFUSED, msg, "refused", "socket", NULL);
	add_count(&notified, "ok", number(msg, "notified"));
	add_count(&notified, "failed", number(msg, "notify_failed"));
}

static int
each(void *arg, const struct wire_msg *msg, struct diag *reterr)
{
	struct scrape *s = arg;

	if (wire_get(msg, "more") == NULL)
		add_agent(s, msg);
	else if (wire_get(msg, "account") != NULL)
		add_account(s, msg);
	else
		return diag_set(reterr, DIAG_PROTO,
		    "the agent's metrics lack an account's name");
	return 0;
}

static int
ask(struct cli *c, struct scrape *s, struct diag *reterr)
{
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;

	wire_put(&request, "version", WIRE_VERSION);
	wire_put(&request, "op", "metrics");
	wire_end(&request);
	if (request.failed || s->e == NULL)
		return diag_nomem(reterr);
	/* Why nobody answers is what asking says again. */
	(void)cli_agent(c, &agent);
	return token_agent_ask_many(&agent, &request, each, s, reterr);
}

static int
put(const struct exposition *e, const char *output, struct diag *reterr)
{
	struct cli_file file = {
		.path = output, .mode = 0644, .uid = (uid_t)-1, .gid = (gid_t)-1
	};
	size_t len = 0;
	auto_free char *text = exposition_text(e, &len, reterr);

	if (text == NULL)
		return -1;
	if (output != NULL)
		return cli_file_write(&file, text, len, reterr);
	if (fwrite(text, 1, len, stdout) != len)
		return diag_set(reterr, DIAG_RETRY, "cannot write the metrics");
	return 0;
}

int
cmd_metrics(struct cli *c, int argc, char *argv[])
{
	struct scrape s = { .e = exposition_new(families, FAMILIES),
		.names = true };
	struct diag why = DIAG_INIT, d = DIAG_INIT;
	const char *output = NULL;
	bool wrong = false;
	int rc;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--no-accounts") == 0)
			s.names = false;
		else if (strcmp(argv[i], "--output") == 0 && i + 1 < argc)
			output = argv[++i];
		else
			wrong = true;
	rc = wrong ? cli_usage(argv[0]) : EX_OK;
	if (!wrong && ask(c, &s, &why) < 0) {
		rc = cli_fail(&why);
		/* That it is away is news; nothing else is known. */
		exposition_free(&s.e);
		if (why.kind == DIAG_RETRY)
			s.e = exposition_new(families, FAMILIES);
		if (s.e != NULL)
			exposition_add(s.e, UP, "", NULL, 0);
	}
	if (!wrong && s.e != NULL && put(s.e, output, &d) < 0)
		rc = cli_fail(&d);
	exposition_free(&s.e);
	return rc;
}
