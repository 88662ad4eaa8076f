#include "log.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_MAX 520

/* Set once by log_open(), before anything is logged. */
static bool to_stderr = true;

/* What standard error is: how to write there without waiting. */
static enum { OUT_UNKNOWN, OUT_FILE, OUT_SOCKET } out;

void
log_open(const char *program, bool stderr_wanted)
{
	struct stat st = { 0 };

	to_stderr = stderr_wanted;
	if (!to_stderr)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
	out = OUT_UNKNOWN;
	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
		out = OUT_FILE;
	else if (S_ISSOCK(st.st_mode))
		out = OUT_SOCKET;
}

static void
add(struct log_line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->text) - 2 - l->len; /* a newline and a NUL */

	if (n > room)
		n = room;
	memcpy(l->text + l->len, s, n);
	l->len += (unsigned)n;
	l->text[l->len] = '\0';
}

struct log_line
log_event(int priority, const char *event)
{
	struct log_line l;

	/* Not its text: nothing is read that was not added. */
	l.priority = priority;
	l.nothing = false;
	l.len = 0;
	add(&l, "event=", 6);
	add(&l, event, strlen(event));
	return l;
}

/* The same of a value, with what must not stand in a line replaced. */
static void
add_value(struct log_line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->text) - 2 - l->len;
	char *to = l->text + l->len;

	if (n > room)
		n = room;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		to[i] = s[i];
		if (c == '"')
			to[i] = '\'';
		else if (c < 0x20 || c > 0x7e)
			to[i] = '?';
	}
	to[n] = '\0';
	l->len += (unsigned)n;
}

struct log_line
log_nothing(void)
{
	struct log_line l;

	l.priority = LOG_DEBUG;
	l.nothing = true;
	l.len = 0;
	l.text[0] = '\0';
	return l;
}

static void
add_key(struct log_line *l, const char *key)
{
	add(l, " ", 1);
	add(l, key, strlen(key));
	add(l, "=", 1);
}

void
log_str(struct log_line *l, const char *key, const char *value)
{
	bool quoted;
	size_t n;

	if (l->nothing || value == NULL || *value == '\0')
		return;
	n = strnlen(value, VALUE_MAX);
	quoted = strpbrk(value, " \"=") != NULL;
	add_key(l, key);
	if (quoted)
		add(l, "\"", 1);
	add_value(l, value, n);
	if (quoted)
		add(l, "\"", 1);
}

void
log_int(struct log_line *l, const char *key, int64_t value)
{
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char digits[20]; /* every line has numbers: not by printf() */
	size_t at = sizeof(digits);

	if (l->nothing)
		return;
	do
		digits[--at] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		digits[--at] = '-';
	add_key(l, key);
	add(l, digits + at, sizeof(digits) - at);
}

/*
 * A log that nobody reads is no reason to stop serving tokens.  A socket can be
 * told so, a file needs no telling, and anything else is asked: a pipe that
 * poll() calls writable takes a line of this length whole.
 */
static void
write_now(const char *line, size_t n)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t written = 0;

	_Static_assert(sizeof(((struct log_line *)NULL)->text) <= PIPE_BUF,
	    "one write, never blocking");
	if (out == OUT_SOCKET)
		written =
		    send(STDERR_FILENO, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (out == OUT_FILE ||
		 (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT) != 0))
		written = write(STDERR_FILENO, line, n);
	(void)written; /* there is no other place to say it */
}

void
log_send(struct log_line *l)
{
	if (l->nothing)
		return;
	if (!to_stderr) {
		syslog(l->priority, "%s", l->text);
		/* Who has just typed the command is not looking there. */
		if (l->priority != LOG_CRIT || !isatty(STDERR_FILENO))
			return;
	}
	l->text[l->len] = '\n';
	write_now(l->text, l->len + 1);
}
