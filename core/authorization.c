#include "authorization.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "advice.h"
#include "form.h"
#include "oauth2.h"

#define RANDOM_BYTES 32
#define URL_MAX	     16384

static bool
to_base64url(const unsigned char *bytes, size_t n, struct secret *ret)
{
	auto_buf struct buf b = BUF_INIT(4 * RANDOM_BYTES);

	base64url_add(&b, (const char *)bytes, n);
	return !b.failed && secret_set(ret, b.ptr, b.len);
}

static bool
random_word(struct secret *ret)
{
	unsigned char bytes[RANDOM_BYTES];
	bool good = RAND_priv_bytes(bytes, sizeof(bytes)) == 1 &&
		    to_base64url(bytes, sizeof(bytes), ret);

	secret_erase(bytes, sizeof(bytes));
	return good;
}

int
authorization_init(struct authorization *a, struct diag *reterr)
{
	*a = (struct authorization)AUTHORIZATION_INIT;
	if (random_word(&a->verifier) && random_word(&a->state))
		return 0;
	authorization_wipe(a);
	return diag_nomem(reterr);
}

void
authorization_wipe(struct authorization *a)
{
	secret_wipe(&a->verifier);
	secret_wipe(&a->state);
}

bool
authorization_challenge(const struct secret *verifier, struct secret *ret)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return EVP_Digest(verifier->ptr, verifier->len, hash, &n, EVP_sha256(),
		   NULL) == 1 &&
	       to_base64url(hash, n, ret);
}

static bool
looks_like_mailbox(const char *name)
{
	const char *at = strchr(name, '@');

	return at != NULL && at != name && at[1] != '\0';
}

/* The word is one of those in the list, which blanks separate. */
static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; list != NULL && *list != '\0'; list += strspn(list, " ")) {
		size_t here = strcspn(list, " ");

		if (here == n && memcmp(list, word, n) == 0)
			return true;
		list += here;
	}
	return false;
}

static void
put(struct buf *b, const char *key, const char *value)
{
	if (value != NULL)
		form_add(b, key, value, strlen(value));
}

/*
 * Google gives a refresh token only for access_type=offline and only when it
 * asks for consent; OpenID Connect Core section 11 has the latter for
 * everybody's offline_access.  Microsoft does not, but would take whoever is
 * logged in already.
 */
static void
put_prompt(struct buf *b, const struct account *a)
{
	if (strcmp(a->provider, "google") == 0) {
		put(b, "access_type", "offline");
		put(b, "prompt", "consent");
	} else if (strcmp(a->provider, "custom") != 0) {
		put(b, "prompt", "select_account");
	} else if (has_word(a->scope, "offline_access")) {
		put(b, "prompt", "consent");
	}
	if (looks_like_mailbox(a->name))
		put(b, "login_hint", a->name);
}

int
authorization_url(const struct authorization *a, const struct account *account,
    const char *endpoint, const char *redirect_uri, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf query = BUF_INIT(URL_MAX), url = BUF_INIT(URL_MAX);
	auto_secret struct secret challenge = SECRET_INIT;

	if (!authorization_challenge(&a->verifier, &challenge))
		return diag_nomem(reterr);
	put(&query, "client_id", account->client_id);
	put(&query, "response_type", "code");
	put(&query, "response_mode", "query");
	put(&query, "redirect_uri", redirect_uri);
	put(&query, "scope", account->scope);
	put(&query, "state", a->state.ptr);
	put(&query, "code_challenge", challenge.ptr);
	put(&query, "code_challenge_method", "S256");
	put_prompt(&query, account);
	buf_adds(&url, endpoint);
	/* RFC 6749 section 3.1: the endpoint may have a query of its own. */
	buf_adds(&url, strchr(endpoint, '?') == NULL ? "?" : "&");
	buf_add(&url, query.ptr, query.len);
	if (query.failed || url.failed || !secret_set(ret, url.ptr, url.len))
		return diag_nomem(reterr);
	return 0;
}

static bool
same(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && a->len > 0 &&
	       CRYPTO_memcmp(a->ptr, b->ptr, a->len) == 0;
}

static int
malformed(struct diag *reterr)
{
	return diag_set(reterr, DIAG_PROTO,
	    "the provider's redirect brings a parameter twice, or none that "
	    "helps: run mailtoken login again");
}

/* The provider says no, in its own words. */
static int
refused(const struct secret *error, const char *query, size_t len,
    struct diag *reterr)
{
	auto_secret struct secret words = SECRET_INIT;
	auto_secret struct secret subcode = SECRET_INIT;
	struct refusal r = { .error = error->ptr };

	if (form_get(query, len, "error_description", &words) < 0 ||
	    form_get(query, len, "error_subcode", &subcode) < 0)
		return malformed(reterr);
	r.description = words.ptr;
	r.suberror = subcode.ptr;
	return advice_refusal(400, 0, &r, reterr);
}

static bool
printable(const struct secret *s)
{
	for (size_t i = 0; i < s->len; i++)
		if (s->ptr[i] < ' ' || s->ptr[i] > '~')
			return false;
	return s->len > 0 && s->len <= OAUTH2_TOKEN_MAX;
}

static int
read_code(const struct account *account, const char *query, size_t len,
    struct secret *ret, struct diag *reterr)
{
	auto_secret struct secret error = SECRET_INIT, iss = SECRET_INIT;
	auto_secret struct secret code = SECRET_INIT;
	int has_iss = form_get(query, len, "iss", &iss);
	int has_error = form_get(query, len, "error", &error);
	int has_code = form_get(query, len, "code", &code);

	if (has_iss < 0 || has_error < 0 || has_code < 0 ||
	    has_error == has_code)
		return malformed(reterr);
	if (has_iss > 0 && account->issuer != NULL &&
	    strcmp(iss.ptr, account->issuer) != 0)
		return diag_set(reterr, DIAG_PROTO,
		    "the redirect comes from another issuer than the one that "
		    "was asked: run mailtoken login again");
	if (has_error > 0)
		return refused(&error, query, len, reterr);
	if (!printable(&code))
		return malformed(reterr);
	secret_move(ret, &code);
	return 0;
}

enum authorization_answer
authorization_read(struct authorization *a, const struct account *account,
    const char *query, size_t len, struct secret *ret, struct diag *reterr)
{
	auto_secret struct secret state = SECRET_INIT;

	if (query == NULL || len > AUTHORIZATION_QUERY_MAX ||
	    form_get(query, len, "state", &state) != 1 ||
	    !same(&state, &a->state))
		return AUTHORIZATION_STRANGER;
	if (a->answered)
		return AUTHORIZATION_AGAIN;
	a->answered = true;
	return read_code(account, query, len, ret, reterr) < 0 ?
		   AUTHORIZATION_REFUSED :
		   AUTHORIZATION_CODE;
}
