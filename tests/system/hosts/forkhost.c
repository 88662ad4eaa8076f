/*
 * forkhost.c - programs that log in by Cyrus SASL from several processes, or
 * change what their process is in between: modes in children.  The parent
 * initialises libsasl2.
 *
 * forkhost USER PASS MODE...	see modes.h
 *
 * $BECOME is the uid that the modes setuid and chroot change to, $JAIL the
 * directory that chroot enters.
 */
#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>

#include "modes.h"

#define CHILDREN 4

/* Runs the job in a child that then goes without a word. */
static pid_t
child(void (*job)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)alarm(LIMIT_S);
		job();
		sasl_client_done();
		free(user.secret);
		_exit(0);
	}
	return pid;
}

static void
children_wait(void)
{
	int status;

	while (wait(&status) > 0)
		if (status != 0)
			dprintf(report_fd, "child status=%d\n", status);
}

static void
child_login(void)
{
	log_in("child");
}

static void
fork_init(void)
{
	for (int i = 0; i < CHILDREN; i++)
		(void)child(child_login);
	log_in("parent");
	children_wait();
}

static struct login halfway;

static void
child_step(void)
{
	(void)login_step(&halfway, "");
	login_report(&halfway, "child-step");
	login_end(&halfway);
	log_in("child");
}

static void
fork_start(void)
{
	(void)login_new(&halfway, &user);
	(void)login_start(&halfway, "XOAUTH2");
	login_report(&halfway, "start");
	(void)child(child_step);
	children_wait();
	(void)login_step(&halfway, "");
	login_report(&halfway, "parent-step");
	login_end(&halfway);
}

static bool
drop(void)
{
	const char *uid = getenv("BECOME");
	uid_t become = uid != NULL ? (uid_t)atoi(uid) : (uid_t)-1;

	return setgroups(0, NULL) == 0 && setgid((gid_t)become) == 0 &&
	       setuid(become) == 0;
}

static void
child_setuid(void)
{
	log_in("before");
	if (drop())
		log_in("after");
}

static void
change_user(void)
{
	(void)child(child_setuid);
	children_wait();
}

static void
child_chroot(void)
{
	const char *jail = getenv("JAIL");

	(void)unsetenv("MAILTOKEN_SOCKET");
	if (jail != NULL && chroot(jail) == 0 && chdir("/") == 0 && drop())
		log_in("jailed");
}

static void
change_root(void)
{
	(void)child(child_chroot);
	children_wait();
}

/* Our socket becomes standard input, which nobody must take for it. */
static void
child_closed(void)
{
	(void)close_range(0, 2, 0);
	log_in("closed");
	dprintf(report_fd, "standard=%d\n",
	    (fcntl(0, F_GETFD) >= 0) + (fcntl(1, F_GETFD) >= 0) +
		(fcntl(2, F_GETFD) >= 0));
}

static void
closed_stdio(void)
{
	(void)child(child_closed);
	children_wait();
}

static const struct mode modes[] = {
	{ "fork-init", fork_init },
	{ "fork-start", fork_start },
	{ "setuid", change_user },
	{ "chroot", change_root },
	{ "closed-stdio", closed_stdio },
};

int
main(int argc, char *argv[])
{
	return modes_main(argc, argv, modes, sizeof(modes) / sizeof(modes[0]));
}
