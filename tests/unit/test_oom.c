/* Every allocation of what a plugin links fails once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_agent.h"
#include "token_source.h"
#include "xoauth2.h"

/* The n-th allocation from now fails; -1: none. */
static int fail_at = -1;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);

static bool
fails(void)
{
	if (fail_at < 0)
		return false;
	return fail_at-- == 0;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

static struct fake_agent fake;
static char answer[9000];

static int
do_buf(struct diag *d)
{
	auto_buf struct buf b = BUF_INIT(100000);

	for (int i = 0; i < 3000; i++)
		buf_addi(&b, i);
	if (!b.failed && buf_room(&b, 50000) != NULL)
		return 0;
	buf_adds(&b, "nothing more");
	return diag_nomem(d);
}

static int
do_secret(struct diag *d)
{
	auto_secret struct secret a = SECRET_INIT, b = SECRET_INIT;

	return secret_set(&a, "abc", 3) && secret_copy(&b, &a) ? 0 :
								 diag_nomem(d);
}

static int
do_wire(struct diag *d)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX_BYTES);

	wire_put(&b, "version", WIRE_VERSION);
	for (int i = 0; i < 100; i++)
		wire_put_int(&b, "number", i);
	wire_end(&b);
	return b.failed ? diag_nomem(d) : 0;
}

static int
do_xoauth2(struct diag *d)
{
	static const struct secret token = { answer, 5000 };
	struct xoauth2 m;
	int rc;

	xoauth2_init(&m);
	rc = xoauth2_step(&m, "u", &token, NULL, 0, d);
	if (rc < 0)
		assert_int_equal(m.state, XOAUTH2_START);
	xoauth2_wipe(&m);
	return rc;
}

static int
do_oauthbearer(struct diag *d)
{
	static const struct secret token = { answer, 5000 };
	struct xoauth2 m;
	int rc;

	oauthbearer_init(&m, "imap.example.com", 993);
	rc = xoauth2_step(&m, "u", &token, NULL, 0, d);
	if (rc == 0)
		rc = xoauth2_step(&m, NULL, NULL, "{}", 2, d);
	xoauth2_wipe(&m);
	return rc;
}

static int
do_token_ref(struct diag *d)
{
	struct token_ref ref;

	return token_ref_parse("mailtoken:b", 11, "a", &ref, d);
}

static int
do_get(struct diag *d)
{
	auto_token struct token t = TOKEN_INIT;
	struct token_query q = { .account = "relay@example.com" };
	struct token_agent a;
	int rc;

	token_agent_init(&a, fake.path, 5000);
	rc = a.source.ops->get(&a.source, &q, &t, d);
	if (rc < 0)
		assert_null(t.value.ptr);
	return rc;
}

static int
do_reject(struct diag *d)
{
	struct token t = TOKEN_INIT;
	struct token_query q = { .account = "relay@example.com" };
	struct token_agent a;

	token_agent_init(&a, fake.path, 5000);
	return a.source.ops->reject(&a.source, &q, &t, "why", d);
}

static int
hear(void *arg, const struct wire_msg *msg, struct diag *d)
{
	(void)arg;
	(void)msg;
	(void)d;
	return 0;
}

static int
do_ask_many(struct diag *d)
{
	static char text[] = "version=1\nop=status\n\n";
	const struct buf request = { text, sizeof(text) - 1, 0, 0, false };
	struct token_agent a;

	token_agent_init(&a, fake.path, 5000);
	return token_agent_ask_many(&a, &request, hear, NULL, d);
}

static const struct {
	const char *name;
	int (*run)(struct diag *d);
	int allocations; /* at least so many, or the test tests nothing */
} cases[] = {
	{ "buf", do_buf, 3 },
	{ "secret", do_secret, 2 },
	{ "wire", do_wire, 2 },
	{ "xoauth2", do_xoauth2, 1 },
	{ "oauthbearer", do_oauthbearer, 2 },
	{ "token_ref", do_token_ref, 0 },
	{ "get", do_get, 2 },
	{ "reject", do_reject, 2 },
	{ "ask_many", do_ask_many, 1 },
};

static void
every_allocation_fails_once(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fds = fake_count_fds(), n, rc = -1;

		for (n = 0; rc != 0; n++) {
			struct diag d = DIAG_INIT;

			assert_in_range(n, 0, 50); /* or it never ends */
			fail_at = n;
			rc = cases[i].run(&d);
			fail_at = -1;
			if (d.kind != (rc == 0 ? DIAG_OK : DIAG_NOMEM))
				fail_msg("%s, allocation %d: kind %d: %s",
				    cases[i].name, n, d.kind, d.text);
			assert_int_equal(fake_count_fds(), fds);
		}
		if (n - 1 < cases[i].allocations)
			fail_msg(
			    "%s: only %d allocations", cases[i].name, n - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_once),
	};
	size_t n = strlen(FAKE_GET);
	int rc;

	memset(answer, 't', sizeof(answer));
	memcpy(answer, FAKE_GET, n);
	memcpy(answer + sizeof(answer) - 2, "\n\n", 2);
	fake_agent_start(&fake, FAKE_AT_ONCE, answer, sizeof(answer));
	memset(answer, 't', sizeof(answer));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	fake_agent_stop(&fake);
	return rc;
}
