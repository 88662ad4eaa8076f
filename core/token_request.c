#include "token_request.h"

#include <stdlib.h>
#include <string.h>

#include "advice_name.h"
#include "arc_key.h"
#include "cleanup.h"
#include "credential.h"
#include "echo.h"

void
token_request_wipe(struct token_request *r)
{
	free(r->url);
	oauth2_request_wipe(&r->form);
	managed_identity_request_wipe(&r->identity);
	*r = (struct token_request)TOKEN_REQUEST_INIT;
}

static bool
is_identity(const struct token_request *r)
{
	return r->account->grant == GRANT_MANAGED_IDENTITY;
}

/* Google wants the scope in the assertion, and nothing besides it. */
static const char *
assertion_scope(const struct account *a)
{
	return strcmp(a->provider, "google") == 0 ? NULL : a->scope;
}

static int
make_form(struct oauth2_request *ret, const struct account *a,
    const struct credential *c, const struct secret *refresh_token,
    struct diag *reterr)
{
	switch (a->grant) {
	case GRANT_REFRESH_TOKEN:
		return oauth2_refresh_request(
		    &c->client, a->scope, refresh_token, ret, reterr);
	case GRANT_CLIENT_CREDENTIALS:
	case GRANT_WORKLOAD_IDENTITY:
		return oauth2_credentials_request(
		    &c->client, a->scope, ret, reterr);
	case GRANT_JWT_BEARER:
		return oauth2_assertion_request(
		    &c->assertion, assertion_scope(a), ret, reterr);
	case GRANT_MANAGED_IDENTITY:
	case GRANT__COUNT:
		break;
	}
	return diag_set(reterr, DIAG_CONFIG, "grant has no request");
}

static int
fill(struct token_request *r, const char *endpoint, const struct secret *s,
    const struct secret *refresh_token, int64_t now_s, struct diag *reterr)
{
	auto_credential struct credential c = CREDENTIAL_INIT;
	struct managed_identity_env env;

	if (is_identity(r)) {
		managed_identity_env_read(&env);
		return managed_identity_request(
		    &env, r->account, &r->identity, reterr);
	}
	if ((r->url = strdup(endpoint)) == NULL)
		return diag_nomem(reterr);
	if (credential_init(&c, r->account, s, endpoint, now_s, reterr) < 0)
		return -1;
	return make_form(&r->form, r->account, &c, refresh_token, reterr);
}

int
token_request_init(struct token_request *ret, const struct account *a,
    const char *endpoint, const struct secret *s,
    const struct secret *refresh_token, int64_t now_s, struct diag *reterr)
{
	*ret = (struct token_request)TOKEN_REQUEST_INIT;
	ret->account = a;
	if (fill(ret, endpoint, s, refresh_token, now_s, reterr) == 0)
		return 0;
	token_request_wipe(ret);
	return -1;
}

struct http_call *
token_request_discover(const struct account *a, struct http *h, http_done *done,
    void *arg, struct diag *reterr)
{
	auto_free char *url = oauth2_discovery_url(a->issuer);
	struct http_request q = { .url = url,
		.ca_file = a->ca_file,
		.insecure_http = a->insecure_http,
		.timeout_ms = a->config->http_timeout_s * 1000,
		.answer_max = OAUTH2_ANSWER_MAX };

	if (url == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	return http_start(h, &q, done, arg, reterr);
}

int
token_request_discovered(const struct account *a,
    const struct http_answer *said, const struct diag *why,
    struct oauth2_endpoints *ret, struct diag *reterr)
{
	if (said == NULL) {
		*reterr = *why;
		return -1;
	}
	if (oauth2_parse_discovery(a->issuer, said->status, said->body,
		said->len, ret, reterr) == 0)
		return 0;
	if (reterr->kind == DIAG_RETRY)
		reterr->retry_after_s = said->retry_after_s;
	return -1;
}

/*
 * A refresh token that comes twice may cost the grant, and so may an
 * assertion: its jti was seen already.
 */
static bool
must_not_repeat(const struct account *a)
{
	return a->grant == GRANT_REFRESH_TOKEN ||
	       a->grant == GRANT_JWT_BEARER || a->client_certificate != NULL;
}

struct http_call *
token_request_send(struct token_request *r, struct http *h, http_done *done,
    void *arg, struct diag *reterr)
{
	const struct account *a = r->account;
	bool identity = is_identity(r);
	struct http_request q = { .url = identity ? r->identity.url : r->url,
		.form = identity ? NULL : &r->form.body,
		.authorization = &r->form.authorization,
		.header = &r->identity.header,
		.ca_file = a->ca_file,
		.insecure_http = a->insecure_http,
		.metadata = identity,
		.once = must_not_repeat(a),
		.timeout_ms = a->config->http_timeout_s * 1000,
		.answer_max = OAUTH2_ANSWER_MAX };

	return http_start(h, &q, done, arg, reterr);
}

/* Azure Arc wants to see first that we may read its file. */
static int
meet_challenge(
    struct token_request *r, const char *www_authenticate, struct diag *reterr)
{
	auto_free char *path = NULL;

	r->challenged = true;
	if (arc_key_path(www_authenticate, &path, reterr) < 0)
		return -1;
	return arc_key_authorization(
	    path, r->account->config->user, &r->form.authorization, reterr);
}

static int
take_answer(struct token_request *r, const struct http_answer *a,
    const struct diag *why, int64_t now_s, struct oauth2_tokens *ret,
    struct diag *reterr)
{
	if (a == NULL) {
		*reterr = *why;
		return is_identity(r) ?
			   managed_identity_wrap(r->identity.source, reterr) :
			   -1;
	}
	if (!is_identity(r))
		return oauth2_parse_tokens(a->status, a->retry_after_s, a->body,
			   a->len, ret, reterr) == 0 ?
			   0 :
			   echo_hide_request(&r->form, reterr);
	if (a->status == 401 && r->identity.source == MANAGED_IDENTITY_ARC &&
	    !r->challenged)
		return meet_challenge(r, a->www_authenticate, reterr) < 0 ? -1 :
									    1;
	if (managed_identity_parse(r->identity.source, a->status,
		a->retry_after_s, a->body, a->len, now_s, ret, reterr) == 0)
		return 0;
	diag_hide(reterr, r->identity.header.ptr, r->identity.header.len);
	return -1;
}

int
token_request_answer(struct token_request *r, const struct http_answer *a,
    const struct diag *why, int64_t now_s, struct oauth2_tokens *ret,
    struct diag *reterr)
{
	int rc = take_answer(r, a, why, now_s, ret, reterr);

	if (rc < 0)
		advice_name(reterr, r->account->name);
	return rc;
}
