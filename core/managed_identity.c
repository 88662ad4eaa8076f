#include "managed_identity.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "form.h"
#include "json.h"
#include "quote.h"
#include "wire.h"

#define N(table)    (sizeof(table) / sizeof((table)[0]))
#define URL_MAX	    4096
#define LIFE_MAX_S  (90 * 24 * 3600)
#define HALF_LIFE_S (2 * 3600) /* from this life on */

static const char metadata_path[] = "/metadata/identity/oauth2/token";
static const char arc_endpoint[] =
    "http://127.0.0.1:40342/metadata/identity/oauth2/token";
static const char imds_host[] = "http://169.254.169.254";
static const char default_suffix[] = "/.default";

static const struct {
	const char *name;
	const char *version;			  /* api-version */
	const char *id[IDENTITY_RESOURCE_ID + 1]; /* by kind; NULL: none */
} sources[] = {
	[MANAGED_IDENTITY_IMDS] = { .name = "IMDS",
	    .version = "2018-02-01",
	    .id = { [IDENTITY_CLIENT_ID] = "client_id",
		[IDENTITY_OBJECT_ID] = "object_id",
		[IDENTITY_RESOURCE_ID] = "msi_res_id" } },
	[MANAGED_IDENTITY_APP_SERVICE] = { .name = "App Service",
	    .version = "2019-08-01",
	    .id = { [IDENTITY_CLIENT_ID] = "client_id",
		[IDENTITY_OBJECT_ID] = "object_id",
		[IDENTITY_RESOURCE_ID] = "mi_res_id" } },
	/* The machine's own identity only. */
	[MANAGED_IDENTITY_ARC] = { .name = "Azure Arc",
	    .version = "2020-06-01" },
};
_Static_assert(N(sources) == MANAGED_IDENTITY__COUNT, "one row per source");

/* Where its agent is, by the age of the package. */
static const char *const himds[] = { "/opt/azcmagent/bin/himds",
	"/var/opt/azcmagent/bin/himds" };

