#include "oauth2.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "advice.h"
#include "form.h"
#include "json.h"

#define LIFE_MAX_S (90 * 24 * 3600)
#define URL_MAX	   2048

static const char well_known[] = "/.well-known/openid-configuration";

void
oauth2_request_wipe(struct oauth2_request *r)
{
	buf_wipe(&r->body);
	secret_wipe(&r->authorization);
}

void
oauth2_tokens_wipe(struct oauth2_tokens *t)
{
	secret_wipe(&t->access_token);
	secret_wipe(&t->refresh_token);
	*t = (struct oauth2_tokens)OAUTH2_TOKENS_INIT;
}

/* RFC 6749 section 2.3.1: both parts form-encoded, then base64. */
static bool
basic_authorization(const struct oauth2_client *c, struct secret *ret)
{
	auto_buf struct buf pair = BUF_INIT(OAUTH2_REQUEST_MAX);
	auto_buf struct buf value = BUF_INIT(OAUTH2_REQUEST_MAX * 2);

	form_encode(&pair, c->id, strlen(c->id));
	buf_adds(&pair, ":");
	form_encode(&pair, c->secret->ptr, c->secret->len);
	if (pair.failed)
		return false;
	buf_adds(&value, "Basic ");
	base64_add(&value, pair.ptr, pair.len);
	return !value.failed && secret_set(ret, value.ptr, value.len);
}

static bool
has(const struct secret *s)
{
	return s != NULL && !secret_empty(s);
}

static void
put(struct oauth2_request *r, const char *key, const char *value)
{
	if (value != NULL)
		form_add(&r->body, key, value, strlen(value));
}

static void
put_secret(
    struct oauth2_request *r, const char *key, const struct secret *value)
{
	if (has(value))
		form_add(&r->body, key, value->ptr, value->len);
}

