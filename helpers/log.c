#include "log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 520

/* Set once by log_open(), before anything is logged. */
static bool to_stderr = true;

void
log_open(const char *program, bool stderr_wanted)
{
	to_stderr = stderr_wanted;
	if (!to_stderr)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
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
	struct log_line l = { .priority = priority };

	add(&l, "event=", 6);
	add(&l, event, strlen(event));
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

	if (value == NULL || *value == '\0')
		return;
	n = strnlen(value, VALUE_MAX);
	quoted = strpbrk(value, " \"=") != NULL;
	add_key(l, key);
	if (quoted)
		add(l, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c == '"')
			add(l, "'", 1);
		else
			add(l, c < 0x20 || c > 0x7e ? "?" : value + i, 1);
	}
	if (quoted)
		add(l, "\"", 1);
}

void
log_int(struct log_line *l, const char *key, int64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRId64, value);

	add_key(l, key);
	add(l, digits, (size_t)n);
}

void
log_send(struct log_line *l)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (!to_stderr) {
		syslog(l->priority, "%s", l->text);
		/* Who has just typed the command is not looking there. */
		if (l->priority != LOG_CRIT || !isatty(STDERR_FILENO))
			return;
	}
	l->text[l->len] = '\n';
	/*
	 * A log that nobody reads is no reason to stop serving tokens: a pipe
	 * that poll() calls writable takes a line of this length whole.
	 */
	_Static_assert(
	    sizeof(l->text) <= PIPE_BUF, "one write, never blocking");
	if (poll(&out, 1, 0) > 0 && (out.revents & POLLOUT) != 0 &&
	    write(STDERR_FILENO, l->text, l->len + 1) < 0)
		return;
}