static const char *
variable(const char *name)
{
	const char *value = secure_getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

void
managed_identity_env_read(struct managed_identity_env *ret)
{
	*ret = (struct managed_identity_env){
		.identity_endpoint = variable("IDENTITY_ENDPOINT"),
		.identity_header = variable("IDENTITY_HEADER"),
		.server_thumbprint = variable("IDENTITY_SERVER_THUMBPRINT"),
		.imds_endpoint = variable("IMDS_ENDPOINT"),
		.authority_host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
	};
	for (size_t i = 0; i < N(himds); i++)
		if (access(himds[i], F_OK) == 0)
			ret->himds = true;
}

void
managed_identity_request_wipe(struct managed_identity_request *r)
{
	free(r->url);
	secret_wipe(&r->header);
	*r = (struct managed_identity_request)MANAGED_IDENTITY_REQUEST_INIT;
}

static int
choose_source(const struct managed_identity_env *e,
    enum managed_identity_source *ret, struct diag *reterr)
{
	bool endpoint = e->identity_endpoint != NULL;

	if (endpoint && e->identity_header != NULL &&
	    e->server_thumbprint != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "the environment is Service Fabric's, whose managed "
		    "identity is not supported: use grant = client_credentials "
		    "with a certificate");
	if (endpoint && e->identity_header != NULL)
		*ret = MANAGED_IDENTITY_APP_SERVICE;
	else if ((endpoint && e->imds_endpoint != NULL) || e->himds)
		*ret = MANAGED_IDENTITY_ARC;
	else
		*ret = MANAGED_IDENTITY_IMDS;
	return 0;
}

/* The endpoint's URL, without a query. */
static void
add_endpoint(struct buf *b, const struct managed_identity_env *e,
    enum managed_identity_source source)
{
	const char *host = e->authority_host;
	size_t n;

	switch (source) {
	case MANAGED_IDENTITY_APP_SERVICE:
		buf_adds(b, e->identity_endpoint);
		return;
	case MANAGED_IDENTITY_ARC:
		buf_adds(b,
		    e->identity_endpoint != NULL && e->imds_endpoint != NULL ?
			e->identity_endpoint :
			arc_endpoint);
		return;
	case MANAGED_IDENTITY_IMDS:
	case MANAGED_IDENTITY__COUNT:
		break;
	}
	host = host != NULL ? host : imds_host;
	for (n = strlen(host); n > 0 && host[n - 1] == '/';)
		n--;
	buf_add(b, host, n);
	buf_adds(b, metadata_path);
}

/* The scope of Entra ID, as it was called before there were scopes. */
static int
add_resource(struct buf *b, const char *scope, struct diag *reterr)
{
	size_t n = scope != NULL ? strlen(scope) : 0;
	size_t tail = sizeof(default_suffix) - 1;

	if (n >= tail && strcmp(scope + n - tail, default_suffix) == 0)
		n -= tail;
	if (n == 0 || memchr(scope, ' ', n) != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "a managed identity's token is for one resource: write "
		    "scope = RESOURCE/.default");
	buf_adds(b, "resource=");
	form_encode(b, scope, n);
	return 0;
}

static int
add_query(struct buf *b, enum managed_identity_source source,
    const struct account *a, struct diag *reterr)
{
	const char *key = sources[source].id[a->identity];

	if (a->identity != IDENTITY_SYSTEM && key == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s has the machine's own identity only: write "
		    "identity = system",
		    sources[source].name);
	buf_adds(b, "?api-version=");
	buf_adds(b, sources[source].version);
	buf_adds(b, "&");
	if (add_resource(b, a->scope, reterr) < 0)
		return -1;
	if (key != NULL) {
		buf_adds(b, "&");
		buf_adds(b, key);
		buf_adds(b, "=");
		form_encode(b, a->identity_id, strlen(a->identity_id));
	}
	buf_add(b, "", 1);
	return 0;
}

static int
make_header(const struct managed_identity_env *e,
    enum managed_identity_source source, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf line = BUF_INIT(URL_MAX);

	if (source != MANAGED_IDENTITY_APP_SERVICE) {
		buf_adds(&line, "Metadata: true");
	} else {
		const char *value = e->identity_header;

		if (wire_text(value, strlen(value)) != WIRE_TEXT_ASCII)
			return diag_set(reterr, DIAG_CONFIG,
			    "IDENTITY_HEADER has a character that no header "
			    "has: it must be as App Service has set it");
		buf_adds(&line, "X-IDENTITY-HEADER: ");
		buf_adds(&line, value);
	}
	if (line.failed || !secret_set(ret, line.ptr, line.len))
		return diag_nomem(reterr);
	return 0;
}

int
managed_identity_request(const struct managed_identity_env *e,
    const struct account *a, struct managed_identity_request *ret,
    struct diag *reterr)
{
	auto_buf struct buf url = BUF_INIT(URL_MAX);
	struct managed_identity_request r = MANAGED_IDENTITY_REQUEST_INIT;

	if (choose_source(e, &r.source, reterr) < 0)
		return -1;
	add_endpoint(&url, e, r.source);
	if (add_query(&url, r.source, a, reterr) < 0)
		return -1;
	if (url.failed && url.len > URL_MAX / 2)
		return diag_set(reterr, DIAG_CONFIG,
		    "the URL of %s is too long: check identity, scope and the "
		    "environment",
		    sources[r.source].name);
	if (url.failed || (r.url = strdup(url.ptr)) == NULL)
		return diag_nomem(reterr);
	if (make_header(e, r.source, &r.header, reterr) < 0) {
		managed_identity_request_wipe(&r);
		return -1;
	}
	managed_identity_request_wipe(ret);
	*ret = r;
	return 0;
}

static bool
is_transient(long status)
{
	return status == 404 || status == 408 || status == 410 ||
	       status == 429 || status >= 500;
}

/* The words for each endpoint stand in members of other names. */
static int
refuse(enum managed_identity_source source, long status, int64_t retry_after_s,
    const struct json *o, struct diag *reterr)
{
	const struct json *part = json_part(o, "error");
	const char *error = json_str(o, "error");
	const char *words = json_str(o, "error_description");
	enum diag_kind kind = DIAG_CONFIG;
	char code[64] = "", text[184] = "";

	if (part != NULL) {
		error = json_str(part, "code");
		words = json_str(part, "message");
	}
	if (words == NULL)
		words = json_str(o, "message");
	if (error != NULL)
		quote(code, sizeof(code), error, strlen(error));
	if (words != NULL)
		quote(text, sizeof(text), words, strlen(words));
	if (is_transient(status) || (status >= 200 && status < 300))
		kind = DIAG_RETRY;
	(void)diag_set(reterr, kind, "%s answered with status %ld%s%s%s%s: %s",
	    sources[source].name, status, *code != '\0' ? ", " : "", code,
	    *text != '\0' ? ": " : "", text,
	    kind == DIAG_RETRY ?
		"it will be asked again" :
		"does this machine have that identity? check 'identity' and "
		"'scope'");
	if (kind == DIAG_RETRY)
		reterr->retry_after_s = retry_after_s;
	return -1;
}

/*
 * expires_in is counted from when the token was made, which an endpoint that
 * keeps tokens may have done hours ago; expires_on depends on our clock, so
 * what lies in the past is not believed if there is something else.
 */
static int
read_life(const struct json *o, int64_t now_s, struct oauth2_tokens *t,
    struct diag *reterr)
{
	int64_t on = 0, in = 0;
	bool has_in = json_int(o, "expires_in", &in);

	if (json_int(o, "expires_on", &on)) {
		if (on <= now_s && !has_in)
			return diag_set(reterr, DIAG_RETRY,
			    "the token has expired, by this host's clock: "
			    "check the clock");
		if (on > now_s && (!has_in || on - now_s < t->life_s))
			t->life_s = on - now_s;
	}
	if (t->life_s > LIFE_MAX_S)
		t->life_s = LIFE_MAX_S;
	if (t->refresh_in_s >= t->life_s)
		t->refresh_in_s = 0;
	if (t->refresh_in_s == 0 && t->life_s >= HALF_LIFE_S)
		t->refresh_in_s = t->life_s / 2;
	return 0;
}

int
managed_identity_parse(enum managed_identity_source source, long http_status,
    int64_t retry_after_s, const char *body, size_t len, int64_t now_s,
    struct oauth2_tokens *ret, struct diag *reterr)
{
	auto_json struct json *o = json_read(body, len, OAUTH2_ANSWER_MAX);
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;

	if (http_status != 200 || o == NULL ||
	    json_str(o, "access_token") == NULL)
		return refuse(source, http_status, retry_after_s, o, reterr);
	if (oauth2_parse_tokens(
		http_status, retry_after_s, body, len, &t, reterr) < 0 ||
	    read_life(o, now_s, &t, reterr) < 0) {
		oauth2_tokens_wipe(&t);
		return diag_wrap(reterr, "%s", sources[source].name);
	}
	oauth2_tokens_wipe(ret);
	*ret = t;
	return 0;
}

int
managed_identity_wrap(enum managed_identity_source source, struct diag *d)
{
	return diag_wrap(d,
	    "managed identity by %s (is this machine in Azure?)",
	    sources[source].name);
}
