/* Programs that print a secret: how they end, what is taken, what stays. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "scripts.h"
#include "secret_ref.h"

static bool no_pidfd;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* As a kernel before 5.3 or a filter of system calls would. */
long
__wrap_syscall(long number, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (size_t i = 0; i < COUNT(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_pidfd_open && no_pidfd) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The process that a script wrote into "pid" ends soon. */
static bool
ends(void)
{
	FILE *f = fopen(path_of("pid"), "r");
	int pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	(void)fclose(f);
	assert_true(pid > 1);
	for (int i = 0; i < 200; i++) {
		char path[64], line[256] = "";

		/* In a container nobody may reap orphans. */
		(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (f == NULL)
			return true;
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		(void)fclose(f);
		if (strstr(line, ") Z") != NULL || line[0] == '\0')
			return true;
		(void)usleep(10000);
	}
	(void)kill(pid, SIGKILL);
	return false;
}

static void
tells_what_was_printed(void **unused)
{
	static const struct {
		const char *script;
		const char *secret; /* or */
		enum diag_kind kind;
		const char *says;
	} cases[] = {
		{ "printf s3cret", "s3cret", 0, NULL },
		{ "echo s3cret", "s3cret", 0, NULL },
		{ "printf 's3cret\\r\\n'", "s3cret", 0, NULL },
		{ "printf 's3cret\\n\\n'", "s3cret\n", 0, NULL },
		{ "printf ' s3 '; sleep 0.05; echo cret; echo no >&2",
		    " s3 cret", 0, NULL },
		{ "exec /bin/echo s3cret", "s3cret", 0, NULL },
		{ ":", NULL, DIAG_CONFIG, "/bin/sh: printed nothing" },
		{ "echo", NULL, DIAG_CONFIG, "printed nothing" },
		{ "cat", NULL, DIAG_CONFIG, "printed nothing" },
		{ "printf 's3cret\\000'", NULL, DIAG_CONFIG,
		    "printed a NUL byte" },
		{ "echo s3cret; exit 1", NULL, DIAG_CONFIG,
		    "/bin/sh: ended with status 1; run it by hand as the "
		    "agent's user" },
		{ "echo s3cret; exit 75", NULL, DIAG_RETRY, "later" },
		{ "/nonexistent/s3cret", NULL, DIAG_CONFIG,
		    "status 127: a program that it calls was not found" },
		{ "exit 126", NULL, DIAG_CONFIG, "could not be executed" },
		{ "exit 137", NULL, DIAG_RETRY, "as after signal 9" },
		{ "echo s3cret; kill -TERM $$", NULL, DIAG_RETRY,
		    "/bin/sh: was killed by signal 15" },
	};

	(void)unused;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		size_t k = i / 2;
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;
		int rc;

		no_pidfd = i % 2 == 1;
		rc = command_run(script(cases[k].script), 5000, &s, &d);
		no_pidfd = false;
		if (rc != (cases[k].secret != NULL ? 0 : -1))
			fail_msg("%s: %s", cases[k].script, d.text);
		if (rc == 0) {
			assert_string_equal(s.ptr, cases[k].secret);
			continue;
		}
		assert_true(secret_empty(&s));
		if (d.kind != cases[k].kind ||
		    strstr(d.text, cases[k].says) == NULL ||
		    strstr(d.text, "s3cret") != NULL ||
		    strstr(d.text, dir) != NULL)
			fail_msg("%s: %s", cases[k].script, d.text);
	}
	no_children();
}

static void
checks_texts(void **unused)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "/bin/true", NULL },
		{ "/bin/echo  a\tb ", NULL },
		{ "", "absolute path" },
		{ "pass show s3cret", "absolute path" },
		{ " /bin/true", "absolute path" },
	};
	char many[512] = "/bin/echo";
	struct diag d = DIAG_INIT;

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int rc = command_check(cases[i].text, &d);

		if (rc != (cases[i].says == NULL ? 0 : -1) ||
		    (rc < 0 && (strstr(d.text, cases[i].says) == NULL ||
				   strstr(d.text, "s3cret") != NULL)))
			fail_msg("%s: %s", cases[i].text, d.text);
	}
	for (int i = 1; i < COMMAND_ARGUMENTS_MAX; i++)
		strcat(many, " 1");
	assert_int_equal(command_check(many, &d), 0);
	strcat(many, " 1");
	assert_int_equal(command_check(many, &d), -1);
	assert_non_null(strstr(d.text, "more than 63 arguments"));
}

