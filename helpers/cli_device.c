/* cli_device.c - a login on any device that has a browser. */
#include <stdio.h>

#include "cli_login.h"
#include "clock.h"
#include "device.h"
#include "echo.h"

static int
ask_for_code(struct login *l, struct device *d, struct diag *reterr)
{
	struct cli_provider *p = &l->provider;
	auto_answer struct cli_answer answer = CLI_ANSWER_INIT;
	auto_request struct oauth2_request request = OAUTH2_REQUEST_INIT;
	auto_credential struct credential c = { .client = { 0 } };

	if (p->device_authorization == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "this provider has no login by device: leave --device out");
	if (cli_provider_credential(p, &c, reterr) < 0 ||
	    oauth2_device_request(
		&c.client, l->account->scope, &request, reterr) < 0 ||
	    cli_provider_ask(
		p, p->device_authorization, &request, &answer, reterr) < 0)
		return -1;
	return device_start(d, answer.status, answer.retry_after_s,
		   answer.body.ptr, answer.body.len, l->account->insecure_http,
		   clock_now_ms(), reterr) == 0 ?
		   0 :
		   echo_hide_request(&request, reterr);
}

static void
show_code(const struct login *l, const struct device *d)
{
	cli_say("account %s: open this page on any device and log in as the "
		"mailbox's owner:",
	    l->account->name);
	fprintf(
	    stderr, "\n    page   %s\n    code   %s\n", d->uri, d->user_code);
	if (*d->uri_complete != '\0')
		fprintf(stderr, "    both   %s\n", d->uri_complete);
	fputc('\n', stderr);
}

static int
poll_once(struct login *l, struct device *d, struct oauth2_tokens *ret,
    struct diag *reterr)
{
	struct cli_provider *p = &l->provider;
	auto_answer struct cli_answer answer = CLI_ANSWER_INIT;
	auto_request struct oauth2_request request = OAUTH2_REQUEST_INIT;
	auto_credential struct credential c = { .client = { 0 } };
	struct diag why = DIAG_INIT;

	/* A client's assertion lives shorter than a code. */
	if (cli_provider_credential(p, &c, reterr) < 0 ||
	    oauth2_device_code_request(&c.client, &d->code, &request, reterr) <
		0)
		return -1;
	if (cli_provider_ask(p, p->token, &request, &answer, &why) == 0) {
		device_answered(d, clock_now_ms(), answer.status,
		    answer.retry_after_s, answer.body.ptr, answer.body.len,
		    ret);
		(void)echo_hide_request(&request, &d->why);
	} else {
		device_unanswered(d, clock_now_ms(), &why);
	}
	return 0;
}

static int
wait_for_tokens(struct login *l, struct device *d, struct oauth2_tokens *ret,
    struct diag *reterr)
{
	cli_wait_show(
	    &l->wait, "waiting for the login with that code", d->end_ms);
	while (d->state == DEVICE_WAITING) {
		if (cli_wait_run(&l->wait, device_due_ms(d), NULL) < 0)
			return diag_set(reterr, DIAG_RETRY, "%s", "");
		if (device_poll(d, clock_now_ms()) &&
		    poll_once(l, d, ret, reterr) < 0)
			return -1;
	}
	if (d->state == DEVICE_DONE)
		return 0;
	*reterr = d->why;
	return -1;
}

int
login_by_device(struct login *l, struct oauth2_tokens *ret, struct diag *reterr)
{
	struct device d = { .state = DEVICE_FAILED };
	int rc = ask_for_code(l, &d, reterr);

	if (rc == 0) {
		show_code(l, &d);
		rc = wait_for_tokens(l, &d, ret, reterr);
		cli_wait_hide(&l->wait);
	}
	device_wipe(&d);
	return rc;
}
