/* How the agent is found and how long it is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "exchange.h"
#include "fake_agent.h"
#include "token_source.h"

static const struct token_query query = { .account = "relay@example.com" };

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Both: nobody accepts, and the queue is full. */
static void
the_deadline_holds(void **unused)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct fake_agent fake;
	struct token_agent a;
	int fds, others[4];

	(void)unused;
	fake_agent_start(&fake, FAKE_NEVER, "", 0);
	memcpy(addr.sun_path, fake.path, strlen(fake.path) + 1);
	token_agent_init(&a, fake.path, 300);
	for (size_t i = 0; i < 4; i++) {
		auto_token struct token t = TOKEN_INIT;
		struct diag d = DIAG_INIT;
		int64_t begin = now_ms(), took;

		fds = fake_count_fds();
		assert_int_equal(
		    a.source.ops->get(&a.source, &query, &t, &d), -1);
		took = now_ms() - begin;
		assert_int_equal(fake_count_fds(), fds);
		assert_int_equal(d.kind, DIAG_RETRY);
		assert_non_null(strstr(d.text, "within 0.3 s"));
		assert_true(took >= 280 && took < 2000);
		others[i] = socket(
		    AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(
		    others[i], (struct sockaddr *)&addr, sizeof(addr));
	}
	for (size_t i = 0; i < 4; i++)
		(void)close(others[i]);
	fake_agent_stop(&fake);
}

static void
expect_failure(const char *path, enum diag_kind kind, const char *text)
{
	auto_token struct token t = TOKEN_INIT;
	struct diag d = DIAG_INIT;
	struct token_agent a;
	int fds = fake_count_fds();

	token_agent_init(&a, path, 300);
	assert_int_equal(a.source.ops->get(&a.source, &query, &t, &d), -1);
	if (d.kind != kind || strstr(d.text, text) == NULL)
		fail_msg("%d: %s", d.kind, d.text);
	assert_int_equal(fake_count_fds(), fds);
}

static void
no_agent(void **unused)
{
	char path[200] = "/tmp/", dir[] = "/tmp/mailtoken-test.XXXXXX";
	struct fake_agent fake;
	int status;
	pid_t pid;

	(void)unused;
	expect_failure("/nonexistent/agent.sock", DIAG_RETRY,
	    "does not answer at /nonexistent/agent.sock: No such file or "
	    "directory: start mailtokend");
	fake_agent_start(&fake, FAKE_NEVER, "", 0);
	(void)close(fake.listener);
	fake.listener = -1;
	expect_failure(
	    fake.path, DIAG_RETRY, "Connection refused: start mailtokend");
	fake_agent_stop(&fake);

	memset(path + 5, 'x', 150);
	path[155] = '\0';
	expect_failure(path, DIAG_CONFIG, "longer than 107 bytes");

	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(1);
		(void)snprintf(path, sizeof(path), "%s/agent.sock", dir);
		(void)chmod(dir, 0); /* if we are not root */
		expect_failure(path, DIAG_CONFIG, "Permission denied");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)rmdir(dir);
}

static bool
absent(const char *path, int timeout_ms)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(exchange_open(&x, path, timeout_ms, &d), -1);
	return x.absent;
}

/* One that hangs until its backlog is full goes on with what it knows. */
static void
only_nobody_is_absent(void **unused)
{
	struct exchange waiting[8];
	struct fake_agent fake;
	struct diag d = DIAG_INIT;
	size_t n = 0;

	(void)unused;
	assert_true(absent("/nonexistent/agent.sock", 1000));
	assert_false(absent("/dev/null/agent.sock", 1000));
	fake_agent_start(&fake, FAKE_NEVER, "", 0);
	do {
		assert_true(n < sizeof(waiting) / sizeof(waiting[0]));
		waiting[n] = (struct exchange)EXCHANGE_INIT;
	} while (exchange_open(&waiting[n++], fake.path, 50, &d) == 0);
	assert_false(absent(fake.path, 50));
	while (n > 0)
		exchange_close(&waiting[--n]);
	(void)close(fake.listener);
	fake.listener = -1;
	assert_true(absent(fake.path, 1000));
	fake_agent_stop(&fake);
}

