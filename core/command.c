#include "command.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "command_spawn.h"

#define CHUNK	4096
#define LOOK_MS 20 /* how often, where the kernel has no pidfd */

struct command {
	char *text;			       /* argv points into it */
	char *argv[COMMAND_ARGUMENTS_MAX + 1]; /* [0] is the program */
	struct spawned child;
	int pidfd; /* -1: look from time to time */
	struct buf out;
	bool mute; /* its output is thrown away */
	struct event *on_out, *on_end, *on_deadline;
	command_done *done;
	void *arg;
	int64_t timeout_ms;
};

int
command_check(const char *text, struct diag *reterr)
{
	size_t n = 0;

	if (text[0] != '/')
		return diag_set(reterr, DIAG_CONFIG,
		    "needs the absolute path of a program: write "
		    "command:/PROGRAM ARGUMENT ...");
	while (*(text += strspn(text, " \t")) != '\0') {
		text += strcspn(text, " \t");
		n++;
	}
	if (n > COMMAND_ARGUMENTS_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "has more than %d arguments: write a program that has them "
		    "in it",
		    COMMAND_ARGUMENTS_MAX - 1);
	return 0;
}

/* c->text has passed command_check(). */
static void
split(struct command *c)
{
	char *rest = c->text, *word;
	size_t n = 0;

	while (
	    n < COMMAND_ARGUMENTS_MAX && (word = strsep(&rest, " \t")) != NULL)
		if (*word != '\0')
			c->argv[n++] = word;
	c->argv[n] = NULL;
}

static void
event_end(struct event **e)
{
	if (*e != NULL)
		event_free(*e);
	*e = NULL;
}

static void
command_free(struct command *c)
{
	event_end(&c->on_out);
	event_end(&c->on_end);
	event_end(&c->on_deadline);
	spawn_end(&c->child);
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	buf_wipe(&c->out);
	free(c->text);
	free(c);
}

void
command_cancel(struct command **c)
{
	if (*c != NULL)
		command_free(*c);
	*c = NULL;
}

/* The command is gone before done() hears of it, and may start another. */
static void
finish(struct command *c, const struct secret *output, struct diag *why)
{
	command_done *done = c->done;
	void *arg = c->arg;

	if (why->kind != DIAG_OK && why->kind != DIAG_NOMEM)
		(void)diag_wrap(why, "%s", c->argv[0]);
	command_free(c);
	done(arg, why->kind == DIAG_OK ? output : NULL, why);
}

/* Without one newline; an empty secret is none. */
static int
take_output(struct command *c, struct secret *ret, struct diag *reterr)
{
	const struct buf *b = &c->out;
	size_t len = b->len;

	if (len > 0 && b->ptr[len - 1] == '\n')
		len--;
	if (len > 0 && len < b->len && b->ptr[len - 1] == '\r')
		len--;
	if (len == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "printed nothing; it must print the secret on its "
		    "standard output");
	if (memchr(b->ptr, '\0', len) != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "printed a NUL byte; the secret must be plain text");
	return secret_set(ret, b->ptr, len) ? 0 : diag_nomem(reterr);
}

static int
judge_exit(int code, struct diag *reterr)
{
	if (code == 0)
		return 0;
	if (code == EX_TEMPFAIL)
		return diag_set(reterr, DIAG_RETRY,
		    "ended with status %d, which means: later", code);
	if (code > 128)
		return diag_set(reterr, DIAG_RETRY,
		    "ended with status %d, as after signal %d", code,
		    code - 128);
	if (code == 127 || code == 126)
		return diag_set(reterr, DIAG_CONFIG,
		    "ended with status %d: a program that it calls %s; run it "
		    "by hand as the agent's user",
		    code,
		    code == 127 ? "was not found" : "could not be executed");
	return diag_set(reterr, DIAG_CONFIG,
	    "ended with status %d; run it by hand as the agent's user to see "
	    "why",
	    code);
}

static int
judge_start(int err, struct diag *reterr)
{
	if (err == ENOENT)
		return diag_set(reterr, DIAG_CONFIG,
		    "there is no such program, or not the interpreter that it "
		    "names; correct the path");
	if (err == EACCES)
		return diag_set(reterr, DIAG_CONFIG,
		    "uid %u may not execute it; run: chmod a+rx on it and its "
		    "folders",
		    (unsigned)geteuid());
	return diag_set(
	    reterr, DIAG_CONFIG, "cannot be executed: %s", strerror(err));
}

/* How it ended, of which waitpid() tells. */
static int
judge(struct command *c, int status, struct diag *reterr)
{
	int err = spawn_failure(&c->child);

	if (err != 0)
		return judge_start(err, reterr);
	if (status == -1)
		return diag_set(reterr, DIAG_RETRY,
		    "its exit status was taken by somebody else");
	if (WIFSIGNALED(status))
		return diag_set(reterr, DIAG_RETRY, "was killed by signal %d",
		    WTERMSIG(status));
	return judge_exit(WEXITSTATUS(status), reterr);
}

/*
 * Reads what there is.  Returns 0 if more may come, 1 at the end, or -1 with
 * *reterr.
 */
