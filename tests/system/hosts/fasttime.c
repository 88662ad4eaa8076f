/*
 * fasttime.c - preloaded: all clocks of a process run as a test says, from a
 * file that the test maps too (lab/fasttime.py).
 *
 * Time goes on from where it was, at any speed, so that an hour takes a
 * minute; waits of epoll become as much shorter.  The program under test and
 * all that it has decided (margins, back-off, time limits) stay as they are.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"

#define WAIT_MS 20 /* at a time, since the speed may change meanwhile */

/* The file; odd sequence: it is being written. */
struct speed {
	_Atomic uint64_t sequence;
	_Atomic int64_t times;	    /* as fast as real time */
	_Atomic int64_t real_ns;    /* monotonic, when that began */
	_Atomic int64_t elapsed_ns; /* of fast time until then */
	_Atomic int64_t start_ns[CLOCKS];
};

static const struct speed *speed;

static int64_t
real_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

__attribute__((constructor)) static void
map_speed(void)
{
	const char *path = getenv("FASTTIME");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*speed), PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (p != MAP_FAILED)
		speed = p;
}

static int64_t
fast_ns(enum clocks clock)
{
	uint64_t before;
	int64_t ns;

	do {
		before = atomic_load(&speed->sequence);
		ns = atomic_load(&speed->start_ns[clock]) +
		     atomic_load(&speed->elapsed_ns) +
		     (real_ns() - atomic_load(&speed->real_ns)) *
			 atomic_load(&speed->times);
	} while (before % 2 != 0 || before != atomic_load(&speed->sequence));
	return ns;
}

REPLACES int
clock_gettime(clockid_t id, struct timespec *ret)
{
	enum clocks clock = clocks_which(id);
	int64_t ns;

	if (speed == NULL || clock == CLOCKS)
		return (int)syscall(SYS_clock_gettime, id, ret);
	ns = fast_ns(clock);
	ret->tv_sec = (time_t)(ns / NS_PER_S);
	ret->tv_nsec = (long)(ns % NS_PER_S);
	return 0;
}

/* Comes back early, with nothing: libevent looks at the clock and waits on. */
REPLACES int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	int64_t wait = timeout_ms;

	if (speed != NULL && timeout_ms != 0) {
		int64_t times = atomic_load(&speed->times);

		wait =
		    timeout_ms < 0 ? WAIT_MS : (timeout_ms + times - 1) / times;
		if (wait > WAIT_MS)
			wait = WAIT_MS;
	}
	return (int)syscall(
	    SYS_epoll_pwait, fd, events, max, (int)wait, NULL, (size_t)8);
}
