/* Files that the configuration names, and its own: modes, kinds, contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "config_check.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/test_config.XXXXXX";

struct heard {
	struct diag d[8];
	size_t n;
};

static void
hear(void *arg, const struct diag *d)
{
	struct heard *h = arg;

	if (h->n < COUNT(h->d))
		h->d[h->n] = *d;
	h->n++;
}

/* Into a buffer that the next call reuses. */
static const char *
path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
put(const char *name, mode_t mode, const char *bytes, size_t n)
{
	FILE *f;

	(void)unlink(path_of(name));
	f = fopen(path_of(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

static int
set_up(void **unused)
{
	(void)unused;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
tear_down(void **unused)
{
	static const char *const names[] = { "c", "s", "link", "fifo", "sock",
		"cert", "key", "program" };

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

/* One account whose secret is `ref`, in the file "c". */
static struct config *
load_with(const char *ref, const char *more, struct heard *h)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
	    "%s\n[account a]\nprovider = google\nclient_id = 1\n"
	    "client_secret = %s\n",
	    more, ref);

	put("c", 0640, text, (size_t)n);
	*h = (struct heard){ .n = 0 };
	return config_load(path_of("c"), hear, h);
}

static int
read_secret(const char *name, struct secret *s, struct diag *d)
{
	char ref[160];
	struct heard h;
	struct config *c;
	int rc;

	(void)snprintf(ref, sizeof(ref), "file:%s", path_of(name));
	c = load_with(ref, "", &h);
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	rc = config_read_secret(
	    c->accounts[0], &c->accounts[0]->client_secret, s, d);
	config_unref(&c);
	return rc;
}

static void
reads_secrets(void **unused)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		mode_t mode;
		const char *secret; /* or */
		const char *says;
	} cases[] = {
		{ "plain", "s3cret", 6, 0600, "s3cret", NULL },
		{ "newline", "s3cret\n", 7, 0400, "s3cret", NULL },
		{ "CR LF", "s3cret\r\n", 8, 0600, "s3cret", NULL },
		{ "one newline only", "s3cret\n\n", 8, 0600, "s3cret\n", NULL },
		{ "blanks stay", " s3 cret ", 9, 0600, " s3 cret ", NULL },
		{ "group", "s3cret", 6, 0640, NULL,
		    "mode 0640 lets others use it; run: chmod 600 /tmp/" },
		{ "world", "s3cret", 6, 0604, NULL, "mode 0604 lets others" },
		{ "empty", "", 0, 0600, NULL, "empty; write the secret" },
		{ "only a newline", "\n", 1, 0600, NULL, "empty" },
		{ "UTF-16", "s\0e\0", 4, 0600, NULL, "has a NUL byte" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;
		int rc;

		put("s", cases[i].mode, cases[i].bytes, cases[i].len);
		rc = read_secret("s", &s, &d);
		if (rc != (cases[i].secret != NULL ? 0 : -1))
			fail_msg("%s: %s", cases[i].name, d.text);
		if (rc == 0) {
			assert_string_equal(s.ptr, cases[i].secret);
			continue;
		}
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_true(secret_empty(&s));
		if (strstr(d.text, cases[i].says) == NULL ||
		    strstr(d.text, "/c:5: account a: ") == NULL ||
		    strstr(d.text, "s3cret") != NULL)
			fail_msg("%s: %s", cases[i].name, d.text);
	}
}

static void
limits_secrets(void **unused)
{
	char big[CONFIG_SECRET_MAX + 1];
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	memset(big, 'x', sizeof(big));
	put("s", 0600, big, sizeof(big) - 1);
	assert_int_equal(read_secret("s", &s, &d), 0);
	assert_int_equal(s.len, CONFIG_SECRET_MAX);
	put("s", 0600, big, sizeof(big));
	assert_int_equal(read_secret("s", &s, &d), -1);
	assert_non_null(strstr(d.text, "larger than 16384 bytes"));
}

static void
refuses_other_kinds(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct diag d = DIAG_INIT;
	char target[64];
	int fd;

	(void)unused;
	/* Kubernetes mounts secrets as links. */
	put("s", 0600, "x", 1);
	(void)snprintf(target, sizeof(target), "%s", path_of("s"));
	assert_int_equal(symlink(target, path_of("link")), 0);
	assert_int_equal(read_secret("link", &s, &d), 0);

	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(read_secret("fifo", &s, &d), -1); /* at once */
	assert_non_null(strstr(d.text, "not a regular file"));

	(void)snprintf(
	    sun.sun_path, sizeof(sun.sun_path), "%s", path_of("sock"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(read_secret("sock", &s, &d), -1);
	(void)close(fd);

	assert_int_equal(read_secret("", &s, &d), -1); /* the folder */
	assert_int_equal(read_secret("missing", &s, &d), -1);
	assert_non_null(strstr(d.text, "there is no such file"));
}

static void
reads_credentials(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct heard h;
	struct config *c = load_with("credential:s", "", &h);
	const struct account *a;

	(void)unused;
	assert_non_null(c);
	a = c->accounts[0];
	put("s", 0444, "cred\n", 5); /* modes are systemd's business */
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(config_read_secret(a, &a->client_secret, &s, &d), -1);
	assert_non_null(strstr(d.text, "LoadCredential=s:/PATH"));
	assert_int_equal(config_check_files(c, hear, &h), 0);

	(void)setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(config_read_secret(a, &a->client_secret, &s, &d), 0);
	assert_string_equal(s.ptr, "cred");
	assert_int_equal(config_check_files(c, hear, &h), 0);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	config_unref(&c);
}

static void
needs_permission(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	int rc;

	(void)unused;
	put("s", 0600, "x", 1);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0711), 0);
	assert_int_equal(seteuid(12345), 0);
	rc = secret_ref_read(&(struct secret_ref){ .kind = SECRET_REF_FILE,
				 .name = (char *)(uintptr_t)path_of("s") },
	    "mailtoken", &s, &d);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(d.text, "uid 12345 cannot read it"));
	assert_non_null(strstr(d.text, "belong to mailtoken (chown)"));
}

static void
loads_files(void **unused)
{
	struct heard h;
	struct config *c;

	(void)unused;
	put("s", 0600, "x", 1);
	h.n = 0;
	put("c", 0600, "", 0);
	c = config_load(path_of("c"), hear, &h);
	assert_non_null(c);
	config_unref(&c);

	put("c", 0660, "", 0);
	assert_null(config_load(path_of("c"), hear, &h));
	assert_non_null(strstr(h.d[0].text, "mode 0660 lets others change it"));
	assert_non_null(strstr(h.d[0].text, "run: chmod go-w /tmp/"));
	assert_null(config_load(path_of("missing"), hear, &h));
	assert_non_null(strstr(h.d[1].text, "no such file; make it with:"));
	assert_null(config_load(dir, hear, &h));
	assert_non_null(strstr(h.d[2].text, "not a regular file"));

	put("c", 0600, "[agent]\ncolour = red\n", 21);
	assert_null(config_load(path_of("c"), hear, &h));
	assert_non_null(strstr(h.d[3].text, "/c:2: unknown key 'colour'"));

	put("c", 0600, "", 0);
	assert_int_equal(truncate(path_of("c"), CONFIG_MAX_BYTES + 1L), 0);
	assert_null(config_load(path_of("c"), hear, &h));
	assert_non_null(strstr(h.d[4].text, "larger than 67108864 bytes"));
	assert_int_equal(h.n, 5);
}

static void
checks_files(void **unused)
{
	char ref[160];
	struct heard h;
	struct config *c;

	(void)unused;
	(void)snprintf(ref, sizeof(ref), "file:%s", path_of("s"));
	put("s", 0600, "x", 1);
	c = load_with(ref, "[agent]\nuser = root", &h);
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 0);

	assert_int_equal(chmod(path_of("c"), 0644), 0);
	assert_int_equal(chmod(path_of("s"), 0644), 0);
	assert_int_equal(config_check_files(c, hear, &h), 2);
	assert_int_equal(h.n, 2);
	assert_non_null(strstr(h.d[0].text, "run: chmod 640 /tmp/"));
	assert_non_null(strstr(h.d[1].text, "/c:6: account a: /tmp/"));
	assert_non_null(strstr(h.d[1].text, "run: chmod 600 /tmp/"));
	config_unref(&c);

	if (geteuid() != 0)
		return;
	/* Root can read it; the agent will not be root. */
	put("s", 0600, "x", 1);
	c = load_with(ref, "[agent]\nuser = daemon", &h);
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "run: chown daemon /tmp/"));
	assert_int_equal(chown(path_of("c"), 12345, (gid_t)-1), 0);
	assert_int_equal(config_check_files(c, hear, &h), 2);
	assert_non_null(strstr(h.d[1].text, "belongs to uid 12345"));
	config_unref(&c);
}

