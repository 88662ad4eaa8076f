#include "log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX 520

/* Set once by log_open(), before anything is logged. */
static bool to_stderr = true;

/*
 * Of our own, and not syslog(3)'s, which waits until somebody reads what is
 * there already.
 */
static struct {
	const char *program;
	int fd;
	bool stream; /* as few have it: there a NUL ends each line */
} to_syslog = { .fd = -1 };

static int64_t lost; /* lines since the last one that was taken */

/* What standard error is: how to write there without waiting. */
static enum { OUT_UNKNOWN, OUT_FILE, OUT_SOCKET } out;

static int
connect_to_syslog(int type)
{
	static const struct sockaddr_un to = { .sun_family = AF_UNIX,
		.sun_path = _PATH_LOG };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int why;

	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		why = errno;
		(void)close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static bool
open_syslog(void)
{
	to_syslog.fd = connect_to_syslog(SOCK_DGRAM);
	to_syslog.stream = to_syslog.fd < 0 && errno == EPROTOTYPE;
	if (to_syslog.stream)
		to_syslog.fd = connect_to_syslog(SOCK_STREAM);
	return to_syslog.fd >= 0;
}

static void
close_syslog(void)
{
	if (to_syslog.fd >= 0)
		(void)close(to_syslog.fd);
	to_syslog.fd = -1;
}

void
log_open(const char *program, bool stderr_wanted)
{
	struct stat st = { 0 };

	to_stderr = stderr_wanted;
	to_syslog.program = program;
	lost = 0;
	close_syslog();
	/* Early: later there may be no descriptor left. */
	if (!to_stderr)
		(void)open_syslog();
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
static bool
write_now(const char *line, size_t n)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t written = -1;

	_Static_assert(sizeof(((struct log_line *)NULL)->text) <= PIPE_BUF,
	    "one write, never blocking");
	if (out == OUT_SOCKET)
		written =
		    send(STDERR_FILENO, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (out == OUT_FILE ||
		 (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT) != 0))
		written = write(STDERR_FILENO, line, n);
	return written == (ssize_t)n;
}

/* What comes before the text, as syslog(3) and RFC 3164 have it. */
static size_t
head(char *ret, size_t size, int priority)
{
	time_t now = time(NULL);
	struct tm tm = { 0 };
	char when[32] = "";
	int n;

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S ", &tm);
	n = snprintf(ret, size, "<%d>%s%.32s[%d]: ", LOG_MAIL | priority, when,
	    to_syslog.program, (int)getpid());
	return n > 0 ? (size_t)n : 0;
}

/*
 * It may have been started after us, or again.  If what it has not read is all
 * that there may be, neither another connection helps nor waiting.
 */
static bool
send_to_syslog(const struct log_line *l)
{
	char line[sizeof(l->text) + 128];
	size_t n = head(line, sizeof(line) - sizeof(l->text), l->priority);
	ssize_t sent;

	memcpy(line + n, l->text, l->len + 1);
	n += l->len;
	for (int tries = 0; tries < 2; tries++) {
		if (to_syslog.fd < 0 && !open_syslog())
			return false;
		sent = send(to_syslog.fd, line, n + to_syslog.stream,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == (ssize_t)n + to_syslog.stream)
			return true;
		if (sent < 0 &&
		    (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
			return false;
		close_syslog();
	}
	return false;
}

static bool
send_to_stderr(struct log_line *l)
{
	bool written;

	l->text[l->len] = '\n';
	written = write_now(l->text, l->len + 1);
	l->text[l->len] = '\0';
	return written;
}

static bool
deliver(struct log_line *l)
{
	return to_stderr ? send_to_stderr(l) : send_to_syslog(l);
}

/* As soon as there is somebody again to hear it. */
static bool
tell_lost(void)
{
	struct log_line l = log_event(LOG_WARNING, "log-lost");

	log_int(&l, "lines", lost);
	if (!deliver(&l))
		return false;
	lost = 0;
	return true;
}

void
log_send(struct log_line *l)
{
	if (l->nothing)
		return;
	if ((lost > 0 && !tell_lost()) || !deliver(l))
		lost++;
	/* Who has just typed the command is not looking into the syslog. */
	if (!to_stderr && l->priority == LOG_CRIT && isatty(STDERR_FILENO))
		(void)send_to_stderr(l);
}
