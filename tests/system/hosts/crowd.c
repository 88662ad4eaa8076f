/*
 * crowd.c - crowd WAY SOCKET UID UIDS EACH SECONDS REQUEST: bad clients.
 *
 * UIDS processes, the first as UID, the next as UID + 1..., have EACH
 * connections to the SOCKET at a time, for SECONDS or until SIGTERM, and begin
 * a new one for each that ends.  REQUEST is a file.  WAYs:
 *
 *     silent   says nothing
 *     begin    sends the request, which is half of one, and waits
 *     drip     sends a byte of the request in DRIP_MS
 *     flood    asks, reads the answer, asks again
 *     garbage  sends what is no request
 *     die      asks, and is gone
 *     deaf     asks on and on, and reads nothing
 *     half     asks, and says that this was all
 *     more     sends a byte too many
 *     pieces   asks byte by byte
 *     many     says nothing, and lets go of none before it has EACH
 *
 * All that at NICE, so that what others suffer is the agent's doing, and not
 * the scheduler's with hundreds of processes that never rest.
 *
 * Prints "tried=N refused=M": connections, or requests where many are made on
 * one, and how often there was no room in the queue.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DRIP_MS	    300
#define PAUSE_MS    200
#define KEEP_MS	    1000
#define EACH_MAX    12000
#define UIDS_MAX    2000
#define LIMIT_S	    300
#define NICE	    10
#define REQUEST_MAX 4096

enum way {
	SILENT,
	BEGIN,
	DRIP,
	FLOOD,
	GARBAGE,
	DIE,
	DEAF,
	HALF,
	MORE,
	PIECES,
	MANY,
	WAYS
};
static const char *const ways[] = { "silent", "begin", "drip", "flood",
	"garbage", "die", "deaf", "half", "more", "pieces", "many" };
_Static_assert(sizeof(ways) / sizeof(ways[0]) == WAYS, "a name for each");

static struct counts {
	atomic_long tried, refused;
} * counts; /* shared by all processes */

static enum way way;
static struct sockaddr_un sun = { .sun_family = AF_UNIX };
static char request[REQUEST_MAX], garbage[REQUEST_MAX];
static size_t request_len;
static int each;
static struct pollfd slot[EACH_MAX];
static size_t sent[EACH_MAX];
static volatile sig_atomic_t ended;

static void
on_end(int sig)
{
	(void)sig;
	ended = 1;
}

