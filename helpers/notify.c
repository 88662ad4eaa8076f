#include "notify.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "clock.h"
#include "command.h"
#include "command_spawn.h"
#include "log.h"
#include "wire.h"

#define HOUR_MS (3600 * 1000)
#define DAY_MS	(24 * HOUR_MS)
#define VALUE	520 /* bytes of a variable's value: a diag's text */

struct item {
	const char *event;
	enum diag_kind kind;
	char account[WIRE_ACCOUNT_MAX + 1];
	char text[VALUE];
};

struct notify {
	struct event_base *base;
	const char *program;	 /* NULL: none */
	struct command *running; /* it tells now */
	struct item now;	 /* what it tells */
	struct item queue[NOTIFY_BURST];
	size_t first, n;     /* of the queue */
	unsigned more;	     /* that are not in it */
	unsigned told;	     /* in this window */
	int64_t window_ms;   /* when that began */
	struct event *timer; /* for the next one */
	uint32_t good, bad;
};

static void on_timer(evutil_socket_t fd, short what, void *arg);

struct notify *
notify_new(struct event_base *base)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->base = base;
	if ((n->timer = evtimer_new(base, on_timer, n)) == NULL) {
		free(n);
		return NULL;
	}
	return n;
}

void
notify_free(struct notify **np)
{
	struct notify *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	command_cancel(&n->running);
	event_free(n->timer);
	free(n);
}

void
notify_program(struct notify *n, const char *program)
{
	n->program = program;
	if (program == NULL) {
		n->n = 0;
		n->more = 0;
	}
}

/* From the loop, not in the middle of what the event comes from. */
static void
tell_soon(struct notify *n, int64_t s)
{
	struct timeval tv = { (time_t)s, 0 };

	(void)event_add(n->timer, &tv);
}

static void
ended(void *arg, const struct secret *output, const struct diag *why)
{
	struct notify *n = arg;
	bool good = why->kind == DIAG_OK;
	struct log_line l =
	    log_event(good ? LOG_INFO : LOG_ERR, "notification");

	(void)output;
	n->running = NULL;
	(*(good ? &n->good : &n->bad))++;
	log_str(&l, "what", n->now.event);
	log_str(&l, "account", n->now.account);
	log_str(&l, "result", diag_kind_name(why->kind));
	log_str(&l, "text", why->text);
	log_send(&l);
	tell_soon(n, 0);
}

/* Nobody's control characters: the program may put it on a terminal. */
static void
set(char *variable, const char *name, const char *value)
{
	int n = snprintf(variable, VALUE + 32, "%s=", name);
	char *to = variable + (n > 0 ? n : 0), *end = to + VALUE - 1;

	for (; *value != '\0' && to < end; value++)
		*to++ = *value >= 0x20 && *value < 0x7f ? *value : '?';
	*to = '\0';
}

static void
run(struct notify *n, unsigned count)
{
	const struct item *i = &n->now;
	char variable[5][VALUE + 32], number[16];
	char *told[SPAWN_TOLD_MAX + 1] = { NULL };
	struct diag d = DIAG_INIT;
	size_t k = 0;

	(void)snprintf(number, sizeof(number), "%u", count);
	set(told[k] = variable[k], "MAILTOKEN_EVENT", i->event);
	k++;
	set(told[k] = variable[k], "MAILTOKEN_TEXT", i->text);
	k++;
	set(told[k] = variable[k], "MAILTOKEN_COUNT", number);
	k++;
	if (i->account[0] != '\0') {
		set(told[k] = variable[k], "MAILTOKEN_ACCOUNT", i->account);
		k++;
		set(told[k] = variable[k], "MAILTOKEN_RESULT",
		    diag_kind_name(i->kind));
	}
	n->running = command_tell(
	    n->base, n->program, told, NOTIFY_TIMEOUT_MS, ended, n, &d);
	if (n->running == NULL)
		ended(n, NULL, &d);
}

/* May one more be run, or only when the window has ended? */
static bool
in_budget(struct notify *n, unsigned burst)
{
	int64_t now = clock_now_ms();
	int64_t left = n->window_ms + NOTIFY_WINDOW_MS - now;

	if (n->told == 0 || left <= 0 || left > NOTIFY_WINDOW_MS) {
		n->window_ms = now;
		n->told = 0;
	}
	return n->told < burst;
}

static void
tell_next(struct notify *n)
{
	unsigned count = 1;

	if (n->n > 0) {
		n->now = n->queue[n->first];
		n->first = (n->first + 1) % NOTIFY_BURST;
		n->n--;
	} else {
		count = n->more;
		n->more = 0;
		n->now = (struct item){ .event = "many" };
		(void)snprintf(n->now.text, sizeof(n->now.text),
		    "%u more events: run mailtoken status", count);
	}
	n->told++;
	run(n, count);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct notify *n = arg;

	(void)fd;
	(void)what;
	if (n->running != NULL || (n->n == 0 && n->more == 0))
		return;
	if (in_budget(n, n->n > 0 ? NOTIFY_BURST : NOTIFY_BURST + 1))
		tell_next(n);
	else
		tell_soon(n, NOTIFY_WINDOW_MS / 1000 / 10);
}

static void
add(struct notify *n, const char *event, const char *account,
    const struct diag *d)
{
	struct item *i;

	if (n->program == NULL)
		return;
	tell_soon(n, 0);
	/* What is counted already is not overtaken. */
	if (n->n == NOTIFY_BURST || n->more > 0 ||
	    !in_budget(n, (unsigned)(NOTIFY_BURST - n->n))) {
		n->more++;
		return;
	}
	i = &n->queue[(n->first + n->n++) % NOTIFY_BURST];
	*i = (struct item){ .event = event, .kind = d->kind };
	(void)snprintf(i->account, sizeof(i->account), "%s", account);
	(void)snprintf(i->text, sizeof(i->text), "%s", d->text);
}

void
notify_state(struct notify *n, struct notified *was, const char *account,
    const struct diag *state, int64_t now_ms)
{
	int64_t apart = was->standing == state->kind ? DAY_MS : HOUR_MS;
	struct diag well = DIAG_INIT;

	/* Whom nobody was told of is told of as soon as there is a program. */
	if (n->program == NULL) {
		*was = (struct notified){ DIAG_OK, 0 };
		return;
	}
	if (state->kind == DIAG_OK && was->standing != DIAG_OK) {
		was->standing = DIAG_OK;
		(void)diag_set(&well, DIAG_OK, "it has a token again");
		add(n, "recovered", account, &well);
	}
	if ((state->kind != DIAG_REAUTH && state->kind != DIAG_CONFIG) ||
	    (was->at_ms != 0 && now_ms - was->at_ms < apart))
		return;
	was->standing = state->kind;
	was->at_ms = now_ms;
	add(n, state->kind == DIAG_REAUTH ? "login-needed" : "change-needed",
	    account, state);
}

void
notify_expires(struct notify *n, const char *account, const struct diag *what)
{
	add(n, "expires", account, what);
}

void
notify_counts(const struct notify *n, uint32_t *good, uint32_t *bad)
{
	*good = n->good;
	*bad = n->bad;
}
