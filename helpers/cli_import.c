/* cli_import.c - mailtoken import: a refresh token from standard input. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "cli_store.h"
#include "oauth2.h"

#define INPUT_MAX (OAUTH2_TOKEN_MAX + 64) /* with blanks around it */

/* The terminal as it was; false: standard input is none. */
static bool
echo_off(struct termios *was)
{
	struct termios quiet;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, was) < 0)
		return false;
	quiet = *was;
	/* Not by lines: a terminal's line ends at 4095 bytes. */
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

/* To the end of the input; at a terminal, to the end of the line. */
static int
read_input(struct buf *b, bool one_line, struct diag *reterr)
{
	while (!b->failed) {
		char *room = buf_room(b, 1024);
		ssize_t n;

		if (room == NULL)
			break;
		n = read(STDIN_FILENO, room, 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return diag_set(reterr, DIAG_CONFIG,
			    "standard input: %s", strerror(errno));
		if (n == 0)
			return 0;
		b->len += (size_t)n;
		if (one_line && memchr(room, '\n', (size_t)n) != NULL)
			return 0;
	}
	return diag_set(reterr, DIAG_CONFIG,
	    "standard input has more than %d bytes: that is no refresh token",
	    INPUT_MAX);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word of printable ASCII, whatever blanks surround it. */
static int
one_word(const struct buf *b, struct secret *ret, struct diag *reterr)
{
	size_t from = 0, to = b->len;

	while (from < to && is_blank(b->ptr[from]))
		from++;
	while (to > from && is_blank(b->ptr[to - 1]))
		to--;
	if (from == to)
		return diag_set(reterr, DIAG_CONFIG,
		    "standard input is empty: give the refresh token there, "
		    "like mailtoken import ACCOUNT < file");
	for (size_t i = from; i < to; i++)
		if (b->ptr[i] <= ' ' || b->ptr[i] > '~')
			return diag_set(reterr, DIAG_CONFIG,
			    "standard input holds more than one word, or "
			    "characters that a refresh token cannot have");
	return secret_set(ret, b->ptr + from, to - from) ? 0 :
							   diag_nomem(reterr);
}

static int
read_token(struct secret *ret, struct diag *reterr)
{
	auto_buf struct buf input = BUF_INIT(INPUT_MAX + 1024);
	struct termios was;
	bool terminal = echo_off(&was);
	int rc;

	if (terminal)
		fputs("Refresh token (it is not shown): ", stderr);
	rc = read_input(&input, terminal, reterr);
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	return rc < 0 ? -1 : one_word(&input, ret, reterr);
}

int
cmd_import(struct cli *c, int argc, char *argv[])
{
	auto_secret struct secret token = SECRET_INIT;
	const struct account *a;
	struct diag d = DIAG_INIT;

	if (argc != 2)
		return cli_usage(argv[0]);
	if ((a = cli_account(c, argv[1])) == NULL)
		return EX_CONFIG;
	if (a->grant != GRANT_REFRESH_TOKEN) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "account %s: its grant is client_credentials, which has "
		    "no refresh token: there is nothing to import",
		    a->name);
		return cli_fail(&d);
	}
	if (read_token(&token, &d) < 0 ||
	    cli_store_login(c, a, &token, &d) < 0) {
		(void)diag_wrap(&d, "account %s", a->name);
		return cli_fail(&d);
	}
	return cli_tell_agent(c, a);
}
