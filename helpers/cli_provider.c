/* cli_provider.c - one request to a provider at a time. */
#include "cli_provider.h"

#include <stdlib.h>

#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "http.h"

#define FOREVER INT64_MAX /* the request has its own limit */

struct call {
	struct cli_answer *answer;
	struct diag *why;
	bool done;
	int rc;
};

void
cli_answer_wipe(struct cli_answer *a)
{
	buf_wipe(&a->body);
}

static void
on_answer(void *arg, const struct http_answer *a, const struct diag *why)
{
	struct call *c = arg;

	c->done = true;
	if (a == NULL) {
		*c->why = *why;
		return;
	}
	c->answer->status = a->status;
	c->answer->retry_after_s = a->retry_after_s;
	if (a->len > 0)
		buf_add(&c->answer->body, a->body, a->len);
	c->rc = c->answer->body.failed ? diag_nomem(c->why) : 0;
}

int
cli_provider_ask(struct cli_provider *p, const char *url,
    const struct oauth2_request *request, struct cli_answer *ret,
    struct diag *reterr)
{
	struct call c = { .answer = ret, .why = reterr, .rc = -1 };
	const struct account *a = p->account;
	struct http_request q = { .url = url,
		.form = request != NULL ? &request->body : NULL,
		.authorization =
		    request != NULL ? &request->authorization : NULL,
		.ca_file = a->ca_file,
		.insecure_http = a->insecure_http,
		/* Codes and rotating tokens are good for one use. */
		.once = request != NULL,
		.timeout_ms = a->config->http_timeout_s * 1000,
		.answer_max = OAUTH2_ANSWER_MAX };
	struct http_call *call;

	buf_wipe(&ret->body);
	call = http_start(p->http, &q, on_answer, &c, reterr);
	if (call == NULL)
		return -1;
	if (cli_wait_run(p->wait, FOREVER, &c.done) < 0 && !c.done) {
		http_cancel(&call);
		return diag_set(reterr, DIAG_RETRY, "%s", "");
	}
	return c.rc;
}

static int
discover(struct cli_provider *p, struct diag *reterr)
{
	auto_answer struct cli_answer answer = CLI_ANSWER_INIT;
	auto_free char *url = oauth2_discovery_url(p->account->issuer);

	if (url == NULL)
		return diag_nomem(reterr);
	if (cli_provider_ask(p, url, NULL, &answer, reterr) < 0)
		return -1;
	return oauth2_parse_discovery(p->account->issuer, answer.status,
	    answer.body.ptr, answer.body.len, &p->found, reterr);
}

static const char *
either(const char *configured, const char *found)
{
	return configured != NULL ? configured : found;
}

int
cli_provider_open(struct cli_provider *p, struct cli_wait *wait,
    const struct account *account, struct diag *reterr)
{
	*p = (struct cli_provider){ .wait = wait,
		.account = account,
		.http = http_new(wait->base, reterr),
		.found = OAUTH2_ENDPOINTS_INIT };
	if (p->http == NULL)
		return -1;
	if (account->issuer != NULL && discover(p, reterr) < 0)
		return -1;
	p->token = either(account->token_endpoint, p->found.token);
	p->authorization =
	    either(account->authorization_endpoint, p->found.authorization);
	p->device_authorization = either(account->device_authorization_endpoint,
	    p->found.device_authorization);
	p->revocation =
	    either(account->revocation_endpoint, p->found.revocation);
	return 0;
}

void
cli_provider_close(struct cli_provider *p)
{
	http_free(&p->http);
	oauth2_endpoints_free(&p->found);
	*p = (struct cli_provider){ .http = NULL };
}

int
cli_provider_credential(
    const struct cli_provider *p, struct credential *ret, struct diag *reterr)
{
	auto_secret struct secret s = SECRET_INIT;
	const struct secret_ref *ref = credential_secret(p->account);

	if (ref != NULL && config_read_secret(p->account, ref, &s, reterr) < 0)
		return -1;
	return credential_init(ret, p->account, ref != NULL ? &s : NULL,
	    p->token, clock_now_s(), reterr);
}
