/* cli_status.c - mailtoken status: a table for people, JSON for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"
#include "cli_json.h"
#include "cli_nagios.h"
#include "clock.h"

#define FORM   "%-32s %-18s %-7s %-10s %-10s %s\n"
#define SOON_S (30 * 24 * 3600) /* what ends sooner is shown */

struct report {
	struct cli_json *rows; /* --json; NULL: a table */
	unsigned lines;
	enum diag_kind worst; /* what a monitor must know */
};

/* What is copied into JSON; the second list holds numbers. */
static const char *const words[] = { "account", "provider", "grant", "state",
	"credential", "text" };
static const char *const numbers[] = { "generation", "expires_at", "renewed_at",
	"next_at", "login_at", "login_idle_at", "credential_expires_at",
	"unsaved", "waiting", "failures" };

static void
add_json(struct cli_json *rows, const struct wire_msg *msg)
{
	struct cli_json *row = cli_json_object();
	int64_t n;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cli_json_str(row, words[i], wire_get(msg, words[i]));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (wire_get_int(msg, numbers[i], &n))
			cli_json_int(row, numbers[i], n);
	cli_json_add(rows, row);
}

static const char *
until(const struct wire_msg *msg, const char *key, char *text, size_t size)
{
	int64_t at = 0, left;

	(void)wire_get_int(msg, key, &at);
	left = at - clock_now_s();
	if (at == 0)
		return "-";
	return left <= 0 ? "now" : cli_span(left, text, size);
}

static const char *
since(const struct wire_msg *msg, const char *key, char *text, size_t size)
{
	int64_t at = 0;

	(void)wire_get_int(msg, key, &at);
	return at == 0 ? "-" : cli_span(clock_now_s() - at, text, size);
}

/* What ends soon: %s is in how long. */
static void
add_warning(const struct wire_msg *msg, const char *key, const char *ends,
    const char *ended)
{
	int64_t at = 0, left;
	char span[32];

	if (!wire_get_int(msg, key, &at) || at == 0)
		return;
	left = at - clock_now_s();
	if (left <= 0)
		printf("    %s\n", ended);
	else if (left < SOON_S)
		printf("    %s %s\n", ends, cli_span(left, span, sizeof(span)));
}

static void
add_warnings(const struct wire_msg *msg)
{
	const char *credential = wire_get(msg, "credential");
	int64_t unsaved = 0;

	if (wire_get_int(msg, "unsaved", &unsaved) && unsaved != 0)
		printf("    its newest token could not be saved yet: mend that "
		       "before the agent ends; its log says why, "
		       "event=state-not-saved\n");
	if (credential != NULL && strcmp(credential, "certificate") == 0)
		add_warning(msg, "credential_expires_at", "certificate ends in",
		    "certificate has ended: replace it");
	else
		add_warning(msg, "credential_expires_at",
		    "client secret ends in",
		    "client secret has ended: replace it");
	add_warning(msg, "login_idle_at", "login ends if unused for",
	    "login was not used for too long: it may have ended");
}

static void
add_line(struct report *r, const struct wire_msg *msg)
{
	const char *text = wire_get(msg, "text");
	const char *grant = wire_get(msg, "grant");
	char left[32], next[32], ago[32];

	if (r->lines++ == 0)
		printf(FORM, "ACCOUNT", "GRANT", "STATE", "TOKEN", "RENEWS IN",
		    "RENEWED");
	printf(FORM, wire_get(msg, "account"), grant != NULL ? grant : "-",
	    wire_get(msg, "state"),
	    until(msg, "expires_at", left, sizeof(left)),
	    until(msg, "next_at", next, sizeof(next)),
	    since(msg, "renewed_at", ago, sizeof(ago)));
	add_warnings(msg);
	if (text != NULL)
		printf("    %s\n", text);
}

static int
each(void *arg, const struct wire_msg *msg, struct diag *reterr)
{
	struct report *r = arg;
	const char *state = wire_get(msg, "state");
	enum diag_kind kind = DIAG_OK;

	if (wire_get(msg, "more") == NULL)
		return 0;
	if (wire_get(msg, "account") == NULL || state == NULL)
		return diag_set(reterr, DIAG_PROTO,
		    "the agent's status lacks a name or a state");
	(void)diag_kind_parse(state, &kind);
	if (kind > r->worst)
		r->worst = kind;
	if (r->rows != NULL)
		add_json(r->rows, msg);
	else
		add_line(r, msg);
	return 0;
}

static int
report(const struct token_agent *agent, const char *account, struct report *r)
{
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	struct diag d = DIAG_INIT;

	wire_put(&request, "version", WIRE_VERSION);
	wire_put(&request, "op", "status");
	wire_put(&request, "account", account);
	wire_end(&request);
	if (request.failed)
		(void)diag_nomem(&d);
	if (request.failed ||
	    token_agent_ask_many(agent, &request, each, r, &d) < 0)
		return cli_fail(&d);
	if (r->rows != NULL && cli_json_print(r->rows) != EX_OK)
		return EX_IOERR;
	return cli_exit_code(r->worst);
}

int
cmd_status(struct cli *c, int argc, char *argv[])
{
	struct report r = { .worst = DIAG_OK };
	struct token_agent agent;
	const char *account = NULL;
	bool json = false, nagios = false;
	int rc;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--nagios") == 0)
			nagios = true;
		else if (account == NULL && argv[i][0] != '-')
			account = argv[i];
		else
			return cli_usage(argv[0]);
	if (nagios)
		return json ? cli_usage(argv[0]) : nagios_status(c, account);
	if (!cli_agent(c, &agent))
		return cli_no_agent(c);
	if (json)
		r.rows = cli_json_array();
	rc = report(&agent, account, &r);
	cli_json_free(&r.rows);
	return rc;
}
