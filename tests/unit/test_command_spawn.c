/* What a program is given to start with, and what it is not. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scripts.h"

static void
says_why_it_cannot_start(void **unused)
{
	char plain[64], text[128];
	const struct {
		const char *text, *says;
	} cases[] = {
		{ "/nonexistent/program s3cret",
		    "/nonexistent/program: there is no such program" },
		{ "/ s3cret", "may not execute it; run: chmod a+rx" },
		{ "/etc/passwd s3cret", "/etc/passwd: uid " },
		{ plain, "not the interpreter that it names" },
	};

	(void)unused;
	put("program", 0700, "#!/nonexistent/shell\n");
	(void)snprintf(plain, sizeof(plain), "%s", path_of("program"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;

		assert_int_equal(command_run(cases[i].text, 5000, &s, &d), -1);
		if (d.kind != DIAG_CONFIG ||
		    strstr(d.text, cases[i].says) == NULL ||
		    strstr(d.text, "s3cret") != NULL)
			fail_msg("%s: %s", cases[i].text, d.text);
	}
	put("program", 0700, "neither a binary nor a script");
	for (int i = 0; i < 2; i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;

		(void)snprintf(text, sizeof(text), "%s", path_of("program"));
		assert_int_equal(command_run(text, 5000, &s, &d), -1);
		assert_non_null(strstr(d.text, "cannot be executed: Exec for"));
	}
	no_children();
}

/* Blanks between arguments, no shell in between. */
static void
passes_arguments(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(
	    command_run("/bin/echo  $HOME\t'a  b' `id` ;* ", 5000, &s, &d), 0);
	assert_string_equal(s.ptr, "$HOME 'a b' `id` ;*");
}

static void
gives_little_to_the_program(void **unused)
{
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	int pid, parent, group, session, null, high;
	char state;

	(void)unused;
	(void)setenv("SECRET_TEST", "x", 1);
	(void)setenv("LD_PRELOAD_TEST", "x", 1);
	(void)setenv("PATHOLOGICAL", "x", 1);
	(void)setenv("USER", "anna", 1);
	(void)unsetenv("LANG");
	(void)setenv("HOME", "/h", 1);
	(void)setenv("PATH", "/usr/bin:/bin", 1);
	assert_int_equal(command_run("/usr/bin/env", 5000, &s, &d), 0);
	assert_string_equal(s.ptr, "PATH=/usr/bin:/bin\nHOME=/h\nUSER=anna");

	/* Even those that are not close-on-exec; ls has one of its own. */
	null = open("/dev/null", O_RDONLY);
	high = fcntl(null, F_DUPFD, 200);
	assert_int_equal(command_run("/bin/ls /proc/self/fd", 5000, &s, &d), 0);
	assert_string_equal(s.ptr, "0\n1\n2\n3");
	(void)close(null);
	(void)close(high);
	assert_int_equal(
	    command_run(script("pwd; readlink /proc/$$/fd/0 /proc/$$/fd/2"),
		5000, &s, &d),
	    0);
	assert_string_equal(s.ptr, "/\n/dev/null\n/dev/null");

	assert_int_equal(
	    command_run("/bin/cat /proc/self/stat", 5000, &s, &d), 0);
	assert_int_equal(sscanf(s.ptr, "%d (cat) %c %d %d %d", &pid, &state,
			     &parent, &group, &session),
	    5);
	assert_int_equal(parent, getpid());
	assert_int_equal(group, pid);
	assert_int_equal(session, pid);
}

/* 32 and 33: the C library keeps them, and lets nobody set or reset them. */
#define LIBC_SIGNALS 0x180000000ULL

static void
resets_signals(void **unused)
{
	const char *status = "/bin/grep ^Sig[BI] /proc/self/status";
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct sigaction old_pipe, old_child,
	    ignore = { .sa_handler = SIG_IGN };
	unsigned long long blocked = 1, ignored = 1;
	sigset_t some, old;

	(void)unused;
	(void)sigemptyset(&some);
	(void)sigaddset(&some, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &some, &old);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &old_pipe), 0);
	assert_int_equal(sigaction(SIGCHLD, &ignore, &old_child), 0);
	assert_int_equal(command_run(status, 5000, &s, &d), 0);
	assert_int_equal(
	    sscanf(s.ptr, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & ~LIBC_SIGNALS, 0);
	/* A failure is seen, too. */
	assert_int_equal(sigaction(SIGCHLD, &ignore, NULL), 0);
	assert_int_equal(command_run("/bin/false", 5000, &s, &d), -1);
	assert_non_null(strstr(d.text, "status 1"));
	ignore = (struct sigaction){ .sa_handler = SIG_DFL,
		.sa_flags = SA_NOCLDWAIT };
	assert_int_equal(sigaction(SIGCHLD, &ignore, NULL), 0);
	assert_int_equal(command_run("/bin/false", 5000, &s, &d), -1);
	assert_non_null(strstr(d.text, "status 1"));
	assert_int_equal(sigaction(SIGPIPE, &old_pipe, NULL), 0);
	assert_int_equal(sigaction(SIGCHLD, &old_child, NULL), 0);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

static void
on_chld(int sig)
{
	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Without its status, what it printed may be half of a secret. */
static void
trusts_no_lost_status(void **unused)
{
	struct sigaction old, reap = { .sa_handler = on_chld };
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(sigaction(SIGCHLD, &reap, &old), 0);
	assert_int_equal(command_run("/bin/echo s3cret", 5000, &s, &d), -1);
	assert_int_equal(sigaction(SIGCHLD, &old, NULL), 0);
	assert_int_equal(d.kind, DIAG_RETRY);
	assert_non_null(strstr(d.text, "exit status was taken"));
}

/* Where a daemon has closed them. */
static void
works_without_standard_streams(void **unused)
{
	pid_t pid;
	int status;

	(void)unused;
	pid = fork();
	if (pid == 0) {
		struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;

		(void)close(0);
		(void)close(1);
		(void)close(2);
		if (command_run("/bin/echo x", 5000, &s, &d) < 0)
			_exit(1);
		_exit(s.len == 1 && s.ptr[0] == 'x' ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_why_it_cannot_start),
		cmocka_unit_test(passes_arguments),
		cmocka_unit_test(gives_little_to_the_program),
		cmocka_unit_test(resets_signals),
		cmocka_unit_test(trusts_no_lost_status),
		cmocka_unit_test(works_without_standard_streams),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
