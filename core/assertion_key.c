#include "assertion_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"

#define BITS_MIN	  2048
#define STORE_OBJECTS_MAX 64
#define LABEL_MAX	  200 /* of a store's URI in an error */

static void
bio_drop(BIO **p)
{
	(void)BIO_free(*p);
}
static void
pkey_drop(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
static void
ui_drop(UI_METHOD **p)
{
	UI_destroy_method(*p);
}
static void
store_drop(OSSL_STORE_CTX **p)
{
	(void)OSSL_STORE_close(*p);
}
/* OpenSSL's list of errors is the thread's: TLS must not find ours in it. */
static void
errors_drop(const int *unused)
{
	(void)unused;
	ERR_clear_error();
}

#define auto_bio    __attribute__((cleanup(bio_drop)))
#define auto_pkey   __attribute__((cleanup(pkey_drop)))
#define auto_ui	    __attribute__((cleanup(ui_drop)))
#define auto_store  __attribute__((cleanup(store_drop)))
#define auto_errors __attribute__((cleanup(errors_drop), unused))

/* The last cause in OpenSSL's words: constants, nothing of the file. */
static const char *
openssl_reason(void)
{
	const char *s = ERR_reason_error_string(ERR_peek_last_error());

	return s != NULL ? s : "no reason given";
}

/* Stands where OpenSSL would ask at a terminal. */
struct prompt {
	const struct secret *passphrase; /* NULL: none */
	bool asked;
};

static int
prompt_answer(char *to, int size, int writing, void *arg)
{
	struct prompt *p = arg;
	const struct secret *s = p->passphrase;

	(void)writing;
	p->asked = true;
	if (s == NULL || secret_empty(s) || s->len > (size_t)size)
		return -1;
	memcpy(to, s->ptr, s->len);
	return (int)s->len;
}

static bool
has(const struct buf *pem, const char *text)
{
	return pem->len > 0 &&
	       memmem(pem->ptr, pem->len, text, strlen(text)) != NULL;
}

/* What is wrong with a file that gave no key. */
static int
explain_file(const char *path, const struct buf *pem, const struct prompt *p,
    struct diag *reterr)
{
	if (p->asked && (p->passphrase == NULL || secret_empty(p->passphrase)))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the private key is encrypted; say where its "
		    "passphrase is with client_key_passphrase",
		    path);
	if (p->asked)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: client_key_passphrase does not open the private key "
		    "(%s); correct the passphrase",
		    path, openssl_reason());
	if (has(pem, "OPENSSH PRIVATE KEY-----"))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the key is in the form of OpenSSH; convert it: "
		    "ssh-keygen -p -m PKCS8 -f %s",
		    path, path);
	if (has(pem, "PRIVATE KEY-----"))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the private key is damaged (%s); restore the file",
		    path, openssl_reason());
	if (has(pem, "CERTIFICATE-----"))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: has a certificate, but no private key; name the key's "
		    "file in client_key",
		    path);
	if (pem->len > 0 && pem->ptr[0] == '\x30')
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: binary (PKCS#12, PFX or DER), not PEM; convert it, "
		    "for PKCS#12 with: openssl pkcs12 -in %s -out NEW.pem",
		    path, path);
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: has no private key (-----BEGIN PRIVATE KEY-----); name the "
	    "file that has it in client_key",
	    path);
}

