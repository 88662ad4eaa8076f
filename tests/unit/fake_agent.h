/*
 * fake_agent.h - an agent in a process of its own that answers every request
 * with the same bytes, in the way a test wants.
 */
#ifndef TESTS_FAKE_AGENT_H
#define TESTS_FAKE_AGENT_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAKE_GET                                                          \
	"version=1\nstatus=ok\naccount=relay@example.com\ngeneration=7\n" \
	"expires_at=1790000000\ntoken="

enum fake_manner {
	FAKE_AT_ONCE,
	FAKE_BYTE_BY_BYTE,
	FAKE_NEVER,  /* listens, and accepts nothing */
	FAKE_SILENT, /* accepts, and says nothing */
	FAKE_UNASKED /* answers and hangs up before it reads */
};

/* How it ends, as the first who ask it see it. */
enum fake_death {
	FAKE_DIES_AT_ONCE, /* the request may find nobody */
	FAKE_DIES_UNREAD,
	FAKE_DIES_READ,
	FAKE_DIES_LATE, /* after a second */
	FAKE_DIES_HALF, /* with half of the answer sent */
	FAKE_DIES_GONE	/* and nobody listens any more */
};

struct fake_agent {
	char dir[64], path[96];
	pid_t pid;
	int heard;    /* a pipe with the requests */
	int listener; /* FAKE_NEVER only, else -1 */
};

static inline void
fake_serve_one(
    int fd, enum fake_manner manner, const char *answer, size_t len, int heard)
{
	char request[4096];
	size_t n = 0;

	while (manner != FAKE_UNASKED && n < sizeof(request)) {
		ssize_t got = read(fd, request + n, sizeof(request) - n);

		if (got <= 0)
			return;
		n += (size_t)got;
		if (n >= 2 && memcmp(request + n - 2, "\n\n", 2) == 0)
			break;
	}
	if (write(heard, request, n) < 0)
		return;
	if (manner == FAKE_SILENT) {
		(void)poll(NULL, 0, 5000);
		return;
	}
	for (size_t at = 0, step = manner == FAKE_BYTE_BY_BYTE ? 1 : len;
	     at < len; at += step)
		if (send(fd, answer + at, step, MSG_NOSIGNAL) < 0)
			return;
}

static inline void
fake_die(
    int fd, enum fake_death death, const char *answer, size_t len, int heard)
{
	static const char unread[] = "unread\n\n";
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (death == FAKE_DIES_UNREAD)
		(void)poll(&p, 1, 5000);
	if (death == FAKE_DIES_UNREAD || death == FAKE_DIES_AT_ONCE) {
		if (write(heard, unread, sizeof(unread) - 1) < 0)
			abort();
		return;
	}
	fake_serve_one(fd, FAKE_AT_ONCE, answer,
	    death == FAKE_DIES_HALF ? len / 2 : 0, heard);
	if (death == FAKE_DIES_LATE)
		(void)poll(NULL, 0, 1000);
}

/* The first connections are its death; later ones are answered. */
static inline void
fake_agent_start_mortal(struct fake_agent *a, unsigned deaths,
    enum fake_death death, enum fake_manner manner, const char *answer,
    size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, heard[2];

	(void)snprintf(a->dir, sizeof(a->dir), "/tmp/mailtoken-test.XXXXXX");
	if (mkdtemp(a->dir) == NULL || pipe(heard) < 0)
		abort();
	(void)snprintf(a->path, sizeof(a->path), "%s/agent.sock", a->dir);
	memcpy(addr.sun_path, a->path, strlen(a->path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, manner == FAKE_NEVER ? 0 : 10) < 0)
		abort();
	a->heard = heard[0];
	a->listener = -1;
	a->pid = manner == FAKE_NEVER ? -1 : fork();
	if (a->pid == 0) {
		(void)alarm(60);
		for (;;) {
			int conn = accept(fd, NULL, NULL);

			if (deaths > 0)
				fake_die(conn, death, answer, len, heard[1]);
			else
				fake_serve_one(
				    conn, manner, answer, len, heard[1]);
			if (deaths > 0 && death == FAKE_DIES_GONE) {
				(void)close(fd); /* before conn */
				_exit(0);
			}
			deaths -= deaths > 0;
			(void)close(conn);
		}
	}
	(void)close(heard[1]);
	if (manner == FAKE_NEVER)
		a->listener = fd;
	else
		(void)close(fd);
}

static inline void
fake_agent_start(struct fake_agent *a, enum fake_manner manner,
    const char *answer, size_t len)
{
	fake_agent_start_mortal(
	    a, 0, FAKE_DIES_AT_ONCE, manner, answer, len);
}

/* What it was asked, since last time; waits for a whole request. */
static inline const char *
fake_agent_heard(struct fake_agent *a)
{
	static char text[8192];
	struct pollfd p = { .fd = a->heard, .events = POLLIN };
	ssize_t n = 0;

	if (poll(&p, 1, 2000) > 0)
		n = read(a->heard, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline void
fake_agent_stop(struct fake_agent *a)
{
	if (a->pid > 0) {
		(void)kill(a->pid, SIGKILL);
		(void)waitpid(a->pid, NULL, 0);
	}
	(void)close(a->heard);
	if (a->listener >= 0)
		(void)close(a->listener);
	(void)unlink(a->path);
	(void)rmdir(a->dir);
}

/* Open descriptors of this process. */
static inline int
fake_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		(void)closedir(d);
	return n;
}

#endif
