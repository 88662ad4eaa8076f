/*
 * oddhost.c - programs that drive Cyrus SASL oddly, on the real libsasl2:
 * modes of one process.  forkhost.c has those of several.
 *
 * oddhost USER PASS MODE...	see modes.h
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "modes.h"

#define MANY	10
#define AGAIN	20
#define TICK_US 2000
#define REFUSAL "{\"status\":\"401\",\"schemes\":\"bearer\"}"

static volatile sig_atomic_t ticks, pipes;

static void
answer(sasl_interact_t *p)
{
	for (; p->id != SASL_CB_LIST_END; p++) {
		p->result = p->id == SASL_CB_PASS ?
				(const char *)user.secret->data :
				user.name;
		p->len = p->id == SASL_CB_PASS ? (unsigned)user.secret->len :
						 (unsigned)strlen(user.name);
	}
}

/* Asked, answered; and asked, and then the person has gone. */
static void
prompts(void)
{
	for (int gone = 0; gone < 2; gone++) {
		struct login l;

		(void)login_new(&l, &user);
		l.callbacks[0].proc = l.callbacks[1].proc = NULL;
		(void)login_start(&l, "XOAUTH2");
		login_report(&l, "asked");
		if (!gone && l.rc == SASL_INTERACT) {
			answer(l.prompts);
			(void)login_start(&l, "XOAUTH2");
			login_report(&l, "answered");
			(void)login_step(&l, "");
			login_report(&l, "answered");
		}
		login_end(&l);
	}
}

/* First without a password, then without any callback. */
static void
no_password(void)
{
	for (int n = 1; n >= 0; n--) {
		struct login l;

		(void)login_new(&l, &user);
		l.callbacks[n].id = SASL_CB_LIST_END;
		(void)login_start(&l, "XOAUTH2");
		login_report(&l, n == 1 ? "without-password" : "without-all");
		login_end(&l);
	}
}

/* The same connection after a failure, and after a success. */
static void
reuse(void)
{
	struct person who = { .name = "stranger@contoso.example" };
	struct login l;

	who.secret = user.secret;
	(void)login_new(&l, &who);
	for (int i = 0; i < 3; i++) {
		(void)login_start(&l, "XOAUTH2");
		login_report(&l, who.name == user.name ? "user" : "stranger");
		who = user;
	}
	(void)login_step(&l, "");
	login_report(&l, "user");
	login_end(&l);
}

static void
refused(void)
{
	struct login l;

	(void)login_new(&l, &user);
	(void)login_start(&l, "XOAUTH2");
	login_report(&l, "first");
	(void)login_step(&l, REFUSAL);
	login_report(&l, "refused");
	dprintf(report_fd, "detail: %s\n", sasl_errdetail(l.conn));
	login_end(&l);
	log_in("second");
}

/* Started in order, stepped backwards; every third is dropped in between. */
static void
interleave(void)
{
	struct login l[MANY];

	for (int i = 0; i < MANY; i++)
		(void)login_new(&l[i], &user);
	for (int i = 0; i < MANY; i++) {
		(void)login_start(&l[i], i % 2 ? "OAUTHBEARER" : "XOAUTH2");
		login_report(&l[i], i % 2 ? "oauthbearer" : "xoauth2");
		if (i % 3 == 2)
			login_end(&l[i]);
	}
	for (int i = MANY - 1; i >= 0; i--) {
		if (l[i].conn == NULL)
			continue;
		(void)login_step(&l[i], "");
		login_report(&l[i], "step");
		login_end(&l[i]);
	}
}

/* As daemons do; and what the host opens in between is not ours to close. */
static void
close_all(void)
{
	struct login l;
	int mine;

	(void)close_range(REPORT_FD + 1, ~0U, 0);
	(void)login_new(&l, &user);
	(void)close_range(3, REPORT_FD - 1, 0);
	(void)login_start(&l, "XOAUTH2");
	login_report(&l, "start");
	(void)close_range(3, REPORT_FD - 1, 0);
	mine = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)login_step(&l, REFUSAL);
	login_report(&l, "step");
	login_end(&l);
	dprintf(report_fd, "descriptor %d %s\n", mine,
	    fcntl(mine, F_GETFD) < 0 ? "gone" : "there");
	(void)close(mine);
}

/* Every init loads the plugin, every done unloads it. */
static bool
loaded(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found = found || strstr(line, "/libxoauth2.so") != NULL;
	if (f != NULL)
		(void)fclose(f);
	return found;
}

static void
again(void)
{
	int in = 0, out = 0;

	sasl_client_done();
	for (int i = 0; i < AGAIN; i++) {
		out += !loaded();
		(void)library_init();
		in += loaded();
		log_in("again");
		sasl_client_done();
	}
	dprintf(report_fd, "loaded=%d unloaded=%d\n", in, out);
	(void)library_init();
}

static void
on_signal(int number)
{
	if (number == SIGPIPE)
		pipes++;
	else
		ticks++;
}

/* A host's timer and handlers; what they interrupt goes on. */
static void
signals(void)
{
	struct sigaction ours = { .sa_handler = on_signal }, old[2], now[2];
	struct itimerval tick = { { 0, TICK_US }, { 0, TICK_US } }, was;

	(void)sigaction(SIGALRM, &ours, &old[0]);
	(void)sigaction(SIGPIPE, &ours, &old[1]);
	(void)setitimer(ITIMER_REAL, &tick, &was);
	log_in("ticking");
	(void)setitimer(ITIMER_REAL, &was, &tick);
	(void)sigaction(SIGALRM, &old[0], &now[0]);
	(void)sigaction(SIGPIPE, &old[1], &now[1]);
	dprintf(report_fd, "ticks=%d pipes=%d handlers=%d timer=%d\n",
	    (int)ticks, (int)pipes,
	    (now[0].sa_handler == on_signal) + (now[1].sa_handler == on_signal),
	    tick.it_interval.tv_usec == TICK_US);
}

static void
no_descriptor(void)
{
	int lowest = dup(STDERR_FILENO);
	struct rlimit was, none;
	struct login l;

	(void)close(lowest);
	(void)getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = (rlim_t)lowest;
	(void)login_new(&l, &user);
	(void)setrlimit(RLIMIT_NOFILE, &none);
	(void)login_start(&l, "XOAUTH2");
	login_report(&l, "none");
	(void)setrlimit(RLIMIT_NOFILE, &was);
	login_end(&l);
	log_in("enough");
}

static const struct mode modes[] = {
	{ "prompts", prompts },
	{ "no-password", no_password },
	{ "reuse", reuse },
	{ "refused", refused },
	{ "interleave", interleave },
	{ "close-all", close_all },
	{ "again", again },
	{ "signals", signals },
	{ "no-descriptor", no_descriptor },
};

int
main(int argc, char *argv[])
{
	return modes_main(argc, argv, modes, sizeof(modes) / sizeof(modes[0]));
}
