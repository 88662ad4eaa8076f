#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"

#define SYSTEM_PATH   "/run/mailtoken/agent.sock"
#define RECEIVE_BYTES 8192 /* at once; most answers are shorter */
#define BUSY_MS	      10   /* between attempts while the backlog is full */

void
exchange_close(struct exchange *x)
{
	cleanup_close_(&x->fd);
	x->fd = -1;
}

static int64_t
now_ms(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Not strerror(): its text is the locale's, and another thread may use it. */
static const char *
why(int error)
{
	const char *text = strerrordesc_np(error);

	return text != NULL ? text : "unknown error";
}

int
exchange_expired(const struct exchange *x, struct diag *reterr)
{
	return diag_set(reterr, DIAG_RETRY,
	    "the agent at %s has not answered within %g s: see its log",
	    x->addr.sun_path, x->timeout_ms / 1000.0);
}

static int
cut_off(const struct exchange *x, struct diag *reterr)
{
	return diag_set(reterr, DIAG_RETRY,
	    "the agent at %s broke off%s without a whole answer: see its log",
	    x->addr.sun_path, x->again ? " twice" : "");
}

static int
cannot_connect(struct exchange *x, int error, struct diag *reterr)
{
	const char *path = x->addr.sun_path;

	if (error == EACCES || error == EPERM)
		return diag_set(reterr, DIAG_CONFIG,
		    "no access to the agent's socket %s: %s: "
		    "let uid %u use it and its directories",
		    path, why(error), (unsigned)geteuid());
	x->absent = error == ENOENT || error == ECONNREFUSED;
	/* Not only that it is away: it was there, and its log tells more. */
	if (x->again)
		return diag_set(reterr, DIAG_RETRY,
		    "the agent at %s broke off without a whole answer, and is "
		    "gone: %s: see its log",
		    path, why(error));
	return diag_set(reterr, DIAG_RETRY,
	    "the agent does not answer at %s: %s: start mailtokend", path,
	    why(error));
}

/* Waits until the agent can be read from or written to, or time is up. */
static int
await(const struct exchange *x, short events, struct diag *reterr)
{
	struct pollfd p = { .fd = x->fd, .events = events };
	int64_t left;
	int n;

	do {
		left = x->deadline_ms - now_ms();
		if (left <= 0)
			return exchange_expired(x, reterr);
		n = poll(
		    &p, 1, left < x->timeout_ms ? (int)left : x->timeout_ms);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n > 0 ? 0 :
		       diag_set(reterr, DIAG_RETRY,
			   "cannot wait for the agent: %s", why(errno));
}

static int
set_path(struct exchange *x, const char *path, struct diag *reterr)
{
	size_t n = strlen(path);

	if (n >= sizeof(x->addr.sun_path))
		return diag_set(reterr, DIAG_CONFIG,
		    "the path of the agent's socket is longer than %zu "
		    "bytes: %s",
		    sizeof(x->addr.sun_path) - 1, path);
	memcpy(x->addr.sun_path, path, n + 1);
	return 0;
}

/*
 * Returns 0 or an errno.  Without blocking: connect(2) to a full backlog
 * would wait for as long as the agent hangs.
 */
static int
try_connect(const struct exchange *x)
{
	while (connect(x->fd, (const struct sockaddr *)&x->addr,
		   sizeof(x->addr)) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/* The user's own agent, if $XDG_RUNTIME_DIR has one; else ENOENT. */
static int
try_user_agent(struct exchange *x)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	size_t max = sizeof(x->addr.sun_path);
	int n, error;

	if (dir == NULL || *dir != '/')
		return ENOENT;
	n = snprintf(x->addr.sun_path, max, "%s/mailtoken/agent.sock", dir);
	if (n < 0 || (size_t)n >= max)
		return ENOENT;
	error = try_connect(x);
	return error == ENOTDIR || error == EACCES ? ENOENT : error;
}

static bool
make_socket(struct exchange *x)
{
	x->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return x->fd >= 0;
}

int
exchange_begin(struct exchange *x, int timeout_ms, struct diag *reterr)
{
	/* One by one: most of it is a path, which is set before it is read. */
	x->timeout_ms = timeout_ms;
	x->deadline_ms = now_ms() + timeout_ms;
	x->heard = x->cut_off = x->again = x->absent = false;
	x->addr.sun_family = AF_UNIX;
	x->addr.sun_path[0] = '\0';
	if (!make_socket(x))
		return diag_set(reterr, DIAG_RETRY,
		    "no socket to ask the agent with: %s", why(errno));
	return 0;
}

bool
exchange_again(struct exchange *x)
{
	if (!x->cut_off || x->again)
		return false;
	x->again = true;
	x->cut_off = false;
	exchange_close(x);
	return make_socket(x);
}

/* Returns 0 or an errno; -1, and *reterr is set, for a path that is none. */
static int
find_agent(struct exchange *x, const char *path, struct diag *reterr)
{
	int error = ENOENT;

	if (path == NULL)
		path = secure_getenv("MAILTOKEN_SOCKET");
	if (path == NULL || *path == '\0') {
		error = try_user_agent(x);
		path = SYSTEM_PATH;
	}
	if (error != ENOENT)
		return error;
	return set_path(x, path, reterr) < 0 ? -1 : try_connect(x);
}

int
exchange_connect(struct exchange *x, const char *path, struct diag *reterr)
{
	/* Another agent than the first has other accounts. */
	int error = x->again ? try_connect(x) : find_agent(x, path, reterr);

	if (error <= 0)
		return error;
	if (error != EAGAIN)
		return cannot_connect(x, error, reterr);
	return now_ms() + BUSY_MS < x->deadline_ms ?
		   1 :
		   exchange_expired(x, reterr);
}

static int
connect_patiently(struct exchange *x, const char *path, struct diag *reterr)
{
	int rc;

	while ((rc = exchange_connect(x, path, reterr)) > 0)
		(void)poll(NULL, 0, BUSY_MS);
	return rc;
}

int
exchange_open(
    struct exchange *x, const char *path, int timeout_ms, struct diag *reterr)
{
	if (exchange_begin(x, timeout_ms, reterr) < 0)
		return -1;
	return connect_patiently(x, path, reterr);
}

int
exchange_send(
    struct exchange *x, const struct buf *request, struct diag *reterr)
{
	size_t sent = 0;

	while (sent < request->len) {
		ssize_t n = send(x->fd, request->ptr + sent,
		    request->len - sent, MSG_NOSIGNAL);

		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			/* It may have said why before it hung up. */
			return 0;
		} else if (errno == EAGAIN) {
			if (await(x, POLLOUT, reterr) < 0)
				return -1;
		} else if (errno != EINTR) {
			return diag_set(reterr, DIAG_RETRY,
			    "cannot send to the agent at %s: %s",
			    x->addr.sun_path, why(errno));
		}
	}
	return 0;
}

/* Appends what is there; returns 0 if there is nothing, 1 if it came. */
static int
receive(struct exchange *x, struct buf *answer, struct diag *reterr)
{
	size_t left = answer->max - answer->len;
	size_t want = left < RECEIVE_BYTES ? left : RECEIVE_BYTES;
	char *room = buf_room(answer, want);
	ssize_t n;

	if (room == NULL)
		return diag_nomem(reterr);
	n = recv(x->fd, room, want, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		x->cut_off = !x->heard && (n == 0 || errno == ECONNRESET);
		return cut_off(x, reterr);
	}
	x->heard = true;
	answer->len += (size_t)n;
	return 1;
}

/* 0 for status=ok; else what the agent reports becomes *reterr. */
static int
check_status(
    const struct exchange *x, const struct wire_msg *m, struct diag *reterr)
{
	const char *version = wire_get(m, "version");
	const char *status = wire_get(m, "status");
	const char *kind, *text;
	enum diag_kind k = DIAG_RETRY;
	int64_t after = 0;

	if (version == NULL || strcmp(version, WIRE_VERSION) != 0)
		return diag_set(reterr, DIAG_PROTO,
		    "the agent at %s does not speak version " WIRE_VERSION
		    " of the protocol: update both",
		    x->addr.sun_path);
	if (status != NULL && strcmp(status, "ok") == 0)
		return 0;
	if (status == NULL || strcmp(status, "error") != 0)
		return diag_set(reterr, DIAG_PROTO,
		    "the agent at %s sent an answer without a status",
		    x->addr.sun_path);
	kind = wire_get(m, "kind");
	text = wire_get(m, "text");
	if (kind != NULL && diag_kind_parse(kind, &k) && k == DIAG_OK)
		k = DIAG_RETRY;
	(void)diag_set(reterr, k, "%s",
	    text != NULL && *text != '\0' ? text : "the agent gave no reason");
	if (wire_get_int(m, "retry_after", &after) && after > 0)
		reterr->retry_after_s = after;
	return -1;
}

/* A whole message at the front of answer: returns its bytes; 0 for none. */
static ssize_t
parse(const struct exchange *x, const struct buf *answer, struct wire_msg *ret,
    struct diag *reterr)
{
	size_t max =
	    answer->max < WIRE_MAX_BYTES ? answer->max : WIRE_MAX_BYTES;
	ssize_t n = wire_parse(answer->ptr, answer->len, max, ret, reterr);

	if (n < 0)
		return diag_wrap(reterr,
		    "the agent at %s sent a malformed answer",
		    x->addr.sun_path);
	return n > 0 && check_status(x, ret, reterr) < 0 ? -1 : n;
}

ssize_t
exchange_poll(struct exchange *x, struct buf *answer, struct wire_msg *ret,
    struct diag *reterr)
{
	int rc = receive(x, answer, reterr);

	return rc > 0 ? parse(x, answer, ret, reterr) : rc;
}

ssize_t
exchange_next(struct exchange *x, struct buf *answer, struct wire_msg *ret,
    struct diag *reterr)
{
	ssize_t n;

	while ((n = parse(x, answer, ret, reterr)) == 0)
		if (await(x, POLLIN, reterr) < 0 ||
		    receive(x, answer, reterr) < 0)
			return -1;
	return n;
}

static ssize_t
attempt(struct exchange *x, const char *path, const struct buf *request,
    struct buf *answer, struct wire_msg *ret, struct diag *reterr)
{
	if (connect_patiently(x, path, reterr) < 0 ||
	    exchange_send(x, request, reterr) < 0)
		return -1;
	return exchange_next(x, answer, ret, reterr);
}

ssize_t
exchange_ask(struct exchange *x, const char *path, int timeout_ms,
    const struct buf *request, struct buf *answer, struct wire_msg *ret,
    struct diag *reterr)
{
	ssize_t n;

	if (exchange_begin(x, timeout_ms, reterr) < 0)
		return -1;
	for (;;) {
		n = attempt(x, path, request, answer, ret, reterr);
		if (n >= 0 || !exchange_again(x))
			return n;
		*reterr = (struct diag)DIAG_INIT;
	}
}

void
exchange_extend(struct exchange *x)
{
	x->deadline_ms = now_ms() + x->timeout_ms;
}
