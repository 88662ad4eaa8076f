#include "oauth2.h"

#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "advice.h"
#include "form.h"

#define JSON_DEPTH 16
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

static bool
is_public(const struct oauth2_client *c)
{
	return c->secret == NULL || secret_empty(c->secret);
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

/* Who asks, how and for what: the part that all requests share. */
static int
request_build(const struct oauth2_client *c, const char *grant_type,
    const char *scope, const struct secret *refresh_token,
    struct oauth2_request *ret, struct diag *reterr)
{
	struct buf *b = &ret->body;
	size_t rt = refresh_token != NULL ? refresh_token->len : 0;
	size_t cs = is_public(c) ? 0 : c->secret->len;

	oauth2_request_wipe(ret);
	form_add(b, "grant_type", grant_type, strlen(grant_type));
	if (cs > 0 && c->auth == CLIENT_AUTH_BASIC) {
		if (!basic_authorization(c, &ret->authorization))
			b->failed = true;
	} else {
		form_add(b, "client_id", c->id, strlen(c->id));
		if (cs > 0)
			form_add(b, "client_secret", c->secret->ptr, cs);
	}
	if (scope != NULL)
		form_add(b, "scope", scope, strlen(scope));
	if (refresh_token != NULL)
		form_add(b, "refresh_token", refresh_token->ptr, rt);
	if (!b->failed)
		return 0;
	oauth2_request_wipe(ret);
	/* In the worst case every byte becomes three. */
	if ((rt + cs + strlen(c->id) + (scope ? strlen(scope) : 0)) * 3 + 256 >
	    OAUTH2_REQUEST_MAX)
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
	return request_build(
	    client, "refresh_token", scope, refresh_token, ret, reterr);
}

int
oauth2_credentials_request(const struct oauth2_client *client,
    const char *scope, struct oauth2_request *ret, struct diag *reterr)
{
	if (is_public(client))
		return diag_set(reterr, DIAG_CONFIG,
		    "grant client_credentials needs a client_secret");
	return request_build(
	    client, "client_credentials", scope, NULL, ret, reterr);
}

/*
 * Overwrites the strings of a document where they lie.  Out of reach: a value
 * that a repeated key replaced while parsing.
 */
static void
json_bleach(struct json_object *o)
{
	if (json_object_is_type(o, json_type_string)) {
		const char *s = json_object_get_string(o);

		explicit_bzero((void *)(uintptr_t)s,
		    (size_t)json_object_get_string_len(o));
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			json_bleach(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value)
		{
			(void)key;
			json_bleach(value);
		}
	}
}

static void
json_wipe(struct json_object **o)
{
	if (*o == NULL)
		return;
	json_bleach(*o);
	(void)json_object_put(*o);
	*o = NULL;
}
#define auto_json __attribute__((cleanup(json_wipe)))

/*
 * A JSON object, or NULL: anything else, or no memory.  The tokener's own
 * buffer is made as large as it can ever get before it sees a byte: while it
 * grows, realloc() would leave copies of tokens behind.
 */
static struct json_object *
json_read(const char *body, size_t len)
{
	struct json_tokener *tok;
	struct json_object *o = NULL;

	while (len > 0 && strchr(" \t\r\n", body[len - 1]) != NULL)
		len--;
	if (len == 0 || len > OAUTH2_ANSWER_MAX ||
	    memchr(body, '\0', len) != NULL)
		return NULL;
	if ((tok = json_tokener_new_ex(JSON_DEPTH)) == NULL)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	if (printbuf_memset(tok->pb, -1, 0, (int)len + 1) == 0) {
		o = json_tokener_parse_ex(tok, body, (int)len);
		if (json_tokener_get_error(tok) != json_tokener_success)
			json_wipe(&o);
		explicit_bzero(tok->pb->buf, (size_t)tok->pb->size);
	}
	json_tokener_free(tok);
	if (o != NULL && !json_object_is_type(o, json_type_object))
		json_wipe(&o);
	return o;
}

/* NULL unless it is a string without NUL inside. */
static const char *
json_str(struct json_object *o, const char *key)
{
	struct json_object *v;
	const char *s;

	if (!json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

/* A number, or a string of one (as Azure's managed identities send it). */
static bool
json_int(struct json_object *o, const char *key, int64_t *ret)
{
	struct json_object *v;
	const char *s;
	char *end;
	long long n;

	if (!json_object_object_get_ex(o, key, &v))
		return false;
	if (json_object_is_type(v, json_type_int) ||
	    json_object_is_type(v, json_type_double)) {
		*ret = json_object_get_int64(v); /* clamps */
		return true;
	}
	if ((s = json_str(o, key)) == NULL)
		return false;
	n = strtoll(s, &end, 10); /* clamps, too */
	if (end == s || strspn(end, " ") != strlen(end))
		return false;
	*ret = n;
	return true;
}

static int
refusal(long http_status, int64_t retry_after_s, struct json_object *o,
    const char *error, struct diag *reterr)
{
	struct refusal r = { .error = error,
		.suberror = json_str(o, "suberror"),
		.description = json_str(o, "error_description"),
		.trace_id = json_str(o, "trace_id") };
	struct json_object *codes;

	if (json_object_object_get_ex(o, "error_codes", &codes) &&
	    json_object_is_type(codes, json_type_array) &&
	    json_object_array_length(codes) > 0)
		r.number =
		    json_object_get_int64(json_object_array_get_idx(codes, 0));
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
read_times(struct json_object *o, struct oauth2_tokens *t, struct diag *reterr)
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
read_tokens(
    struct json_object *o, struct oauth2_tokens *ret, struct diag *reterr)
{
	const char *access = json_str(o, "access_token");
	const char *refresh = json_str(o, "refresh_token");
	const char *type = json_str(o, "token_type");
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;

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
	if (!secret_set(&t.access_token, access, strlen(access)) ||
	    (refresh != NULL && *refresh != '\0' &&
		!secret_set(&t.refresh_token, refresh, strlen(refresh)))) {
		oauth2_tokens_wipe(&t);
		return diag_nomem(reterr);
	}
	oauth2_tokens_wipe(ret);
	*ret = t;
	return 0;
}

int
oauth2_parse_tokens(long http_status, int64_t retry_after_s, const char *body,
    size_t len, struct oauth2_tokens *ret, struct diag *reterr)
{
	auto_json struct json_object *o = json_read(body, len);
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

int
oauth2_parse_discovery(const char *issuer, long http_status, const char *body,
    size_t len, char **token_endpoint, struct diag *reterr)
{
	auto_json struct json_object *o = json_read(body, len);
	const char *is, *endpoint;
	char *copy;

	if (http_status != 200 || o == NULL) {
		(void)advice_status(http_status, 0,
		    len == 0  ? "nothing" :
		    o == NULL ? "something that is not JSON" :
				"JSON",
		    reterr);
		return diag_wrap(reterr, "looking up the issuer");
	}
	is = json_str(o, "issuer");
	endpoint = json_str(o, "token_endpoint");
	if (is == NULL || strcmp(is, issuer) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "the issuer's document is "
		    "for '%.200s', not for '%.200s': write it exactly so",
		    is != NULL ? is : "", issuer);
	if (endpoint == NULL || strlen(endpoint) > URL_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "the issuer's document "
		    "names no token_endpoint: set it in the configuration");
	if ((copy = strdup(endpoint)) == NULL)
		return diag_nomem(reterr);
	*token_endpoint = copy;
	return 0;
}
