/* cli_prompt.c - asking a person at the terminal. */
#include "cli_prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "secret_ref.h"

#define PASSWORD_MAX  1024
#define LOOK_EVERY_MS 200 /* at signals */

bool
cli_prompt_possible(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

char *
cli_prompt_line(const char *prompt)
{
	char *line = NULL, *from;
	size_t size = 0, n;

	fprintf(stderr, "%s", prompt);
	if (getline(&line, &size, stdin) < 0) {
		free(line);
		fputc('\n', stderr);
		return NULL;
	}
	from = line + strspn(line, " \t\r\n");
	n = strlen(from);
	while (n > 0 && strchr(" \t\r\n", from[n - 1]) != NULL)
		n--;
	memmove(line, from, n);
	line[n] = '\0';
	return line;
}

/* Keys that mean something while nothing is shown. */
enum {
	KEY_INTERRUPT = 3,
	KEY_END = 4,
	KEY_BACKSPACE = 8,
	KEY_KILL = 21,
	KEY_DELETE = 127
};

/* What would end us on the spot; a key that would is only a key meanwhile. */
static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define N_HELD (sizeof(held) / sizeof(held[0]))

static void
signals_hold(sigset_t *was)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < N_HELD; i++)
		(void)sigaddset(&set, held[i]);
	(void)sigprocmask(SIG_BLOCK, &set, was);
}

static bool
signal_waits(void)
{
	sigset_t set;
	bool one = false;

	(void)sigpending(&set);
	for (size_t i = 0; i < N_HELD; i++)
		one = one || sigismember(&set, held[i]) == 1;
	return one;
}

/* False: a signal has come instead. */
static bool
wait_for_key(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (!signal_waits())
		if (poll(&p, 1, LOOK_EVERY_MS) > 0)
			return true;
	return false;
}

static int
type_secret(int fd, struct buf *b, struct diag *reterr)
{
	for (;;) {
		char c = KEY_END;
		ssize_t n = wait_for_key(fd) ? read(fd, &c, 1) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == KEY_INTERRUPT || c == KEY_END)
			return diag_set(reterr, DIAG_CONFIG,
			    "given up at the terminal: nothing was changed");
		if (c == '\n' || c == '\r')
			return 0;
		if (c == KEY_KILL)
			buf_wipe(b);
		else if (c != KEY_BACKSPACE && c != KEY_DELETE)
			buf_add(b, &c, 1);
		else if (b->len > 0)
			b->ptr[--b->len] = '\0';
	}
}

static int
ask(int fd, const char *prompt, struct buf *b, struct diag *reterr)
{
	struct termios was, mute;
	sigset_t signals;
	int rc;

	if (tcgetattr(fd, &was) < 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "the terminal: %s", strerror(errno));
	mute = was;
	/* Not by lines: a terminal's line ends at 4095 bytes. */
	mute.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
	mute.c_cc[VMIN] = 1;
	mute.c_cc[VTIME] = 0;
	dprintf(fd, "%s", prompt);
	/* Nobody may leave with a terminal that is mute. */
	signals_hold(&signals);
	if (tcsetattr(fd, TCSAFLUSH, &mute) < 0) {
		rc = diag_set(
		    reterr, DIAG_CONFIG, "the terminal: %s", strerror(errno));
	} else {
		rc = type_secret(fd, b, reterr);
		(void)tcsetattr(fd, TCSAFLUSH, &was);
		dprintf(fd, "\n");
	}
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	return rc;
}

int
cli_prompt_secret(
    const char *prompt, size_t max, struct secret *ret, struct diag *reterr)
{
	auto_close int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	auto_buf struct buf b = BUF_INIT(max);

	if (fd < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "there is no terminal to ask at: give a file");
	if (ask(fd, prompt, &b, reterr) < 0)
		return -1;
	if (b.failed)
		return diag_set(reterr, DIAG_CONFIG,
		    "that was more than %zu bytes: it cannot be right", max);
	if (b.len == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "nothing was given: nothing was changed");
	return secret_set(ret, b.ptr, b.len) ? 0 : diag_nomem(reterr);
}

int
cli_prompt_or_file(const char *path, const char *prompt, struct secret *ret,
    struct diag *reterr)
{
	struct secret_ref ref = { .kind = SECRET_REF_FILE };
	int rc;

	if (path == NULL)
		return cli_prompt_secret(prompt, PASSWORD_MAX, ret, reterr);
	if ((ref.name = strdup(path)) == NULL)
		return diag_nomem(reterr);
	rc = secret_ref_read(&ref, "you", ret, reterr);
	free(ref.name);
	return rc;
}
