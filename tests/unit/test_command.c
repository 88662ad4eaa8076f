/* Programs that print a secret: what they get, how they end, what stays. */
#include <dirent.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "command.h"
#include "secret_ref.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/test_command.XXXXXX";
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

/* Into a buffer that the next call reuses. */
static const char *
path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
put(const char *name, mode_t mode, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

/* Makes `script` the shell's work. */
static const char *
script(const char *text)
{
	static char command[96];

	put("script", 0600, text);
	(void)snprintf(
	    command, sizeof(command), "/bin/sh %s", path_of("script"));
	return command;
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
	static const char *const names[] = { "script", "pid", "program" };

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static size_t
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void
no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_was_printed),
		cmocka_unit_test(says_why_it_cannot_start),
		cmocka_unit_test(checks_texts),
		cmocka_unit_test(passes_arguments),
		cmocka_unit_test(limits_output),
		cmocka_unit_test(kills_what_takes_too_long),
		cmocka_unit_test(does_not_wait_for_grandchildren),
		cmocka_unit_test(gives_little_to_the_program),
		cmocka_unit_test(resets_signals),
		cmocka_unit_test(trusts_no_lost_status),
		cmocka_unit_test(works_without_standard_streams),
		cmocka_unit_test(runs_many_at_once),
		cmocka_unit_test(leaves_nothing),
		cmocka_unit_test(survives_a_full_table),
		cmocka_unit_test(is_a_kind_of_secret),
		cmocka_unit_test(tells_a_program),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
