/* cli_paste.c - a login whose redirect leads nowhere: the URL is pasted. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli_login.h"
#include "clock.h"

#define LOOK_EVERY_MS 200 /* at signals and the clock */
#define STEP	      1024
#define INPUT_MAX     (AUTHORIZATION_QUERY_MAX + 1024)
#define END_OF_INPUT  '\004' /* ^D, since lines are not the terminal's */

struct input {
	struct buf text; /* from the first line that was not taken on */
	bool terminal, ended;
	struct termios was;
};

/* Not by lines: a terminal's line ends at 4095 bytes.  Nor shown. */
static void
input_open(struct input *in)
{
	struct termios quiet;

	buf_init(&in->text, INPUT_MAX);
	in->ended = false;
	in->terminal =
	    isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &in->was) == 0;
	if (!in->terminal)
		return;
	quiet = in->was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	/* What stops or kills us on the spot would leave a mute terminal. */
	quiet.c_cc[VQUIT] = quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
	in->terminal = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

static void
input_close(struct input *in)
{
	if (in->terminal)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &in->was);
	buf_wipe(&in->text);
}

/* What is there by now. */
static int
input_read(struct input *in, struct diag *reterr)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char *room;
	ssize_t n;

	if (poll(&p, 1, LOOK_EVERY_MS) <= 0)
		return 0;
	if ((room = buf_room(&in->text, STEP)) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "that is too long for a redirect's URL");
	n = read(STDIN_FILENO, room, STEP);
	if (n < 0 && errno != EINTR)
		return diag_set(
		    reterr, DIAG_CONFIG, "standard input: %s", strerror(errno));
	if (n > 0)
		in->text.len += (size_t)n;
	in->ended = n == 0;
	return 0;
}

/* The bytes of the first line, or of all when the input has ended; 0: none. */
static size_t
input_line(const struct input *in)
{
	for (size_t i = 0; i < in->text.len; i++)
		if (strchr("\r\n", in->text.ptr[i]) != NULL ||
		    in->text.ptr[i] == END_OF_INPUT)
			return i + 1;
	return in->ended ? in->text.len : 0;
}

/* A whole URL, or what stands behind its question mark. */
static enum authorization_answer
read_line(struct login *l, const char *line, size_t n, struct secret *ret,
    struct diag *reterr)
{
	const char *mark = memchr(line, '?', n);
	size_t len;

	if (mark != NULL) {
		n -= (size_t)(mark + 1 - line);
		line = mark + 1;
	}
	for (len = 0; len < n && line[len] > ' ' && line[len] <= '~' &&
		      line[len] != '#';)
		len++;
	return authorization_read(
	    &l->authorization, l->account, line, len, ret, reterr);
}

static void
say_again(struct cli_wait *w)
{
	const char *what = w->what;

	cli_wait_hide(w);
	cli_say("that is not the URL that this login ended on: copy all of it "
		"from the browser's address bar");
	cli_wait_show(w, what, w->end_ms);
}

/* 1: the code is there; 0: read on; -1 with *reterr. */
static int
take_line(
    struct login *l, struct input *in, struct secret *ret, struct diag *reterr)
{
	size_t n = input_line(in);
	enum authorization_answer answer;

	if (n == 0 && !in->ended)
		return 0;
	answer = n == 0 ? AUTHORIZATION_STRANGER :
			  read_line(l, in->text.ptr, n, ret, reterr);
	if (answer == AUTHORIZATION_CODE)
		return 1;
	if (answer == AUTHORIZATION_REFUSED)
		return -1;
	if (!in->terminal || in->ended)
		return diag_set(reterr, DIAG_CONFIG,
		    "standard input does not hold the URL that this login "
		    "ended on");
	if (n > 1)
		say_again(&l->wait);
	buf_drop(&in->text, n);
	return 0;
}

static int
wait_for_url(
    struct login *l, struct input *in, struct secret *ret, struct diag *reterr)
{
	int64_t end_ms = clock_now_ms() + LOGIN_WAIT_MS;
	int rc = 0;

	while (rc == 0 && clock_now_ms() < end_ms) {
		if (cli_wait_step(&l->wait) < 0)
			return diag_set(reterr, DIAG_RETRY, "%s", "");
		if (input_read(in, reterr) < 0)
			return -1;
		rc = take_line(l, in, ret, reterr);
	}
	if (rc == 0)
		return diag_set(reterr, DIAG_REAUTH,
		    "no URL came within %d minutes: run mailtoken login again",
		    LOGIN_WAIT_MS / 60000);
	return rc < 0 ? -1 : 0;
}

static int
read_code(struct login *l, struct secret *ret, struct diag *reterr)
{
	struct input in;
	int rc;

	input_open(&in);
	cli_wait_show(&l->wait,
	    in.terminal ? "paste that URL here, then Enter (it is not shown)" :
			  "waiting for that URL on standard input",
	    clock_now_ms() + LOGIN_WAIT_MS);
	rc = wait_for_url(l, &in, ret, reterr);
	cli_wait_hide(&l->wait);
	input_close(&in);
	return rc;
}

int
login_by_paste(struct login *l, struct oauth2_tokens *ret, struct diag *reterr)
{
	auto_secret struct secret code = SECRET_INIT;
	char uri[64] = "http://localhost/";

	if (l->port != 0)
		(void)snprintf(
		    uri, sizeof(uri), "http://localhost:%u/", l->port);
	if (authorization_init(&l->authorization, reterr) < 0 ||
	    login_url(l, uri, reterr) < 0)
		return -1;
	cli_say("account %s: open this in a browser anywhere and log in as the "
		"mailbox's owner:",
	    l->account->name);
	fprintf(stderr, "\n%s\n\n", l->url.ptr);
	cli_say("the browser ends on a page that it cannot open, at %s...: "
		"copy that page's URL from the address bar",
	    uri);
	if (read_code(l, &code, reterr) < 0)
		return -1;
	return login_redeem(l, &code, uri, ret, reterr);
}