static void
limits_output(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	int64_t begin = now_ms();

	(void)unused;
	assert_int_equal(
	    command_run("/usr/bin/head -c 16384 /dev/zero", 5000, &s, &d), -1);
	assert_non_null(strstr(d.text, "NUL")); /* it was taken */
	assert_int_equal(
	    command_run(script("yes | head -c 16383; printf z"), 5000, &s, &d),
	    0);
	assert_int_equal(s.len, COMMAND_OUTPUT_MAX);
	assert_int_equal(
	    command_run(script("yes | head -c 16384; printf z"), 5000, &s, &d),
	    -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, "printed more than 16384 bytes"));
	/* Killed at once, not at the deadline. */
	assert_int_equal(command_run("/usr/bin/yes", 5000, &s, &d), -1);
	assert_non_null(strstr(d.text, "printed more than"));
	assert_true(now_ms() - begin < 4000);
	no_children();
}

static void
kills_what_takes_too_long(void **unused)
{
	static const char *const scripts[] = {
		"sleep 60 & echo $! >$P; echo x; wait",
		"exec >&-; sleep 60 & echo $! >$P; wait",
		"trap '' TERM INT HUP; echo $$ >$P; while :; do sleep 1; done",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;
		char text[160];
		int64_t begin = now_ms();

		(void)snprintf(
		    text, sizeof(text), "P=%s; %s", path_of("pid"), scripts[i]);
		assert_int_equal(command_run(script(text), 300, &s, &d), -1);
		assert_in_range(now_ms() - begin, 290, 2000);
		assert_int_equal(d.kind, DIAG_RETRY);
		assert_non_null(strstr(d.text, "took longer than 300 ms"));
		assert_true(ends());
		no_children();
	}
}

/* A daemon that it left behind holds its output open. */
static void
does_not_wait_for_grandchildren(void **unused)
{
	char text[160];
	int64_t begin = now_ms();

	(void)unused;
	for (int i = 0; i < 2; i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;
		FILE *f;
		int pid = 0;

		no_pidfd = i == 1;
		(void)snprintf(text, sizeof(text),
		    "sleep 60 & echo $! >%s; echo s3cret", path_of("pid"));
		assert_int_equal(command_run(script(text), 20000, &s, &d), 0);
		no_pidfd = false;
		assert_string_equal(s.ptr, "s3cret");
		f = fopen(path_of("pid"), "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%d", &pid), 1);
		(void)fclose(f);
		assert_int_equal(kill(pid, SIGKILL), 0);
	}
	assert_true(now_ms() - begin < 5000);
}

/* What is left to ask for, and a result. */
struct many {
	size_t done, good;
};

static void
count(void *arg, const struct secret *output, const struct diag *why)
{
	struct many *m = arg;

	m->done++;
	if (output != NULL && strcmp(output->ptr, "s3cret") == 0)
		m->good++;
	else
		assert_int_not_equal(why->kind, DIAG_OK);
}

static void
runs_many_at_once(void **unused)
{
	struct event_base *base = event_base_new();
	struct command *c[40];
	struct many m = { 0, 0 };
	struct diag d = DIAG_INIT;
	size_t fds;

	(void)unused;
	assert_non_null(base);
	fds = count_fds();
	put("script", 0600, "sleep 0.1; echo s3cret");
	for (size_t i = 0; i < COUNT(c); i++) {
		char text[96];

		(void)snprintf(
		    text, sizeof(text), "/bin/sh %s", path_of("script"));
		c[i] = command_start(base, text, 20000, count, &m, &d);
		assert_non_null(c[i]);
	}
	assert_int_equal(m.done, 0);
	for (size_t i = 0; i < COUNT(c); i += 4)
		command_cancel(&c[i]);
	assert_null(c[0]);
	command_cancel(&c[0]);
	(void)event_base_dispatch(base);
	assert_int_equal(m.done, COUNT(c) - COUNT(c) / 4);
	assert_int_equal(m.good, m.done);
	assert_int_equal(count_fds(), fds);
	event_base_free(base);
	no_children();
}

/* Thousands of runs leave no descriptor and no zombie. */
static void
leaves_nothing(void **unused)
{
	struct event_base *base = event_base_new();
	struct many m = { 0, 0 };
	struct diag d = DIAG_INIT;
	size_t fds;

	(void)unused;
	assert_non_null(base);
	fds = count_fds();
	for (size_t i = 0; i < 2000; i++) {
		const char *text = i % 4 == 0 ? "/bin/echo s3cret" :
				   i % 4 == 1 ? "/bin/false" :
				   i % 4 == 2 ? "/nonexistent" :
						"/bin/sleep 60";
		struct command *c = command_start(
		    base, text, i % 8 == 3 ? 1 : 20000, count, &m, &d);

		assert_non_null(c);
		if (i % 8 == 7)
			command_cancel(&c);
		(void)event_base_dispatch(base);
	}
	assert_int_equal(m.done, 1750);
	assert_int_equal(m.good, 500);
	assert_int_equal(count_fds(), fds);
	event_base_free(base);
	no_children();
}

