/*
 * echo.c - echo SOCKET ANSWER: the least that a server on a UNIX socket can
 * do.  It accepts, reads once, writes what the file ANSWER holds and closes,
 * one client after the other, until it is told to end.
 *
 * It is the yardstick for the agent: the same bytes go both ways.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX 65536

static char answer[ANSWER_MAX];

static size_t
read_answer(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return 0;
	n = fread(answer, 1, sizeof(answer), f);
	(void)fclose(f);
	return n;
}

static int
listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path))
		return -1;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -1;
	return fd;
}

int
main(int argc, char *argv[])
{
	size_t len = argc == 3 ? read_answer(argv[2]) : 0;
	char request[ANSWER_MAX];
	int fd, client;

	if (len == 0) {
		fputs("usage: echo SOCKET ANSWER\n", stderr);
		return 64;
	}
	if ((fd = listen_at(argv[1])) < 0) {
		perror(argv[1]);
		return 1;
	}
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		if (read(client, request, sizeof(request)) > 0 &&
		    write(client, answer, len) != (ssize_t)len)
			perror("write");
		(void)close(client);
	}
	perror("accept");
	return 1;
}