/* Who asks: one way to say it, never two. */
static void
put_client(struct oauth2_request *r, const struct oauth2_client *c)
{
	if (has(c->secret) && c->auth == CLIENT_AUTH_BASIC) {
		if (!basic_authorization(c, &r->authorization))
			r->body.failed = true;
		return;
	}
	put(r, "client_id", c->id);
	put_secret(r, "client_secret", c->secret);
	if (has(c->assertion)) {
		put(r, "client_assertion_type",
		    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
		put_secret(r, "client_assertion", c->assertion);
	}
}

static void
begin(struct oauth2_request *r, const char *grant_type)
{
	oauth2_request_wipe(r);
	put(r, "grant_type", grant_type);
}

static int
end(struct oauth2_request *r, struct diag *reterr)
{
	bool large = r->body.len > OAUTH2_REQUEST_MAX / 2;

	if (!r->body.failed)
		return 0;
	oauth2_request_wipe(r);
	/* Appends that pass the ceiling and those without memory look alike. */
	if (large)
		return diag_set(reterr, DIAG_CONFIG,
		    "client_secret, scope or "
		    "refresh token is too long for a request");
	return diag_nomem(reterr);
}

int
oauth2_refresh_request(const struct oauth2_client *client, const char *scope,
    const struct secret *refresh_token, struct oauth2_request *ret,
    struct diag *reterr)
{
	if (secret_empty(refresh_token))
		return diag_set(reterr, DIAG_CONFIG, "no refresh token");
	begin(ret, "refresh_token");
	put_client(ret, client);
	put(ret, "scope", scope);
	put_secret(ret, "refresh_token", refresh_token);
	return end(ret, reterr);
}

int
oauth2_credentials_request(const struct oauth2_client *client,
    const char *scope, struct oauth2_request *ret, struct diag *reterr)
{
	if (!has(client->secret) && !has(client->assertion))
		return diag_set(reterr, DIAG_CONFIG,
		    "grant client_credentials needs a client_secret or a "
		    "client_certificate");
	begin(ret, "client_credentials");
	put_client(ret, client);
	put(ret, "scope", scope);
	return end(ret, reterr);
}

int
oauth2_assertion_request(const struct secret *assertion, const char *scope,
    struct oauth2_request *ret, struct diag *reterr)
{
	begin(ret, "urn:ietf:params:oauth:grant-type:jwt-bearer");
	put(ret, "scope", scope);
	put_secret(ret, "assertion", assertion);
	return end(ret, reterr);
}

int
oauth2_code_request(const struct oauth2_client *client,
    const struct secret *code, const char *redirect_uri,
    const struct secret *verifier, struct oauth2_request *ret,
    struct diag *reterr)
{
	begin(ret, "authorization_code");
	put_client(ret, client);
	put(ret, "redirect_uri", redirect_uri);
	put_secret(ret, "code", code);
	put_secret(ret, "code_verifier", verifier);
	return end(ret, reterr);
}

int
oauth2_device_request(const struct oauth2_client *client, const char *scope,
    struct oauth2_request *ret, struct diag *reterr)
{
	oauth2_request_wipe(ret);
	put_client(ret, client);
	put(ret, "scope", scope);
	return end(ret, reterr);
}

int
oauth2_device_code_request(const struct oauth2_client *client,
    const struct secret *device_code, struct oauth2_request *ret,
    struct diag *reterr)
{
	begin(ret, "urn:ietf:params:oauth:grant-type:device_code");
	put_client(ret, client);
	put_secret(ret, "device_code", device_code);
	return end(ret, reterr);
}

int
oauth2_revocation_request(const struct oauth2_client *client,
    const struct secret *token, const char *hint, struct oauth2_request *ret,
    struct diag *reterr)
{
	oauth2_request_wipe(ret);
	put_client(ret, client);
	put(ret, "token_type_hint", hint);
	put_secret(ret, "token", token);
	return end(ret, reterr);
}

static int
refusal(long http_status, int64_t retry_after_s, struct json *o,
    const char *error, struct diag *reterr)
{
	struct refusal r = { .error = error,
		.suberror = json_str(o, "suberror"),
		.description = json_str(o, "error_description"),
		.trace_id = json_str(o, "trace_id") };

	if (r.suberror == NULL)
		r.suberror = json_str(o, "error_subtype"); /* Google's */
	(void)json_int_at(o, "error_codes", 0, &r.number);
	return advice_refusal(http_status, retry_after_s, &r, reterr);
}

/* RFC 6749 appendix A.12 and A.17, and what fits in a SASL message. */
static bool
token_ok(const char *s, char lowest)
{
	size_t n = strlen(s);

	if (n == 0 || n > OAUTH2_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < lowest || s[i] > 0x7e)
			return false;
	return true;
}

/* When it ends and when the provider would like it renewed. */
static int
read_times(struct json *o, struct oauth2_tokens *t, struct diag *reterr)
{
	t->life_s = OAUTH2_DEFAULT_LIFE_S;
	t->refresh_in_s = 0;
	(void)json_int(o, "expires_in", &t->life_s);
	if (t->life_s <= 0)
		return diag_set(reterr, DIAG_RETRY,
		    "provider answered with a "
		    "token that has already expired");
	if (t->life_s > LIFE_MAX_S)
		t->life_s = LIFE_MAX_S;
	(void)json_int(o, "refresh_in", &t->refresh_in_s);
	if (t->refresh_in_s < 0 || t->refresh_in_s >= t->life_s)
		t->refresh_in_s = 0;
	return 0;
}

static int
read_tokens(struct json *o, struct oauth2_tokens *ret, struct diag *reterr)
{
	const char *access = json_str(o, "access_token");
	const char *refresh = json_str(o, "refresh_token");
	const char *type = json_str(o, "token_type");
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;

	/* First of all: see oauth2.h. */
	if (refresh != NULL && token_ok(refresh, 0x20) &&
	    !secret_set(&ret->refresh_token, refresh, strlen(refresh)))
		return diag_nomem(reterr);
	if (access == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "provider answered "
		    "without an access token: is token_endpoint right?");
	if (!token_ok(access, 0x21) ||
	    (refresh != NULL && *refresh != '\0' && !token_ok(refresh, 0x20)))
		return diag_set(reterr, DIAG_CONFIG,
		    "provider answered with "
		    "a token that is empty, longer than %d bytes or not "
		    "printable",
		    OAUTH2_TOKEN_MAX);
	if (type != NULL && strcasecmp(type, "Bearer") != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "provider answered with "
		    "a token that is not of type Bearer: ask it for those");
	if (read_times(o, &t, reterr) < 0)
		return -1;
	if (!secret_set(&t.access_token, access, strlen(access)))
		return diag_nomem(reterr);
	if (refresh != NULL && *refresh != '\0')
		secret_move(&t.refresh_token, &ret->refresh_token);
	oauth2_tokens_wipe(ret);
	*ret = t;
	return 0;
}

int
oauth2_parse_tokens(long http_status, int64_t retry_after_s, const char *body,
    size_t len, struct oauth2_tokens *ret, struct diag *reterr)
{
	auto_json struct json *o = json_read(body, len, OAUTH2_ANSWER_MAX);
	const char *error;

	if (o == NULL)
		return advice_status(http_status, retry_after_s,
		    len == 0 ? "nothing" : "something that is not JSON",
		    reterr);
	error = json_str(o, "error");
	if (error != NULL && *error != '\0')
		return refusal(http_status, retry_after_s, o, error, reterr);
	if (http_status < 200 || http_status >= 300)
		return advice_status(http_status, retry_after_s,
		    "JSON that is no OAuth2 error", reterr);
	return read_tokens(o, ret, reterr);
}

char *
oauth2_discovery_url(const char *issuer)
{
	size_t n = strlen(issuer);
	char *url = malloc(n + sizeof(well_known));

	if (url == NULL)
		return NULL;
	while (n > 0 && issuer[n - 1] == '/')
		n--;
	memcpy(url, issuer, n);
	memcpy(url + n, well_known, sizeof(well_known));
	return url;
}

void
oauth2_endpoints_free(struct oauth2_endpoints *e)
{
	free(e->token);
	free(e->authorization);
	free(e->device_authorization);
	free(e->revocation);
	*e = (struct oauth2_endpoints)OAUTH2_ENDPOINTS_INIT;
}

/* False: no memory.  What is not there or cannot be a URL stays NULL. */
static bool
read_endpoint(const struct json *o, const char *key, char **ret)
{
	const char *url = json_str(o, key);

	if (url == NULL || strlen(url) > URL_MAX)
		return true;
	return (*ret = strdup(url)) != NULL;
}

int
oauth2_parse_discovery(const char *issuer, long http_status, const char *body,
    size_t len, struct oauth2_endpoints *ret, struct diag *reterr)
{
	auto_json struct json *o = json_read(body, len, OAUTH2_ANSWER_MAX);
	struct oauth2_endpoints e = OAUTH2_ENDPOINTS_INIT;
	const char *is;

	if (http_status != 200 || o == NULL) {
		(void)advice_status(http_status, 0,
		    len == 0  ? "nothing" :
		    o == NULL ? "something that is not JSON" :
				"JSON",
		    reterr);
		return diag_wrap(reterr, "looking up the issuer");
	}
	is = json_str(o, "issuer");
	if (is == NULL || strcmp(is, issuer) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "the issuer's document is "
		    "for '%.200s', not for '%.200s': write it exactly so",
		    is != NULL ? is : "", issuer);
	if (!read_endpoint(o, "token_endpoint", &e.token) ||
	    !read_endpoint(o, "authorization_endpoint", &e.authorization) ||
	    !read_endpoint(
		o, "device_authorization_endpoint", &e.device_authorization) ||
	    !read_endpoint(o, "revocation_endpoint", &e.revocation)) {
		oauth2_endpoints_free(&e);
		return diag_nomem(reterr);
	}
	if (e.token == NULL) {
		oauth2_endpoints_free(&e);
		return diag_set(reterr, DIAG_CONFIG,
		    "the issuer's document "
		    "names no token_endpoint: set it in the configuration");
	}
	*ret = e;
	return 0;
}
