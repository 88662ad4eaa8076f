/*
 * libraryhost.c - a program that uses libmailtoken and nothing else of ours.
 *
 * libraryhost SOCKET ACCOUNT [MECHANISM USER HOST PORT] [-r REASON]
 *
 * Prints the result, and the text, or the token's or the response's length
 * and digest-like sum, never the token; -r reports it as refused afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailtoken.h"

static unsigned
sum(const char *s, size_t n)
{
	unsigned h = 2166136261U;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619U;
	return h;
}

static void
show_response(struct mailtoken *m, char *argv[])
{
	const char *out;
	size_t n = 0;

	out = mailtoken_response(m, argv[0], argv[1], argv[2],
	    (unsigned)strtoul(argv[3], NULL, 10), &n);
	if (out == NULL)
		printf("response failed: %s\n", mailtoken_text(m));
	else
		printf("response %zu %u\n", n, sum(out, n));
}

int
main(int argc, char *argv[])
{
	struct mailtoken *m;
	enum mailtoken_result rc;

	if (argc < 3 || (m = mailtoken_new(argv[1], 2000)) == NULL)
		return 64;
	rc = mailtoken_get(m, argv[2], "smtp", "smtp.example.com", NULL);
	printf("get %d %s\n", rc, mailtoken_text(m));
	if (rc == MAILTOKEN_OK) {
		const char *token = mailtoken_token(m);

		printf("token %zu %u %lld\n", strlen(token),
		    sum(token, strlen(token)),
		    (long long)mailtoken_expires_at(m));
	} else if (mailtoken_token(m) != NULL) {
		puts("a token after a failure");
	}
	if (argc >= 7)
		show_response(m, argv + 3);
	if (argc >= 5 && strcmp(argv[argc - 2], "-r") == 0) {
		int refused = mailtoken_reject(m, argv[argc - 1]);

		printf("reject %d %s\n", refused, mailtoken_text(m));
	}
	mailtoken_free(m);
	return (int)rc;
}