/* However many descriptors are left, short of enough. */
static void
survives_a_full_table(void **unused)
{
	struct event_base *base = event_base_new();
	struct rlimit old, few;
	size_t before;

	(void)unused;
	assert_non_null(base);
	before = count_fds();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (unsigned spare = 0; spare < 4; spare++) {
		struct many m = { 0, 0 };
		struct diag d = DIAG_INIT;
		struct command *c;

		few = old;
		few.rlim_cur = (rlim_t)dup(2) + spare;
		(void)close((int)(few.rlim_cur - spare));
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		c = command_start(base, "/bin/echo", 5000, count, &m, &d);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_null(c);
		assert_int_equal(d.kind, DIAG_RETRY);
		assert_non_null(strstr(d.text,
		    "/bin/echo: cannot be started: Too many open files"));
	}
	assert_int_equal(count_fds(), before);
	event_base_free(base);
}

static void
is_a_kind_of_secret(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct secret_ref ref = { SECRET_REF_NONE, NULL, 0 };
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    secret_ref_parse("command:/bin/echo s3cret", &ref, &d), 0);
	assert_int_equal(ref.kind, SECRET_REF_COMMAND);
	assert_string_equal(ref.name, "/bin/echo s3cret");
	assert_int_equal(secret_ref_read(&ref, "mailtoken", &s, &d), 0);
	assert_string_equal(s.ptr, "s3cret");
	assert_int_equal(secret_ref_parse("command:s3cret", &ref, &d), -1);
	assert_null(strstr(d.text, "s3cret"));
	assert_string_equal(ref.name, "/bin/echo s3cret");
	secret_ref_free(&ref);
}

struct heard {
	struct event_base *base;
	unsigned calls;
	bool output;
	struct diag why;
};

static void
hear(void *arg, const struct secret *output, const struct diag *why)
{
	struct heard *h = arg;

	h->calls++;
	h->output = output != NULL;
	h->why = *why;
}

/* Whatever it prints, how much and whether anything: only its end counts. */
static void
tells_a_program(void **unused)
{
	static const struct {
		const char *script;
		enum diag_kind kind;
		const char *says;
	} cases[] = {
		{ "[ \"$MAILTOKEN_A:$MAILTOKEN_B\" = '1 2=3:' ]", DIAG_OK, "" },
		{ "[ \"$(env | grep -c MAILTOKEN)\" = 2 ]", DIAG_OK, "" },
		{ "printf 'a\\000b'", DIAG_OK, "" },
		{ "head -c 1000000 /dev/zero", DIAG_OK, "" },
		{ "exit 3", DIAG_CONFIG, "/bin/sh: ended with status 3" },
		{ "exit 75", DIAG_RETRY, "later" },
		{ "exec /bin/cat /dev/zero", DIAG_RETRY, "took longer than" },
		{ "sleep 60 & wait", DIAG_RETRY, "took longer than" },
	};
	char one[] = "MAILTOKEN_A=1 2=3", two[] = "MAILTOKEN_B=";
	char *told[] = { one, two, NULL };
	size_t before = count_fds();

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h = { event_base_new(), 0, false, DIAG_INIT };
		struct diag d = DIAG_INIT;
		int64_t ms = strstr(cases[i].says, "longer") ? 300 : 20000;

		assert_non_null(command_tell(
		    h.base, script(cases[i].script), told, ms, hear, &h, &d));
		(void)event_base_dispatch(h.base);
		event_base_free(h.base);
		if (h.calls != 1 || h.output || h.why.kind != cases[i].kind ||
		    strstr(h.why.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].script, h.why.text);
	}
	no_children();
	assert_int_equal(count_fds(), before);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_was_printed),
		cmocka_unit_test(checks_texts),
		cmocka_unit_test(limits_output),
		cmocka_unit_test(kills_what_takes_too_long),
		cmocka_unit_test(does_not_wait_for_grandchildren),
		cmocka_unit_test(runs_many_at_once),
		cmocka_unit_test(leaves_nothing),
		cmocka_unit_test(survives_a_full_table),
		cmocka_unit_test(is_a_kind_of_secret),
		cmocka_unit_test(tells_a_program),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