/* The paths that a plugin looks at. */
static void
default_paths(void **unused)
{
	static const char ok[] = FAKE_GET "ya29.x\n\n";
	struct fake_agent fake;
	char dir[96], path[128];

	(void)unused;
	fake_agent_start(&fake, FAKE_AT_ONCE, ok, strlen(ok));
	(void)setenv("MAILTOKEN_SOCKET", fake.path, 1);
	(void)setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	for (int i = 0; i < 2; i++) {
		auto_token struct token t = TOKEN_INIT;
		struct diag d = DIAG_INIT;
		struct token_agent a;

		token_agent_init(&a, NULL, 2000);
		if (a.source.ops->get(&a.source, &query, &t, &d) < 0)
			fail_msg("%s", d.text);
		assert_string_equal(t.value.ptr, "ya29.x");

		/* The second time in the user's own directory. */
		(void)unsetenv("MAILTOKEN_SOCKET");
		(void)setenv("XDG_RUNTIME_DIR", fake.dir, 1);
		(void)snprintf(dir, sizeof(dir), "%s/mailtoken", fake.dir);
		(void)snprintf(path, sizeof(path), "%s/agent.sock", dir);
		(void)mkdir(dir, 0700);
		(void)rename(fake.path, path);
	}
	(void)unlink(path);
	if (access("/run/mailtoken/agent.sock", F_OK) < 0) {
		static const char system[] =
		    "at /run/mailtoken/agent.sock: No such file";

		expect_failure(NULL, DIAG_RETRY, system);
		(void)rmdir(dir);
		expect_failure(NULL, DIAG_RETRY, system);
		(void)setenv("MAILTOKEN_SOCKET", "", 1);
		(void)setenv("XDG_RUNTIME_DIR", "/dev/null", 1);
		expect_failure(NULL, DIAG_RETRY, system);
		(void)setenv("XDG_RUNTIME_DIR", "relative", 1);
		expect_failure(NULL, DIAG_RETRY, system);
		(void)unsetenv("XDG_RUNTIME_DIR");
		expect_failure(NULL, DIAG_RETRY, system);
	}
	(void)rmdir(dir);
	fake_agent_stop(&fake);
}

static const char token[] = FAKE_GET "ya29.x\n\n";
static const char busy[] = "version=1\nstatus=error\nkind=retry\n"
			   "text=too many\n\n";

static const struct {
	const char *name;
	unsigned deaths;
	enum fake_death death;
	enum fake_manner then;
	const char *answer;
	const char *text; /* part of the diag's; "": a token */
	int asked;	  /* and read */
} mortals[] = {
	{ "the request is lost", 1, FAKE_DIES_AT_ONCE, FAKE_AT_ONCE, token, "",
	    2 },
	{ "not read", 1, FAKE_DIES_UNREAD, FAKE_AT_ONCE, token, "", 2 },
	{ "read", 1, FAKE_DIES_READ, FAKE_AT_ONCE, token, "", 2 },
	{ "then byte by byte", 1, FAKE_DIES_READ, FAKE_BYTE_BY_BYTE, token, "",
	    2 },
	{ "twice, not read", 2, FAKE_DIES_UNREAD, FAKE_AT_ONCE, token,
	    "broke off twice without a whole answer: see its log", 2 },
	{ "twice, read", 2, FAKE_DIES_READ, FAKE_AT_ONCE, token,
	    "broke off twice without a whole answer: see its log", 2 },
	{ "half an answer", 1, FAKE_DIES_HALF, FAKE_AT_ONCE, token,
	    "broke off without a whole answer: see its log", 1 },
	{ "nobody after it", 1, FAKE_DIES_GONE, FAKE_AT_ONCE, token,
	    "broke off without a whole answer, and is gone: Connection "
	    "refused: see its log",
	    1 },
	{ "the next one turns us away", 1, FAKE_DIES_READ, FAKE_UNASKED, busy,
	    "too many", 1 },
	{ "the next one is silent", 1, FAKE_DIES_READ, FAKE_SILENT, token,
	    "has not answered within 1.5 s: see its log", 2 },
	{ "silent for what is left", 1, FAKE_DIES_LATE, FAKE_SILENT, token,
	    "has not answered within 1.5 s: see its log", 2 },
};

