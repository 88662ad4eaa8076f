/*
 * libraryhost.c - a program that uses libmailtoken and nothing else of ours.
 *
 * libraryhost [-t MS] [-u USER] [-m MECHANISM] [-r REASON] [-f] [-w]
 *             [-n THREADS -i N] SOCKET ACCOUNT
 *
 *   -t MS         the time limit; 2000 without
 *   -u USER       the mailbox, where it is not the account's
 *   -m MECHANISM  the response with the token, for a made-up server
 *   -r REASON     reports the token as refused, and gets again
 *   -f            a child gets with the parent's handle, then the parent
 *   -w            says "held" and, after mailtoken_free(), "freed"; goes on
 *                 with each line of its input
 *   -n, -i        threads with a handle of their own get N tokens each
 *
 * Prints results, and the text, or the length and a sum of the token or the
 * response, never the token.  Ends with the last result.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailtoken.h"

#define MAX 64

static const char *socket_path, *account, *user;
static int timeout_ms = 2000, rounds = 1, waits;

/* Holds still, so that its memory can be searched. */
static void
hold(const char *what)
{
	char c = '\0';

	if (!waits)
		return;
	puts(what);
	(void)fflush(stdout);
	while (c != '\n' && read(STDIN_FILENO, &c, 1) == 1)
		continue;
}

static unsigned
sum(const char *s, size_t n)
{
	unsigned h = 2166136261U;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619U;
	return h;
}

static enum mailtoken_result
get(struct mailtoken *m)
{
	enum mailtoken_result rc =
	    mailtoken_get(m, account, "smtp", "smtp.example.com", user);
	const char *token = mailtoken_token(m);

	printf("get %d %s\n", (int)rc, mailtoken_text(m));
	if ((rc == MAILTOKEN_OK) != (token != NULL))
		puts("a token and a failure, or neither");
	else if (token != NULL)
		printf("token %zu %u %lld\n", strlen(token),
		    sum(token, strlen(token)),
		    (long long)mailtoken_expires_at(m));
	(void)fflush(stdout);
	return rc;
}

static void
show_response(struct mailtoken *m, const char *mechanism)
{
	const char *out;
	size_t n = 0;

	out = mailtoken_response(
	    m, mechanism, account, "smtp.example.com", 587, &n);
	if (out == NULL)
		printf("response failed: %s\n", mailtoken_text(m));
	else
		printf("response %zu %u\n", n, sum(out, n));
}

static enum mailtoken_result
get_in_child(struct mailtoken *m)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)get(m);
		mailtoken_free(m);
		exit(0);
	}
	(void)waitpid(pid, &status, 0);
	printf("child %d\n", status);
	return get(m);
}

/* Counts what was as it should be; one response for all. */
static void *
get_many(void *arg)
{
	struct mailtoken *m = mailtoken_new(socket_path, timeout_ms);
	int *good = arg;
	size_t n;

	for (int i = 0; m != NULL && i < rounds; i++)
		*good += mailtoken_get(m, account, NULL, NULL, NULL) ==
			     MAILTOKEN_OK &&
			 mailtoken_token(m) != NULL &&
			 mailtoken_response(
			     m, "XOAUTH2", account, NULL, 0, &n) != NULL;
	mailtoken_free(m);
	return NULL;
}

static int
run_threads(int n)
{
	pthread_t threads[MAX];
	int good[MAX] = { 0 }, all = 0;

	if (n > MAX)
		return 64;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, get_many, &good[i]) != 0)
			return 71;
	for (int i = 0; i < n; i++) {
		(void)pthread_join(threads[i], NULL);
		all += good[i];
	}
	printf("ok %d of %d\n", all, n * rounds);
	return all == n * rounds ? 0 : 1;
}

int
main(int argc, char *argv[])
{
	const char *mechanism = NULL, *reason = NULL;
	int c, threads = 0, child = 0;
	enum mailtoken_result rc;
	struct mailtoken *m;

	while ((c = getopt(argc, argv, "t:u:m:r:fwn:i:")) != -1)
		if (c == 't')
			timeout_ms = atoi(optarg);
		else if (c == 'u')
			user = optarg;
		else if (c == 'm')
			mechanism = optarg;
		else if (c == 'r')
			reason = optarg;
		else if (c == 'f')
			child = 1;
		else if (c == 'w')
			waits = 1;
		else if (c == 'n')
			threads = atoi(optarg);
		else if (c == 'i')
			rounds = atoi(optarg);
		else
			return 64;
	if (argc - optind != 2)
		return 64;
	socket_path = argv[optind];
	account = argv[optind + 1];
	if (threads > 0)
		return run_threads(threads);
	if ((m = mailtoken_new(socket_path, timeout_ms)) == NULL)
		return 71;
	rc = child ? get_in_child(m) : get(m);
	if (mechanism != NULL)
		show_response(m, mechanism);
	if (reason != NULL) {
		printf("reject %d", (int)mailtoken_reject(m, reason));
		printf(" %s\n", mailtoken_text(m));
		rc = get(m);
	}
	hold("held");
	mailtoken_free(m);
	hold("freed");
	return (int)rc;
}
