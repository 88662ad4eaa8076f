/* cli_nagios.c - mailtoken status --nagios. */
#include "cli_nagios.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "cli_state.h"
#include "clock.h"

#define SOON_S (30 * 24 * 3600) /* what ends sooner is a warning */

enum { OK, WARNING, CRITICAL, UNKNOWN };

static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
static const int grades[] = {
	[STATE_OK] = OK,
	[STATE_NEW] = OK,
	[STATE_RETRY] = WARNING,
	[STATE_REAUTH] = CRITICAL,
	[STATE_CONFIG] = CRITICAL,
};
_Static_assert(sizeof(grades) / sizeof(grades[0]) == STATE__COUNT,
    "a grade for each state");

struct survey {
	int64_t accounts, count[STATE__COUNT];
	int worst;
	FILE *lines; /* NULL: no memory */
};

/* A bar would begin figures. */
static void
put_text(FILE *to, const char *text)
{
	for (; *text != '\0'; text++)
		fputc(*text == '|' ? '/' : *text, to);
	fputc('\n', to);
}

static void
add_line(struct survey *s, const char *account, const char *text)
{
	fprintf(s->lines, "%s: ", account);
	put_text(s->lines, text);
}

static int
look_at_end(struct survey *s, const struct wire_msg *msg, const char *account)
{
	int64_t at = 0, left;
	char text[96], span[32];

	if (!wire_get_int(msg, "credential_expires_at", &at) || at == 0)
		return OK;
	left = at - clock_now_s();
	if (left > SOON_S)
		return OK;
	(void)snprintf(text, sizeof(text),
	    left > 0 ? "%s ends in %s" : "%s has ended %s ago",
	    wire_get(msg, "credential") != NULL ? wire_get(msg, "credential") :
						  "credential",
	    cli_span(left, span, sizeof(span)));
	add_line(s, account, text);
	return left > 0 ? WARNING : CRITICAL;
}

/* It is gone if the agent ends before that is mended. */
static int
look_at_disk(struct survey *s, const struct wire_msg *msg, const char *account)
{
	int64_t unsaved = 0;

	if (!wire_get_int(msg, "unsaved", &unsaved) || unsaved == 0)
		return OK;
	add_line(s, account,
	    "its newest token could not be saved yet: see the agent's log");
	return WARNING;
}

static int
each(void *arg, const struct wire_msg *msg, struct diag *reterr)
{
	const char *account = wire_get(msg, "account");
	const char *state = wire_get(msg, "state");
	const char *text = wire_get(msg, "text");
	struct survey *s = arg;
	enum cli_state is = cli_state_parse(state);
	int found;

	if (wire_get(msg, "more") == NULL)
		return 0;
	if (account == NULL || state == NULL)
		return diag_set(reterr, DIAG_PROTO,
		    "the agent's status lacks a name or a state");
	s->accounts++;
	s->count[is]++;
	if (grades[is] > s->worst)
		s->worst = grades[is];
	if (grades[is] != OK)
		add_line(s, account, text != NULL ? text : state);
	found = look_at_end(s, msg, account);
	if (found > s->worst)
		s->worst = found;
	found = look_at_disk(s, msg, account);
	if (found > s->worst)
		s->worst = found;
	return 0;
}

/* An agent that is away is as bad as can be: mail will wait. */
static int
cannot_tell(const struct diag *d)
{
	int grade = d->kind == DIAG_RETRY ? CRITICAL : UNKNOWN;

	printf("MAILTOKEN %s - ", words[grade]);
	put_text(stdout, d->text);
	return grade;
}

int
nagios_status(struct cli *c, const char *account)
{
	auto_buf struct buf request = BUF_INIT(WIRE_MAX_BYTES);
	auto_free char *lines = NULL;
	struct survey s = { .worst = OK };
	struct diag d = DIAG_INIT;
	struct token_agent agent;
	size_t len = 0;
	int rc = -1;

	wire_put(&request, "version", WIRE_VERSION);
	wire_put(&request, "op", "status");
	wire_put(&request, "account", account);
	wire_end(&request);
	(void)cli_agent(c, &agent);
	s.lines = open_memstream(&lines, &len);
	if (request.failed || s.lines == NULL)
		(void)diag_nomem(&d);
	else
		rc = token_agent_ask_many(&agent, &request, each, &s, &d);
	if (s.lines != NULL && fclose(s.lines) != 0 && rc == 0)
		rc = diag_nomem(&d);
	if (rc < 0)
		return cannot_tell(&d);
	printf("MAILTOKEN %s - %" PRId64 " account%s", words[s.worst],
	    s.accounts, s.accounts == 1 ? "" : "s");
	for (enum cli_state i = 0; i < STATE__COUNT; i++)
		printf("%s%s=%" PRId64, i == 0 ? " | " : " ", cli_state_name(i),
		    s.count[i]);
	printf("\n%s", lines);
	return s.worst;
}
