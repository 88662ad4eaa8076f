/*
 * What a plugin is told by whoever listens at the agent's socket.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "token_source.h"

#define ACCOUNT "relay@contoso.example"
#define CHUNK	4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_refusal(const struct diag *d)
{
	if (d->kind == DIAG_OK || d->text[0] == '\0' || d->retry_after_s < 0)
		abort();
	for (const char *s = d->text; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			abort();
}

static void
check_token(const struct token *t)
{
	if (secret_empty(&t->value) || strlen(t->value.ptr) != t->value.len)
		abort();
}

/* A message that is whole: the token in it, or why there is none. */
static void
take(struct buf *answer, const struct wire_msg *m)
{
	const struct token_query q = { .account = ACCOUNT };
	struct token t = TOKEN_INIT;
	struct diag d = DIAG_INIT;

	if (token_answer_get(answer, m, &q, &t, &d) == 0)
		check_token(&t);
	else
		check_refusal(&d);
	token_wipe(&t);
}

static void
hear(struct exchange *x, int agent, const uint8_t *data, size_t size)
{
	struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct diag d = DIAG_INIT;
	struct wire_msg m;
	ssize_t n = 0;

	while (n == 0 && size > 0) {
		size_t piece = size < CHUNK ? size : CHUNK;

		if (send(agent, data, piece, 0) != (ssize_t)piece)
			abort();
		data += piece;
		size -= piece;
		n = exchange_poll(x, &answer, &m, &d);
	}
	if (n > 0 && (size_t)n > answer.len)
		abort();
	if (n > 0)
		take(&answer, &m);
	else if (n < 0)
		check_refusal(&d);
	else if (answer.len >= WIRE_MAX_BYTES)
		abort(); /* it would be waited for in vain */
	buf_wipe(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exchange x = { .fd = -1 };
	int fd[2];

	if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		return 0;
	x.fd = fd[0];
	strcpy(x.addr.sun_path, "/run/agent.sock");
	hear(&x, fd[1], data, size);
	(void)close(fd[0]);
	(void)close(fd[1]);
	return 0;
}
