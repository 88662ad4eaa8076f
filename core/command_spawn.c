#include "command_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FREE  4 /* standard streams, and the one that tells of errors */
#define REAP_TRIES  100
#define REAP_NAP_NS 2000000

/* The environment of a program: these of ours, and what it is told. */
static const char *const variables[] = { "PATH=", "HOME=", "LANG=", "USER=" };
#define N_VARIABLES (sizeof(variables) / sizeof(variables[0]))
#define ENVIRONMENT (N_VARIABLES + SPAWN_TOLD_MAX + 1) /* with a NULL */

static void
pick_environment(char *const told[], char *env[ENVIRONMENT])
{
	size_t n = 0;

	for (size_t i = 0; told != NULL && told[i] != NULL; i++)
		if (i < SPAWN_TOLD_MAX)
			env[n++] = told[i];

	for (size_t i = 0; i < N_VARIABLES; i++) {
		size_t len = strlen(variables[i]);

		for (char **e = environ; e != NULL && *e != NULL; e++)
			if (strncmp(*e, variables[i], len) == 0) {
				env[n++] = *e;
				break;
			}
	}
	env[n] = NULL;
}

/*
 * In the child.  Descriptors are moved out of the way first: where we run
 * with a standard stream closed, a pipe may have got its number.
 */
static int
set_descriptors(int out, int failure)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high_null = fcntl(null, F_DUPFD_CLOEXEC, FIRST_FREE);
	int high_out = fcntl(out, F_DUPFD_CLOEXEC, FIRST_FREE);
	int high_failure = fcntl(failure, F_DUPFD_CLOEXEC, FIRST_FREE);

	if (high_null < 0 || high_out < 0 || high_failure < 0 ||
	    dup3(high_failure, FIRST_FREE - 1, O_CLOEXEC) < 0 ||
	    dup2(high_null, 0) < 0 || dup2(high_out, 1) < 0 ||
	    dup2(high_null, 2) < 0)
		return -1;
	closefrom(FIRST_FREE);
	return FIRST_FREE - 1;
}

/* As a program expects them; what we ignore, it would ignore too. */
static void
reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) child(
    char *const argv[], char *const told[], pid_t parent, int out, int failure)
{
	char *env[ENVIRONMENT];
	int err;

	reset_signals();
	(void)setsid();
	/* If we had ended already, nobody would be told any more. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	pick_environment(told, env);
	failure = set_descriptors(out, failure);
	if (failure >= 0 && chdir("/") == 0)
		(void)execve(argv[0], argv, env);
	err = errno;
	if (failure >= 0 && write(failure, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Else its children vanish with how they ended. */
static void
restore_sigchld(void)
{
	struct sigaction sa;

	if (sigaction(SIGCHLD, NULL, &sa) == 0 &&
	    (sa.sa_handler == SIG_IGN || (sa.sa_flags & SA_NOCLDWAIT) != 0)) {
		if (sa.sa_handler == SIG_IGN)
			sa.sa_handler = SIG_DFL;
		sa.sa_flags &= ~SA_NOCLDWAIT;
		(void)sigaction(SIGCHLD, &sa, NULL);
	}
}

int
spawn(char *const argv[], char *const told[], struct spawned *ret)
{
	int out[2] = { -1, -1 }, failure[2] = { -1, -1 };
	pid_t parent = getpid(), pid;
	sigset_t all, old;
	int err;

	restore_sigchld();
	if (pipe2(out, O_CLOEXEC) < 0)
		return errno;
	if (pipe2(failure, O_CLOEXEC) < 0) {
		err = errno;
		(void)close(out[0]);
		(void)close(out[1]);
		return err;
	}
	/* A handler of ours that ran in the child would speak for us. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	err = errno;
	if (pid == 0)
		child(argv, told, parent, out[1], failure[1]);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)close(out[1]);
	(void)close(failure[1]);
	if (pid < 0) {
		(void)close(out[0]);
		(void)close(failure[0]);
		return err;
	}
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(failure[0], F_SETFL, O_NONBLOCK);
	*ret = (struct spawned){ pid, out[0], failure[0] };
	return 0;
}

int
spawn_failure(const struct spawned *s)
{
	int err = 0;

	return read(s->failure, &err, sizeof(err)) == sizeof(err) ? err : 0;
}

bool
spawn_ended(struct spawned *s, int *status)
{
	pid_t pid = waitpid(s->pid, status, WNOHANG);

	if (pid == 0 || (pid < 0 && errno == EINTR))
		return false;
	if (pid < 0)
		*status = -1;
	s->pid = -1;
	return true;
}

void
spawn_end(struct spawned *s)
{
	struct timespec nap = { 0, REAP_NAP_NS };
	int status;

	if (s->pid > 0) {
		/* Before it is reaped, the number is nobody else's.  It may not
		 * lead its group yet. */
		(void)kill(-s->pid, SIGKILL);
		(void)kill(s->pid, SIGKILL);
	}
	/* Only one that is stuck in the kernel takes longer: leave it. */
	for (int i = 0; s->pid > 0 && i < REAP_TRIES; i++)
		if (!spawn_ended(s, &status))
			(void)nanosleep(&nap, NULL);
	if (s->out >= 0)
		(void)close(s->out);
	if (s->failure >= 0)
		(void)close(s->failure);
	*s = (struct spawned)SPAWNED_INIT;
}
