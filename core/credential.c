#include "credential.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "assertion.h"
#include "cleanup.h"
#include "config.h"
#include "json.h"
#include "regfile.h"

static void
drop_key(struct assertion_key **k)
{
	assertion_key_free(k);
}

static void
drop_cert(struct assertion_cert **c)
{
	assertion_cert_free(c);
}

#define auto_key  __attribute__((cleanup(drop_key)))
#define auto_cert __attribute__((cleanup(drop_cert)))

void
credential_wipe(struct credential *c)
{
	secret_wipe(&c->secret);
	secret_wipe(&c->assertion);
	*c = (struct credential)CREDENTIAL_INIT;
}

static const struct secret_ref *
given(const struct secret_ref *ref)
{
	return ref->kind != SECRET_REF_NONE ? ref : NULL;
}

const struct secret_ref *
credential_secret(const struct account *a)
{
	switch (a->grant) {
	case GRANT_REFRESH_TOKEN:
	case GRANT_CLIENT_CREDENTIALS:
		return given(a->client_certificate != NULL ?
				 &a->client_key_passphrase :
				 &a->client_secret);
	case GRANT_JWT_BEARER:
		return given(&a->service_account_key);
	case GRANT_WORKLOAD_IDENTITY:
	case GRANT_MANAGED_IDENTITY:
	case GRANT__COUNT:
		break;
	}
	return NULL;
}

static int
sign_with_certificate(struct credential *c, const struct account *a,
    const struct secret *passphrase, const char *audience, int64_t now_s,
    struct diag *reterr)
{
	const char *where =
	    a->client_key != NULL ? a->client_key : a->client_certificate;
	auto_cert struct assertion_cert *cert =
	    assertion_cert_load(a->client_certificate, reterr);
	auto_key struct assertion_key *key = NULL;

	if (cert == NULL)
		return -1;
	key = assertion_key_load(where, passphrase, a->config->user, reterr);
	if (key == NULL)
		return -1;
	if (assertion_cert_matches(cert, key, reterr) < 0)
		return -1;
	return assertion_client(key, cert, a->assertion_alg, a->client_id,
	    audience, now_s, &c->assertion, reterr);
}

/* Who keeps the file up to date may be doing it at this moment. */
static int
not_yet(const char *path, const char *what, struct diag *reterr)
{
	return diag_set(reterr, DIAG_RETRY,
	    "%s: %s: if that lasts, check client_assertion_file and who "
	    "writes it",
	    path, what);
}

static int
read_assertion(struct credential *c, const char *path, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(OAUTH2_TOKEN_MAX + 1);
	auto_close int fd = -1;
	struct stat st;
	size_t n;

	fd = regfile_open(path,
	    "let the agent's user read it (its group, mode 0640)", &st, reterr);
	if (fd < 0 && access(path, F_OK) < 0 && errno == ENOENT)
		return not_yet(path, "there is no such file", reterr);
	if (fd < 0 || regfile_slurp(fd, path, OAUTH2_TOKEN_MAX, &b, reterr) < 0)
		return -1;
	for (n = b.len; n > 0 && strchr("\r\n\t ", b.ptr[n - 1]) != NULL;)
		n--;
	if (n == 0)
		return not_yet(path, "empty", reterr);
	for (size_t i = 0; i < n; i++)
		if (b.ptr[i] <= ' ' || b.ptr[i] > '~')
			return diag_set(reterr, DIAG_CONFIG,
			    "%s: not a token: check client_assertion_file",
			    path);
	if (!secret_set(&c->assertion, b.ptr, n))
		return diag_nomem(reterr);
	return 0;
}

static int
bad_service_account(struct diag *reterr, const char *what)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "service_account_key %s: make a new key of type JSON for the "
	    "service account",
	    what);
}

static int
sign_for_service_account(struct credential *c, const struct account *a,
    const struct secret *s, const char *audience, int64_t now_s,
    struct diag *reterr)
{
	auto_json struct json *o = json_read(s->ptr, s->len, CONFIG_SECRET_MAX);
	const char *email = json_str(o, "client_email");
	const char *uri = json_str(o, "token_uri");
	const char *pem = json_str(o, "private_key");
	auto_secret struct secret private_key = SECRET_INIT;
	auto_key struct assertion_key *key = NULL;

	if (o == NULL)
		return bad_service_account(reterr, "is no JSON");
	if (email == NULL || pem == NULL)
		return bad_service_account(
		    reterr, "lacks client_email or private_key");
	/* The audience is what we ask; a key for elsewhere is the wrong one. */
	if (uri != NULL && strcmp(uri, audience) != 0)
		return bad_service_account(reterr,
		    "has a token_uri that is not the account's token endpoint");
	if (!secret_set(&private_key, pem, strlen(pem)))
		return diag_nomem(reterr);
	key = assertion_key_parse(&private_key, reterr);
	if (key == NULL)
		return diag_wrap(reterr, "private_key of service_account_key");
	return assertion_service_account(key, json_str(o, "private_key_id"),
	    email, a->subject, a->scope, audience, now_s, &c->assertion,
	    reterr);
}

/* By the way that the grant and the configuration choose. */
static int
fill(struct credential *c, const struct account *a, const struct secret *s,
    const char *audience, int64_t now_s, struct diag *reterr)
{
	static const struct secret none = SECRET_INIT;

	if (s == NULL)
		s = &none;
	switch (a->grant) {
	case GRANT_REFRESH_TOKEN:
	case GRANT_CLIENT_CREDENTIALS:
		if (a->client_certificate != NULL)
			return sign_with_certificate(
			    c, a, s, audience, now_s, reterr);
		return secret_copy(&c->secret, s) ? 0 : diag_nomem(reterr);
	case GRANT_WORKLOAD_IDENTITY:
		return read_assertion(c, a->client_assertion_file, reterr);
	case GRANT_JWT_BEARER:
		return sign_for_service_account(
		    c, a, s, audience, now_s, reterr);
	case GRANT_MANAGED_IDENTITY:
	case GRANT__COUNT:
		break;
	}
	return 0;
}

int
credential_init(struct credential *ret, const struct account *a,
    const struct secret *s, const char *audience, int64_t now_s,
    struct diag *reterr)
{
	*ret = (struct credential)CREDENTIAL_INIT;
	if (fill(ret, a, s, audience, now_s, reterr) < 0) {
		credential_wipe(ret);
		return -1;
	}
	ret->client = (struct oauth2_client){ .id = a->client_id,
		.secret = &ret->secret,
		.auth = a->client_auth,
		.assertion = &ret->assertion };
	return 0;
}

int64_t
credential_expires_at(const struct account *a)
{
	auto_cert struct assertion_cert *cert = NULL;
	struct diag ignored = DIAG_INIT;

	if (a->client_certificate == NULL)
		return a->client_secret_expires_at;
	cert = assertion_cert_load(a->client_certificate, &ignored);
	return cert != NULL ? assertion_cert_expires_at(cert) : 0;
}