/* A key to sign with; where is for people.  *pkey is taken over. */
static struct assertion_key *
key_take(EVP_PKEY **pkey, const char *where, struct diag *reterr)
{
	struct assertion_key *k;

	if (!EVP_PKEY_is_a(*pkey, "RSA")) {
		const char *type = EVP_PKEY_get0_type_name(*pkey);

		(void)diag_set(reterr, DIAG_CONFIG,
		    "%s: a key of type %s; an RSA key is needed, make one of "
		    "2048 bits or more and a certificate for it",
		    where, type != NULL ? type : "unknown");
		return NULL;
	}
	if (EVP_PKEY_get_bits(*pkey) < BITS_MIN) {
		(void)diag_set(reterr, DIAG_CONFIG,
		    "%s: an RSA key of %d bits is too short; make one of %d "
		    "bits or more and a certificate for it",
		    where, EVP_PKEY_get_bits(*pkey), BITS_MIN);
		return NULL;
	}
	if ((k = malloc(sizeof(*k))) == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	k->pkey = take_ptr(pkey);
	k->asked = false;
	return k;
}

static int
key_file_read(
    const char *path, const char *owner, struct buf *pem, struct diag *reterr)
{
	auto_close int fd = -1;
	char cure[128];
	struct stat st;

	(void)snprintf(cure, sizeof(cure),
	    "let it belong to %s (chown), mode 0600", owner);
	if ((fd = regfile_open(path, cure, &st, reterr)) < 0)
		return -1;
	if (regfile_private(path, &st, reterr) < 0)
		return -1;
	return regfile_slurp(fd, path, ASSERTION_PEM_MAX, pem, reterr);
}

/* The bytes stay where they are, and are not copied. */
static BIO *
bio_on(const char *bytes, size_t len)
{
	return BIO_new_mem_buf(len > 0 ? bytes : "", (int)len);
}

static struct assertion_key *
key_from_file(
    const char *path, struct prompt *p, const char *owner, struct diag *reterr)
{
	auto_buf struct buf pem = BUF_INIT(ASSERTION_PEM_MAX + 1);
	auto_pkey EVP_PKEY *pkey = NULL;
	auto_bio BIO *bio = NULL;

	if (key_file_read(path, owner, &pem, reterr) < 0)
		return NULL;
	if ((bio = bio_on(pem.ptr, pem.len)) == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	pkey = PEM_read_bio_PrivateKey(bio, NULL, prompt_answer, p);
	if (pkey == NULL) {
		(void)explain_file(path, &pem, p, reterr);
		return NULL;
	}
	return key_take(&pkey, path, reterr);
}

static int
no_terminal(UI *unused)
{
	(void)unused;
	return 0;
}

/*
 * A provider that got no answer from us may still ask in OpenSSL's default
 * way, which opens /dev/tty, now or when it signs.
 */
static bool
terminal_close(void)
{
	UI_METHOD *none;

	if (UI_method_get_opener(UI_get_default_method()) == no_terminal)
		return true;
	none = UI_create_method("nobody to ask");
	if (UI_method_set_opener(none, no_terminal) < 0) /* or no memory */
		return false;
	UI_set_default_method(none);
	return true;
}

/* A URI as an error may show it: a PIN can stand in it. */
static void
uri_label(const char *uri, char label[LABEL_MAX])
{
	const char *pin = strcasestr(uri, "pin-");
	size_t n = strcspn(uri, "?"), most = LABEL_MAX - sizeof("...");

	if (pin != NULL && (size_t)(pin - uri) < n)
		n = (size_t)(pin - uri);
	(void)snprintf(label, LABEL_MAX, "%.*s%s", (int)(n < most ? n : most),
	    uri, n > most ? "..." : "");
}

/* "file:/PATH" in its forms (RFC 8089) -> "/PATH"; NULL: not a file's. */
static const char *
uri_path(const char *uri)
{
	static const char *const forms[] = { "file://localhost/", "file:///",
		"file:/" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strncasecmp(uri, forms[i], strlen(forms[i])) == 0)
			return uri + strlen(forms[i]) - 1;
	return NULL;
}

/* The first private key in the store; NULL: none. */
static EVP_PKEY *
store_key(OSSL_STORE_CTX *store)
{
	EVP_PKEY *pkey = NULL;

	(void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	for (int i = 0; pkey == NULL && i < STORE_OBJECTS_MAX &&
			OSSL_STORE_eof(store) == 0;
	     i++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info != NULL)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return pkey;
}

/* Whether a provider in openssl.cnf serves the scheme of a URI. */
static int
scheme_check(const char *uri, const char *label, struct diag *reterr)
{
	size_t n = strcspn(uri, ":");
	char scheme[32];
	OSSL_STORE_LOADER *loader;

	if (uri[n] != ':' || n == 0 || n >= sizeof(scheme))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: neither an absolute path nor a URI like pkcs11:...; "
		    "correct client_key",
		    label);
	memcpy(scheme, uri, n);
	scheme[n] = '\0';
	if ((loader = OSSL_STORE_LOADER_fetch(NULL, scheme, NULL)) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: no provider of OpenSSL knows '%s:'; install one and "
		    "activate it in openssl.cnf (openssl list -store-loaders "
		    "shows what there is)",
		    label, scheme);
	OSSL_STORE_LOADER_free(loader);
	return 0;
}

static int
explain_store(const char *label, const struct prompt *p, struct diag *reterr)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	const char *remedy =
	    "check the URI, and the provider's settings in openssl.cnf";
	bool given =
	    p->asked && p->passphrase != NULL && !secret_empty(p->passphrase);

	if (p->asked && !given)
		remedy = "it asks for a PIN or passphrase: say where that is "
			 "with client_key_passphrase";
	else if (given)
		remedy = "check the URI, and client_key_passphrase: it asked "
			 "for a PIN or passphrase; then run mailtoken reload, "
			 "until which it is not tried again";
	(void)diag_set(reterr, DIAG_CONFIG,
	    "%s: the store gives no private key%s%s%s; %s", label,
	    reason != NULL ? " (" : "", reason != NULL ? reason : "",
	    reason != NULL ? ")" : "", remedy);
	reterr->once = given;
	return -1;
}

static struct assertion_key *
key_from_store(
    const char *uri, struct prompt *p, const char *owner, struct diag *reterr)
{
	const char *path = uri_path(uri);
	char label[LABEL_MAX];
	auto_buf struct buf bytes = BUF_INIT(ASSERTION_PEM_MAX + 1);
	auto_bio BIO *bio = NULL;
	auto_ui UI_METHOD *ui =
	    UI_UTIL_wrap_read_pem_callback(prompt_answer, 0);
	auto_store OSSL_STORE_CTX *store = NULL;
	auto_pkey EVP_PKEY *pkey = NULL;
	struct assertion_key *key;

	uri_label(uri, label);
	if (scheme_check(uri, label, reterr) < 0)
		return NULL;
	/* Of a file the mode counts: it is opened here, not in there. */
	if (path != NULL) {
		if (key_file_read(path, owner, &bytes, reterr) < 0)
			return NULL;
		bio = bio_on(bytes.ptr, bytes.len);
	}
	if (ui == NULL || !terminal_close() || (path != NULL && bio == NULL)) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	store = bio != NULL ? OSSL_STORE_attach(bio, "file", NULL, NULL, ui, p,
				  NULL, NULL, NULL) :
			      OSSL_STORE_open(uri, ui, p, NULL, NULL);
	if (store == NULL || (pkey = store_key(store)) == NULL) {
		(void)explain_store(label, p, reterr);
		return NULL;
	}
	if ((key = key_take(&pkey, label, reterr)) != NULL)
		key->asked = p->asked;
	return key;
}

struct assertion_key *
assertion_key_load(const char *where, const struct secret *passphrase,
    const char *owner, struct diag *reterr)
{
	struct prompt p = { passphrase, false };
	auto_errors int errors;

	return where[0] == '/' ? key_from_file(where, &p, owner, reterr) :
				 key_from_store(where, &p, owner, reterr);
}

struct assertion_key *
assertion_key_parse(const struct secret *pem, struct diag *reterr)
{
	struct prompt p = { NULL, false };
	auto_errors int errors;
	auto_pkey EVP_PKEY *pkey = NULL;
	auto_bio BIO *bio = NULL;

	if (pem->len <= ASSERTION_PEM_MAX &&
	    (bio = bio_on(pem->ptr, pem->len)) == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, prompt_answer, &p);
	if (pkey == NULL) {
		(void)diag_set(reterr, DIAG_CONFIG,
		    "private_key: not an unencrypted private key in PEM form; "
		    "download the key's file again");
		return NULL;
	}
	return key_take(&pkey, "private_key", reterr);
}

void
assertion_key_free(struct assertion_key **k)
{
	if (*k != NULL)
		EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}
