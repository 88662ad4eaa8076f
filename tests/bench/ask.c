/*
 * ask.c - ask ROUNDS GETS REQUESTS SOCKET...: how long a round trip takes.
 *
 * In every round each socket in turn is asked GETS times: connect, send the
 * next of the messages in the file REQUESTS, read until the empty line,
 * close.  One line for a round: the nanoseconds of one round trip with each
 * socket.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX   65536
#define REQUESTS_MAX (1 << 20)

/* Messages that follow each other, and where the next one starts. */
static char requests[REQUESTS_MAX];
static size_t requests_len, next_request;

static int64_t
now_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Reads one answer; true if it is whole and says that all is well. */
static bool
read_answer(int fd)
{
	static const char ok[] = "version=1\nstatus=ok\n";
	char answer[ANSWER_MAX];
	size_t len = 0;

	while (len < 2 || memcmp(answer + len - 2, "\n\n", 2) != 0) {
		ssize_t n = read(fd, answer + len, sizeof(answer) - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return memcmp(answer, ok, sizeof(ok) - 1) == 0;
}

static bool
send_next(int fd)
{
	const char *start = requests + next_request;
	const char *end = memmem(start, requests_len - next_request, "\n\n", 2);
	size_t n = end != NULL ? (size_t)(end + 2 - start) : 0;

	next_request += n;
	if (next_request == requests_len)
		next_request = 0;
	return n > 0 && write(fd, start, n) == (ssize_t)n;
}

static bool
ask(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok =
	    fd >= 0 &&
	    connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 &&
	    send_next(fd) && read_answer(fd);

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

static bool
ask_many(const char *path, int gets)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int64_t start = now_ns();

	if (strlen(path) >= sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	for (int i = 0; i < gets; i++)
		if (!ask(&sun))
			return false;
	printf("%lld ", (long long)((now_ns() - start) / gets));
	return true;
}

static bool
read_requests(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return false;
	requests_len = fread(requests, 1, sizeof(requests), f);
	(void)fclose(f);
	return requests_len > 0;
}

int
main(int argc, char *argv[])
{
	int rounds = argc > 4 ? atoi(argv[1]) : 0;
	int gets = argc > 4 ? atoi(argv[2]) : 0;

	if (rounds <= 0 || gets <= 0 || !read_requests(argv[3])) {
		fputs("usage: ask ROUNDS GETS REQUESTS SOCKET...\n", stderr);
		return 64;
	}
	for (int i = 0; i < rounds; i++) {
		for (int s = 4; s < argc; s++)
			if (!ask_many(argv[s], gets)) {
				fprintf(
				    stderr, "%s: no good answer\n", argv[s]);
				return 1;
			}
		printf("\n");
		(void)fflush(stdout);
	}
	return 0;
}