static long
now_ms(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
drop(int i)
{
	(void)close(slot[i].fd);
	slot[i].fd = -1;
}

static void
put(int i, const char *bytes, size_t n)
{
	(void)send(slot[i].fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What is done at once; the rest comes when there is something to read. */
static void
begin(int i)
{
	if (way == BEGIN || way == FLOOD || way == DIE || way == HALF ||
	    way == MORE || way == DEAF)
		put(i, request, request_len);
	if (way == GARBAGE)
		put(i, garbage, sizeof(garbage));
	if (way == MORE)
		put(i, "x", 1);
	if (way == HALF)
		(void)shutdown(slot[i].fd, SHUT_WR);
	for (size_t k = 0; way == PIECES && k < request_len; k++)
		put(i, request + k, 1);
	if (way == DIE)
		drop(i);
}

static void
open_one(int i)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0) {
		slot[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		sent[i] = 0;
		(void)atomic_fetch_add(&counts->tried, 1);
		begin(i);
		return;
	}
	(void)atomic_fetch_add(&counts->refused, 1);
	if (fd >= 0)
		(void)close(fd);
}

/* The agent answers, or has hung up. */
static void
hear(int i)
{
	char sink[65536];
	ssize_t n;

	if (way == DEAF && (slot[i].revents & (POLLHUP | POLLERR)) == 0)
		return;
	n = recv(slot[i].fd, sink, sizeof(sink), MSG_DONTWAIT);
	/* One more on the same connection, where it is kept. */
	if (n > 0 && way == FLOOD && sink[n - 1] == ',') {
		(void)atomic_fetch_add(&counts->tried, 1);
		put(i, request, request_len);
	} else if (n == 0 || (n < 0 && errno != EAGAIN)) {
		drop(i);
	}
}

static void
turn(bool drip)
{
	/* Who is slow does not come back in a hurry either. */
	if (way == SILENT || way == BEGIN || way == DRIP || way == DEAF)
		(void)poll(NULL, 0, PAUSE_MS);
	(void)poll(slot, (nfds_t)each, 20);
	for (int i = 0; i < each; i++) {
		if (slot[i].fd < 0)
			open_one(i);
		else if (slot[i].revents != 0)
			hear(i);
		else if (way == DEAF)
			put(i, request, request_len);
		else if (way == DRIP && drip)
			put(i, request + sent[i]++ % request_len, 1);
	}
}

/* All at once, and again. */
static void
turn_many(void)
{
	for (int i = 0; i < each && !ended; i++)
		for (int k = 0; slot[i].fd < 0 && k < 1000 && !ended; k++) {
			open_one(i);
			if (slot[i].fd < 0)
				(void)poll(NULL, 0, 1);
		}
	(void)poll(NULL, 0, KEEP_MS);
	for (int i = 0; i < each; i++)
		if (slot[i].fd >= 0)
			drop(i);
}

static void
run(uid_t uid, long end_ms)
{
	long drip_ms = now_ms();

	(void)signal(SIGTERM, on_end);
	if (setgid((gid_t)uid) < 0 || setuid(uid) < 0)
		_exit(1);
	/* It is forgotten when the uid changes. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	for (int i = 0; i < each; i++)
		slot[i].fd = -1;
	while (!ended && now_ms() < end_ms) {
		bool drip = now_ms() - drip_ms >= DRIP_MS;

		if (way == MANY)
			turn_many();
		else
			turn(drip);
		if (drip)
			drip_ms = now_ms();
	}
	_exit(0);
}

static bool
read_request(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return false;
	request_len = fread(request, 1, sizeof(request), f);
	(void)fclose(f);
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = i % 64 == 63 ? '\n' : '\377';
	return request_len > 0;
}

static bool
prepare(char *argv[])
{
	const struct rlimit files = { EACH_MAX + 100, EACH_MAX + 100 };

	while (way < WAYS && strcmp(ways[way], argv[1]) != 0)
		way++;
	each = atoi(argv[5]);
	if (way == WAYS || strlen(argv[2]) >= sizeof(sun.sun_path) ||
	    each < 1 || each > EACH_MAX || !read_request(argv[7]))
		return false;
	memcpy(sun.sun_path, argv[2], strlen(argv[2]) + 1);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (each > 900 && setrlimit(RLIMIT_NOFILE, &files) < 0)
		perror("RLIMIT_NOFILE");
	return counts != MAP_FAILED;
}

static bool
end_one(pid_t pid)
{
	int status = 0;

	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int
main(int argc, char *argv[])
{
	static pid_t child[UIDS_MAX];
	int uids = argc == 8 ? atoi(argv[4]) : 0;
	int seconds = argc == 8 ? atoi(argv[6]) : 0;
	bool good = true;

	if (uids < 1 || uids > UIDS_MAX || seconds < 1 || seconds > LIMIT_S ||
	    !prepare(argv)) {
		fputs("usage: crowd WAY SOCKET UID UIDS EACH SECONDS REQUEST\n",
		    stderr);
		return 64;
	}
	(void)signal(SIGTERM, on_end);
	for (int i = 0; i < uids; i++) {
		child[i] = fork();
		if (child[i] == 0)
			run((uid_t)(atoi(argv[3]) + i),
			    now_ms() + seconds * 1000L);
	}
	for (long end = now_ms() + seconds * 1000L; !ended && now_ms() < end;)
		(void)poll(NULL, 0, 10);
	for (int i = 0; i < uids; i++)
		if (child[i] > 0)
			(void)kill(child[i], SIGTERM);
	for (int i = 0; i < uids; i++)
		good = end_one(child[i]) && good;
	printf("tried=%ld refused=%ld\n", counts->tried, counts->refused);
	return good ? 0 : 1;
}
