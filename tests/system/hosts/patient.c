/*
 * patient.c - patient SOCKET UID TIMES PAUSE_MS REQUEST: how long a good
 * client waits.
 *
 * As UID, and as the plugin does it: connects without blocking, tries again
 * in 10 ms while there is no room, and gives up after 10 s.  Prints "asked=N
 * failed=M median_us=... p99_us=... max_us=...", and the first bad answer.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_MS  10000
#define TIMES_MAX   100000
#define REQUEST_MAX 4096
#define ANSWER_MAX  65536

static struct sockaddr_un sun = { .sun_family = AF_UNIX };
static char request[REQUEST_MAX], answer[ANSWER_MAX], bad[200];
static size_t request_len;
static long took_us[TIMES_MAX];

static long
now_us(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A message ends with an empty line, a netstring with a comma. */
static bool
whole(size_t n)
{
	return n > 2 &&
	       (memcmp(answer + n - 2, "\n\n", 2) == 0 ||
		   (answer[n - 1] == ',' && strchr(answer, ':') != NULL));
}

static bool
wait_for(int fd, long end_us)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long left = (end_us - now_us()) / 1000;

	return left > 0 && poll(&p, 1, (int)left) > 0;
}

static bool
hear(int fd, long end_us)
{
	size_t n = 0;

	while (!whole(n)) {
		ssize_t got = 0;

		if (n + 1 < sizeof(answer) && wait_for(fd, end_us))
			got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		answer[n] = '\0';
	}
	return whole(n) &&
	       (strncmp(answer, "version=1\nstatus=ok\n", 20) == 0 ||
		   strstr(answer, ":OK ") != NULL);
}

static bool
ask(void)
{
	long end_us = now_us() + GIVE_UP_MS * 1000L;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;
	bool ok;

	answer[0] = '\0';
	while ((rc = connect(fd, (const struct sockaddr *)&sun, sizeof(sun))) <
		   0 &&
	       errno == EAGAIN && now_us() < end_us)
		(void)poll(NULL, 0, 10);
	ok = rc == 0 && send(fd, request, request_len, MSG_NOSIGNAL) > 0;
	if (!ok)
		(void)snprintf(answer, sizeof(answer), "%s", strerror(errno));
	/* It may have been refused with a reason. */
	ok = rc == 0 && hear(fd, end_us) && ok;
	if (!ok && bad[0] == '\0')
		(void)snprintf(bad, sizeof(bad), "%.150s", answer);
	(void)close(fd);
	return ok;
}

static int
by_time(const void *left, const void *right)
{
	const long *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static bool
prepare(char *argv[])
{
	FILE *f = fopen(argv[5], "r");
	uid_t uid = (uid_t)atoi(argv[2]);

	if (f == NULL || strlen(argv[1]) >= sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, argv[1], strlen(argv[1]) + 1);
	request_len = fread(request, 1, sizeof(request), f);
	(void)fclose(f);
	return request_len > 0 && setgid((gid_t)uid) == 0 && setuid(uid) == 0;
}

int
main(int argc, char *argv[])
{
	int times = argc == 6 ? atoi(argv[3]) : 0, failed = 0;

	if (times < 1 || times > TIMES_MAX || !prepare(argv)) {
		fputs("usage: patient SOCKET UID TIMES PAUSE_MS REQUEST\n",
		    stderr);
		return 64;
	}
	for (int i = 0; i < times; i++) {
		long begin = now_us();

		failed += !ask();
		took_us[i] = now_us() - begin;
		(void)poll(NULL, 0, atoi(argv[4]));
	}
	qsort(took_us, (size_t)times, sizeof(took_us[0]), by_time);
	printf("asked=%d failed=%d median_us=%ld p99_us=%ld max_us=%ld\n%s\n",
	    times, failed, took_us[times / 2], took_us[times * 99 / 100],
	    took_us[times - 1], bad);
	return 0;
}
