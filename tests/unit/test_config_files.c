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
#include <unistd.h>

#include <cmocka.h>

#include "config_check.h"
#include "config_dir.h"

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
root_loads_roots_files(void **unused)
{
	struct heard h = { .n = 0 };
	struct config *c;

	(void)unused;
	if (geteuid() != 0)
		skip();
	put("c", 0644, "", 0);
	assert_int_equal(chown(path_of("c"), 12345, 12345), 0);
	assert_null(config_load(path_of("c"), hear, &h));
	assert_non_null(strstr(h.d[0].text, "belongs to uid 12345"));
	assert_non_null(strstr(h.d[0].text, "run: chown root /tmp/"));
	/* Others may have been given one. */
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(seteuid(12346), 0);
	c = config_load(path_of("c"), hear, &h);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(c);
	config_unref(&c);
	put("c", 0600, "", 0);
	assert_int_equal(chown(path_of("c"), 0, 12345), 0);
	c = config_load(path_of("c"), hear, &h);
	assert_non_null(c);
	config_unref(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_loads_roots_files),
		cmocka_unit_test(reads_secrets),
		cmocka_unit_test(limits_secrets),
		cmocka_unit_test(refuses_other_kinds),
		cmocka_unit_test(reads_credentials),
		cmocka_unit_test(needs_permission),
		cmocka_unit_test(loads_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