static int
read_output(struct command *c, struct diag *reterr)
{
	for (;;) {
		size_t left = c->out.max - c->out.len;
		size_t want = left < CHUNK ? left : CHUNK;
		char *room;
		ssize_t n;

		if (left == 0)
			return diag_set(reterr, DIAG_CONFIG,
			    "printed more than %d bytes; is it the right "
			    "program?",
			    COMMAND_OUTPUT_MAX);
		if ((room = buf_room(&c->out, want)) == NULL)
			return diag_nomem(reterr);
		n = read(c->child.out, room, want);
		if (n > 0 && !c->mute)
			c->out.len += (size_t)n;
		else if (n > 0)
			return 0; /* one bite a turn: it may never end */
		else if (n == 0)
			return 1;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return diag_set(reterr, DIAG_RETRY,
			    "reading from it: %s", strerror(errno));
	}
}

static void
on_out(evutil_socket_t fd, short what, void *arg)
{
	struct command *c = arg;
	struct diag d = DIAG_INIT;
	int rc = read_output(c, &d);

	(void)fd;
	(void)what;
	if (rc < 0)
		finish(c, NULL, &d);
	else if (rc > 0)
		event_end(&c->on_out);
}

/* Grandchildren may hold its output open for ever: they are not waited for. */
static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	auto_secret struct secret s = SECRET_INIT;
	struct command *c = arg;
	struct diag d = DIAG_INIT;
	int status;

	(void)fd;
	(void)what;
	if (!spawn_ended(&c->child, &status))
		return;
	if (judge(c, status, &d) == 0 && !c->mute && read_output(c, &d) >= 0)
		(void)take_output(c, &s, &d);
	finish(c, c->mute ? NULL : &s, &d);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct command *c = arg;
	struct diag d = DIAG_INIT;

	(void)fd;
	(void)what;
	(void)diag_set(&d, DIAG_RETRY,
	    "took longer than %lld ms and was killed; it must not ask anybody",
	    (long long)c->timeout_ms);
	finish(c, NULL, &d);
}

static struct timeval
after(int64_t ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

static bool
watch(struct command *c, struct event_base *base)
{
	struct timeval deadline = after(c->timeout_ms), look = after(LOOK_MS);
	bool pidfd;

	c->pidfd = (int)syscall(SYS_pidfd_open, c->child.pid, 0);
	pidfd = c->pidfd >= 0;
	c->on_out =
	    event_new(base, c->child.out, EV_READ | EV_PERSIST, on_out, c);
	c->on_end = event_new(
	    base, c->pidfd, EV_PERSIST | (pidfd ? EV_READ : 0), on_end, c);
	c->on_deadline = event_new(base, -1, 0, on_deadline, c);
	return c->on_out != NULL && c->on_end != NULL &&
	       c->on_deadline != NULL && event_add(c->on_out, NULL) == 0 &&
	       event_add(c->on_end, pidfd ? NULL : &look) == 0 &&
	       event_add(c->on_deadline, &deadline) == 0;
}

static struct command *
start(struct event_base *base, const char *text, char *const told[], bool mute,
    int64_t timeout_ms, command_done *done, void *arg, struct diag *reterr)
{
	struct command *c;
	int err;

	if (command_check(text, reterr) < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL || (c->text = strdup(text)) == NULL) {
		free(c);
		(void)diag_nomem(reterr);
		return NULL;
	}
	c->child = (struct spawned)SPAWNED_INIT;
	c->pidfd = -1;
	c->done = done;
	c->arg = arg;
	c->timeout_ms = timeout_ms;
	c->mute = mute;
	buf_init(&c->out, COMMAND_OUTPUT_MAX + 1);
	split(c);
	err = spawn(c->argv, told, &c->child);
	if (err == 0 && watch(c, base))
		return c;
	if (err == 0 || err == ENOMEM)
		(void)diag_nomem(reterr);
	else
		(void)diag_set(reterr, DIAG_RETRY, "%s: cannot be started: %s",
		    c->argv[0], strerror(err));
	command_free(c);
	return NULL;
}

struct command *
command_start(struct event_base *base, const char *text, int64_t timeout_ms,
    command_done *done, void *arg, struct diag *reterr)
{
	return start(base, text, NULL, false, timeout_ms, done, arg, reterr);
}

struct command *
command_tell(struct event_base *base, const char *text, char *const told[],
    int64_t timeout_ms, command_done *done, void *arg, struct diag *reterr)
{
	return start(base, text, told, true, timeout_ms, done, arg, reterr);
}

/* What command_run() waits for. */
struct outcome {
	struct secret *ret;
	struct diag *reterr;
	int rc;
};

static void
run_done(void *arg, const struct secret *output, const struct diag *why)
{
	struct outcome *o = arg;

	if (output != NULL && secret_copy(o->ret, output)) {
		o->rc = 0;
		return;
	}
	*o->reterr = *why;
	if (output != NULL)
		(void)diag_nomem(o->reterr);
}

int
command_run(const char *text, int64_t timeout_ms, struct secret *ret,
    struct diag *reterr)
{
	struct event_base *base = event_base_new();
	struct outcome o = { ret, reterr, -1 };

	if (base == NULL)
		return diag_nomem(reterr);
	if (command_start(base, text, timeout_ms, run_done, &o, reterr) != NULL)
		(void)event_base_dispatch(base);
	event_base_free(base);
	return o.rc;
}