/* How often it was asked. */
static int
count_requests(struct fake_agent *fake)
{
	const char *text = fake_agent_heard(fake);
	int n = 0;

	for (; (text = strstr(text, "\n\n")) != NULL; text += 2)
		n++;
	return n;
}

/* The deadline is that of the first attempt. */
static void
who_is_cut_off_asks_once_more(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(mortals) / sizeof(mortals[0]); i++) {
		auto_token struct token t = TOKEN_INIT;
		struct diag d = DIAG_INIT;
		struct fake_agent fake;
		struct token_agent a;
		int fds = fake_count_fds(), rc, asked;
		int64_t begin = now_ms();

		fake_agent_start_mortal(&fake, mortals[i].deaths,
		    mortals[i].death, mortals[i].then, mortals[i].answer,
		    strlen(mortals[i].answer));
		token_agent_init(&a, fake.path, 1500);
		rc = a.source.ops->get(&a.source, &query, &t, &d);
		asked = count_requests(&fake);
		fake_agent_stop(&fake);
		if (strstr(d.text, mortals[i].text) == NULL ||
		    rc != (*mortals[i].text == '\0' ? 0 : -1) ||
		    d.kind != (rc == 0 ? DIAG_OK : DIAG_RETRY) ||
		    asked != mortals[i].asked)
			fail_msg("%s: rc %d, kind %d, asked %d times: %s",
			    mortals[i].name, rc, d.kind, asked, d.text);
		if (rc == 0)
			assert_string_equal(t.value.ptr, "ya29.x");
		assert_true(now_ms() - begin < 2400);
		assert_int_equal(fake_count_fds(), fds);
	}
}

/* The user's own agent has died; the system's has other accounts. */
static void
the_same_agent_is_asked_again(void **unused)
{
	auto_exchange struct exchange x = EXCHANGE_INIT;
	auto_buf struct buf request = BUF_INIT(100), answer = BUF_INIT(100);
	struct sockaddr_un first;
	struct fake_agent fake;
	struct wire_msg m;
	struct diag d = DIAG_INIT;
	char dir[96], path[128];

	(void)unused;
	wire_put(&request, "op", "get");
	wire_end(&request);
	fake_agent_start_mortal(
	    &fake, 1, FAKE_DIES_READ, FAKE_AT_ONCE, token, strlen(token));
	(void)snprintf(dir, sizeof(dir), "%s/mailtoken", fake.dir);
	(void)snprintf(path, sizeof(path), "%s/agent.sock", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(rename(fake.path, path), 0);
	(void)unsetenv("MAILTOKEN_SOCKET");
	(void)setenv("XDG_RUNTIME_DIR", fake.dir, 1);

	assert_int_equal(exchange_open(&x, NULL, 5000, &d), 0);
	assert_false(exchange_again(&x)); /* nothing has happened yet */
	first = x.addr;
	assert_string_equal(first.sun_path, path);
	assert_int_equal(exchange_send(&x, &request, &d), 0);
	assert_int_equal(exchange_next(&x, &answer, &m, &d), -1);
	assert_int_equal(unlink(path), 0);
	assert_true(exchange_again(&x));
	assert_int_equal(exchange_connect(&x, NULL, &d), -1);
	assert_memory_equal(&x.addr, &first, sizeof(first));
	assert_non_null(strstr(d.text, "and is gone: No such file"));
	assert_false(exchange_again(&x));
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)rmdir(dir);
	fake_agent_stop(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_deadline_holds),
		cmocka_unit_test(no_agent),
		cmocka_unit_test(only_nobody_is_absent),
		cmocka_unit_test(default_paths),
		cmocka_unit_test(who_is_cut_off_asks_once_more),
		cmocka_unit_test(the_same_agent_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