static void
checks_ca_files(void **unused)
{
	struct heard h;
	struct config *c =
	    load_with("credential:x\nca_file = /nonexistent/ca", "", &h);

	(void)unused;
	assert_non_null(c);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(
	    strstr(h.d[0].text, "ca_file /nonexistent/ca: No such"));
	config_unref(&c);
}

/* An account of some other kind, with the agent running as root. */
static struct config *
load_account(const char *keys, struct heard *h)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
	    "[agent]\nuser = root\n[account a]\n%s\n", keys);
	struct config *c;

	put("c", 0640, text, (size_t)n);
	*h = (struct heard){ .n = 0 };
	c = config_load(path_of("c"), hear, h);
	if (c == NULL)
		fail_msg("%s", h->d[0].text);
	return c;
}

static void
checks_programs(void **unused)
{
	static const struct {
		const char *program;
		mode_t mode; /* of the file "program" */
		const char *says;
	} cases[] = {
		{ "/bin/false s3cret", 0700, NULL }, /* is not run */
		{ "/nonexistent/s s3cret", 0700,
		    "/nonexistent/s: No such file or directory; correct the "
		    "path" },
		{ "/etc s3cret", 0700, "/etc: not a program that uid " },
		{ "", 0700, NULL },
		{ "", 0600, "/program: not a program that uid " },
		{ "", 0770, "/program: mode 0770 lets others change the" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h;
		struct config *c;
		char ref[160];

		put("program", cases[i].mode, "#!/bin/sh\n", 10);
		(void)snprintf(ref, sizeof(ref), "command:%s",
		    *cases[i].program != '\0' ? cases[i].program :
						path_of("program"));
		c = load_with(ref, "", &h);
		assert_non_null(c);
		assert_int_equal(config_check_files(c, hear, &h),
		    cases[i].says != NULL ? 1 : 0);
		if (cases[i].says != NULL &&
		    (strstr(h.d[0].text, cases[i].says) == NULL ||
			strstr(h.d[0].text, "/c:5: account a: ") == NULL ||
			strstr(h.d[0].text, "s3cret") != NULL))
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

static void
checks_the_program_to_notify(void **unused)
{
	static const struct {
		const char *notify, *says;
	} cases[] = {
		{ "/bin/false root", NULL }, /* is not run */
		{ "/nonexistent/s root",
		    "/c: notify: /nonexistent/s: No such file or directory; "
		    "correct the path of the program" },
		{ "/etc", "/c: notify: /etc: not a program that uid " },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h = { .n = 0 };
		struct config *c;
		char text[160];
		int n = snprintf(text, sizeof(text), "[agent]\nnotify = %s\n",
		    cases[i].notify);

		put("c", 0640, text, (size_t)n);
		c = config_load(path_of("c"), hear, &h);
		assert_non_null(c);
		assert_int_equal(config_check_files(c, hear, &h),
		    cases[i].says != NULL ? 1 : 0);
		if (cases[i].says != NULL &&
		    strstr(h.d[0].text, cases[i].says) == NULL)
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

#define KEYS "tests/unit/data/keys/rfc7515-a2.key.pem"

static EVP_PKEY *
load_key(void)
{
	FILE *f = fopen(KEYS, "r");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(key);
	return key;
}

/* A certificate that ends in so many seconds, and its key. */
static void
put_certificate(long seconds)
{
	EVP_PKEY *key = load_key();
	X509 *cert = X509_new();
	FILE *f = fopen(path_of("cert"), "w");

	assert_non_null(cert);
	assert_non_null(f);
	assert_int_equal(X509_set_version(cert, 2), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -90000000));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), seconds));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
	f = fopen(path_of("key"), "w");
	assert_non_null(f);
	assert_int_equal(
	    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of("key"), 0600), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct config *
load_certificate(const char *more, struct heard *h)
{
	char keys[512];

	(void)snprintf(keys, sizeof(keys),
	    "provider = microsoft\ntenant = contoso.example\n"
	    "grant = client_credentials\n"
	    "client_id = 11111111-2222-3333-4444-555555555555\n"
	    "client_certificate = %s/cert\nclient_key = %s/key\n%s",
	    dir, dir, more);
	return load_account(keys, h);
}

static void
checks_certificates(void **unused)
{
	static const struct {
		long seconds;
		size_t n;
		enum diag_kind kind;
		const char *says;
	} cases[] = {
		{ 31 * 86400, 0, DIAG_OK, NULL },
		{ 29 * 86400 + 60, 0, DIAG_OK, "note: " },
		{ 29 * 86400 + 60, 0, DIAG_OK, ", in 29 days; make a new" },
		{ 60, 0, DIAG_OK, ", in 0 days" },
		{ -60, 1, DIAG_CONFIG, "/cert: ended on 20" },
	};
	struct heard h;
	struct config *c = load_certificate("", &h);

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		h = (struct heard){ .n = 0 };
		put_certificate(cases[i].seconds);
		assert_int_equal(config_check_files(c, hear, &h), cases[i].n);
		assert_int_equal(h.n, cases[i].says != NULL);
		if (h.n > 0 &&
		    (h.d[0].kind != cases[i].kind ||
			strstr(h.d[0].text, cases[i].says) == NULL ||
			strstr(h.d[0].text, "/c:3: account a: ") == NULL))
			fail_msg("%zu: %s", i, h.d[0].text);
	}

	put_certificate(31 * 86400);
	assert_int_equal(chmod(path_of("key"), 0640), 0);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/key: mode 0640 lets others"));
	put("key", 0600, "x", 1);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/c:3: account a: /tmp/"));
	assert_int_equal(unlink(path_of("cert")), 0);
	h.n = 0;
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/cert: there is no such file"));
	config_unref(&c);

	/* Its end is told even where the key cannot be tried. */
	put_certificate(86400 + 60);
	c = load_certificate("client_key_passphrase = command:/bin/false", &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	assert_int_equal(h.n, 1);
	assert_non_null(strstr(h.d[0].text, "in 1 day;"));
	config_unref(&c);
	c = load_certificate("client_key_passphrase = credential:x", &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	config_unref(&c);
}

static void
checks_the_end_of_secrets(void **unused)
{
	static const struct {
		int days;
		size_t n;
		const char *says;
	} cases[] = {
		{ 40, 0, NULL },
		{ 20, 0, "note: client_secret: ends on " },
		{ -2, 1, "account a: client_secret: ended on " },
	};

	(void)unused;
	put("s", 0600, "x", 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		time_t when = time(NULL) + cases[i].days * 86400;
		char day[16], keys[512];
		struct heard h;
		struct config *c;

		assert_true(
		    strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&when)) > 0);
		(void)snprintf(keys, sizeof(keys),
		    "provider = google\nclient_id = 1\n"
		    "client_secret = file:%s\nclient_secret_expires = %s",
		    path_of("s"), day);
		c = load_account(keys, &h);
		assert_int_equal(config_check_files(c, hear, &h), cases[i].n);
		assert_int_equal(h.n, cases[i].says != NULL);
		if (h.n > 0 && (strstr(h.d[0].text, cases[i].says) == NULL ||
				   strstr(h.d[0].text, day) == NULL))
			fail_msg("%s", h.d[0].text);
		config_unref(&c);
	}
}

static void
checks_federated_tokens(void **unused)
{
	char keys[512];
	struct heard h;
	struct config *c;

	(void)unused;
	(void)snprintf(keys, sizeof(keys),
	    "provider = microsoft\ntenant = contoso.example\n"
	    "grant = workload_identity\n"
	    "client_id = 11111111-2222-3333-4444-555555555555\n"
	    "client_assertion_file = %s",
	    path_of("s"));
	put("s", 0644, "a.b.c", 5);
	c = load_account(keys, &h);
	assert_int_equal(config_check_files(c, hear, &h), 0);
	put("s", 0644, "", 0);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	(void)unlink(path_of("s"));
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_int_equal(h.n, 2);
	assert_non_null(strstr(h.d[1].text, "there is no such file"));
	config_unref(&c);
}

static void
checks_service_accounts(void **unused)
{
	char keys[512], json[4096], *p = json;
	EVP_PKEY *key = load_key();
	BIO *bio = BIO_new(BIO_s_mem());
	const char *pem;
	long n;
	struct heard h;
	struct config *c;

	(void)unused;
	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
	    1);
	n = BIO_get_mem_data(bio, &pem);
	p += sprintf(p, "{\"type\":\"service_account\",\"client_email\":"
			"\"sa@x.example\",\"private_key_id\":\"k\","
			"\"private_key\":\"");
	for (long i = 0; i < n; i++) {
		if (pem[i] == '\n') {
			*p++ = '\\';
			*p++ = 'n';
		} else {
			*p++ = pem[i];
		}
	}
	p += sprintf(p, "\"}");
	BIO_free(bio);
	EVP_PKEY_free(key);

	(void)snprintf(keys, sizeof(keys),
	    "provider = google\ngrant = jwt_bearer\n"
	    "service_account_key = file:%s\nsubject = b@example.com",
	    path_of("s"));
	put("s", 0600, json, (size_t)(p - json));
	c = load_account(keys, &h);
	if (config_check_files(c, hear, &h) != 0)
		fail_msg("%s", h.d[0].text);
	put("s", 0644, json, (size_t)(p - json));
	assert_int_equal(config_check_files(c, hear, &h), 1);
	assert_non_null(strstr(h.d[0].text, "/c:6: account a: "));
	assert_non_null(strstr(h.d[0].text, "mode 0644 lets others use it"));
	put("s", 0600, "{}", 2);
	assert_int_equal(config_check_files(c, hear, &h), 1);
	config_unref(&c);
}

/* Nothing of it is in files. */
static void
checks_no_identities(void **unused)
{
	struct heard h;
	struct config *c =
	    load_account("provider = microsoft\ngrant = managed_identity", &h);

	(void)unused;
	assert_int_equal(config_check_files(c, hear, &h), 0);
	config_unref(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_secrets),
		cmocka_unit_test(limits_secrets),
		cmocka_unit_test(refuses_other_kinds),
		cmocka_unit_test(reads_credentials),
		cmocka_unit_test(needs_permission),
		cmocka_unit_test(loads_files),
		cmocka_unit_test(checks_files),
		cmocka_unit_test(checks_ca_files),
		cmocka_unit_test(checks_programs),
		cmocka_unit_test(checks_the_program_to_notify),
		cmocka_unit_test(checks_certificates),
		cmocka_unit_test(checks_the_end_of_secrets),
		cmocka_unit_test(checks_federated_tokens),
		cmocka_unit_test(checks_service_accounts),
		cmocka_unit_test(checks_no_identities),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
