/*
 * agent.c - mailtokend: options, configuration, state, sockets, privileges,
 * and the loop.  Order matters: each step makes the next one safer.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "acceptor.h"
#include "cleanup.h"
#include "clock.h"
#include "config_user.h"
#include "http.h"
#include "known.h"
#include "log.h"
#include "lookup.h"
#include "privileges.h"
#include "sealing.h"
#include "selfcheck.h"
#include "server.h"
#include "session.h"

/* After SIGTERM: */
#define LEAVE_S	      30 /* for what is pending */
#define LEAVE_OPEN_S  10 /* while that is renewals, clients are served */
#define LEAVE_TURN_MS 50

struct agent {
	struct server server; /* first: server_* casts back */
	const char *path;     /* of the configuration */
	bool user;	      /* a user's own agent: its places, its uid */
	bool stdio;	      /* one lookup client, on standard input */
	struct store store;
	struct http *http;
	struct renew_env env;
	struct acceptor acceptor;
	int64_t idle_exit_s; /* as it was at the start */
	struct event *idle;
	struct event *on_hup, *on_term, *on_int, *leave;
	unsigned leave_turns;
	bool closed; /* the sockets, while it leaves */
};

static void
say(int priority, const char *event, const char *text)
{
	struct log_line l = log_event(priority, event);

	log_str(&l, "text", text);
	log_send(&l);
}

static int
die(const struct diag *d)
{
	say(LOG_CRIT, "cannot-start", d->text);
	return d->kind == DIAG_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
}

struct first_complaint {
	struct diag d;
	unsigned n;
};

static void
complain(void *arg, const struct diag *d)
{
	struct first_complaint *first = arg;

	say(LOG_ERR, "configuration", d->text);
	if (first->n++ == 0)
		first->d = *d;
}

static struct config *
load(const struct agent *a, struct diag *reterr)
{
	struct first_complaint first = { .n = 0 };
	struct config *c = config_load(a->path, complain, &first);

	if (c == NULL)
		*reterr = first.d;
	else if (a->user && config_user_defaults(c, reterr) < 0)
		config_unref(&c);
	/* There is no agent that a reference could be taken to. */
	if (c != NULL && a->stdio)
		c->socketmap_tokens = true;
	return c;
}

/* What cannot change while we run is said, not silently ignored. */
static void
warn_fixed(const struct config *was, const struct config *is)
{
	if (config_same_fixed(was, is))
		return;
	say(LOG_WARNING, "restart-needed",
	    "listen, socketmap, state_dir, user and idle_exit change at a "
	    "restart only");
}

int
server_reload(struct server *s, struct diag *reterr)
{
	struct agent *a = (struct agent *)s;
	struct config *c;
	struct log_line l;

	if (s->leaving)
		return diag_set(reterr, DIAG_RETRY, "the agent is stopping");
	(void)sd_notify(0, "RELOADING=1");
	c = load(a, reterr);
	if (c == NULL || sealing_reload(&a->store, &c->seal_key, reterr) < 0 ||
	    !accounts_apply(s->accounts, c)) {
		if (c != NULL && reterr->kind == DIAG_OK)
			(void)diag_nomem(reterr);
		config_unref(&c);
		l = log_event(LOG_ERR, "reload");
		log_str(&l, "result", diag_kind_name(reterr->kind));
		log_str(&l, "text", "the configuration from before stays");
		log_send(&l);
		(void)sd_notify(0, "READY=1");
		return diag_wrap(reterr, "not reloaded");
	}
	warn_fixed(s->config, c);
	config_unref(&s->config);
	s->config = c;
	l = log_event(LOG_NOTICE, "reload");
	log_str(&l, "result", "ok");
	log_int(&l, "accounts", (int64_t)accounts_count(s->accounts));
	log_send(&l);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static void leave(struct agent *a);

/*
 * A renewal must end, since its answer may carry a new login, and that takes
 * longer than clients wait who have come to systemd's socket: till then they
 * are served.
 */
static void
close_if_idle(struct agent *a)
{
	if (!a->server.leaving || a->closed ||
	    (accounts_in_flight(a->server.accounts) > 0 &&
		a->leave_turns * LEAVE_TURN_MS < LEAVE_OPEN_S * 1000))
		return;
	acceptor_stop(&a->acceptor);
	lookup_leave(&a->server);
	session_leave(&a->server);
	a->closed = true;
}

static void
leave_if_done(struct agent *a)
{
	if (a->closed && a->server.sessions == 0 &&
	    accounts_in_flight(a->server.accounts) == 0)
		(void)event_base_loopexit(a->server.base, NULL);
}

void
server_session_ended(struct server *s)
{
	struct agent *a = (struct agent *)s;

	s->busy_ms = clock_now_ms();
	if (s->single)
		leave(a);
	leave_if_done(a);
}

static void
on_leave_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	static const struct timeval again = { .tv_usec = LEAVE_TURN_MS * 1000 };

	(void)fd;
	(void)what;
	if (++a->leave_turns * LEAVE_TURN_MS > LEAVE_S * 1000)
		(void)event_base_loopexit(a->server.base, NULL);
	close_if_idle(a);
	leave_if_done(a);
	(void)event_add(a->leave, &again);
}

/* Systemd keeps the sockets, and starts us when somebody comes. */
static void
on_idle_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	int64_t idle = clock_now_ms() - a->server.busy_ms;

	(void)fd;
	(void)what;
	if (!a->server.leaving && a->server.sessions == 0 &&
	    accounts_in_flight(a->server.accounts) == 0 &&
	    !accounts_unsaved(a->server.accounts) &&
	    idle >= a->idle_exit_s * 1000)
		leave(a);
}

static void
leave(struct agent *a)
{
	struct log_line l;

	if (a->server.leaving)
		return;
	l = log_event(LOG_NOTICE, "stopping");
	log_int(&l, "connections", a->server.sessions);
	log_int(
	    &l, "renewals", (int64_t)accounts_in_flight(a->server.accounts));
	log_send(&l);
	(void)sd_notify(0, "STOPPING=1");
	a->server.leaving = true;
	accounts_quiesce(a->server.accounts);
	on_leave_timer(-1, 0, a);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct agent *a = arg;
	struct diag d = DIAG_INIT;

	(void)what;
	if (sig == SIGHUP)
		(void)server_reload(&a->server, &d);
	else
		leave(a);
}

static bool
watch_all(struct agent *a)
{
	struct event_base *base = a->server.base;

	if (!acceptor_start(&a->acceptor, &a->server))
		return false;
	a->idle = event_new(base, -1, EV_PERSIST, on_idle_timer, a);
	a->leave = evtimer_new(base, on_leave_timer, a);
	a->on_hup = evsignal_new(base, SIGHUP, on_signal, a);
	a->on_term = evsignal_new(base, SIGTERM, on_signal, a);
	a->on_int = evsignal_new(base, SIGINT, on_signal, a);
	return a->idle != NULL && a->leave != NULL && a->on_hup != NULL &&
	       a->on_term != NULL && a->on_int != NULL &&
	       event_add(a->on_hup, NULL) == 0 &&
	       event_add(a->on_term, NULL) == 0 &&
	       event_add(a->on_int, NULL) == 0;
}

/*
 * As the user that we are to be the keys must be readable, too; but only root
 * can make them where they belong.
 */
static int
make_keys(const struct config *c, struct diag *reterr)
{
	struct store store = STORE_INIT;
	int rc = 0;

	if (geteuid() == 0)
		rc = sealing_open(
		    &store, c->state_dir, &c->seal_key, true, reterr);
	store_close(&store);
	return rc;
}

/* Once at the start; for one lookup of Postfix's it would be said too often. */
static void
lock_memory(const struct agent *a)
{
	struct diag d = DIAG_INIT;

	if (privileges_lock_memory(&d) < 0 && !a->stdio)
		say(LOG_NOTICE, "memory-not-locked", d.text);
}

/* Configuration, state, sockets; root only as long as that takes. */
static int
open_all(struct agent *a, struct diag *reterr)
{
	const struct config *c = a->server.config = load(a, reterr);

	if (c == NULL)
		return -1;
	privileges_allow_lock();
	if ((a->user ?
		    privileges_own_dir(c->state_dir, reterr) :
		    privileges_state_dir(c->state_dir, c->user, reterr)) < 0 ||
	    make_keys(c, reterr) < 0 ||
	    (!a->stdio && listeners_open(&a->acceptor.listeners, c->listen,
			      c->socketmap, reterr) < 0) ||
	    (!a->user && privileges_drop(c->user, reterr) < 0))
		return -1;
	privileges_harden();
	lock_memory(a);
	return sealing_open(
	    &a->store, c->state_dir, &c->seal_key, true, reterr);
}

/* Only systemd could wake us again. */
static void
watch_idle(struct agent *a)
{
	int64_t s = a->idle_exit_s = a->server.config->idle_exit_s;
	struct timeval every = { .tv_sec = s / 4 > 0 ? s / 4 : 1 };

	if (a->acceptor.listeners.activated && s > 0)
		(void)event_add(a->idle, &every);
}

/*
 * As Postfix's spawn(8) starts us, many at once: no renewals but those that
 * are asked for.
 */
static void
serve_stdio(struct agent *a)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	accounts_quiesce(a->server.accounts);
	a->server.single = true;
	if (fd >= 0 && evutil_make_socket_nonblocking(fd) == 0)
		lookup_start(&a->server, fd);
	if (a->server.sessions == 0)
		leave(a);
}

static int
start_all(struct agent *a, struct diag *reterr)
{
	a->server.base = event_base_new();
	if (a->server.base == NULL || !watch_all(a))
		return diag_nomem(reterr);
	if ((a->http = http_new(a->server.base, reterr)) == NULL)
		return -1;
	a->env = (struct renew_env){ .base = a->server.base,
		.http = a->http,
		.store = &a->store,
		.now_ms = clock_now_ms,
		.wall_s = clock_wall_s };
	a->server.accounts = accounts_new(&a->env);
	if (a->server.accounts == NULL ||
	    !accounts_apply(a->server.accounts, a->server.config))
		return diag_nomem(reterr);
	a->server.started_ms = a->server.busy_ms = clock_now_ms();
	watch_idle(a);
	if (a->stdio)
		serve_stdio(a);
	return 0;
}

static void
close_all(struct agent *a)
{
	struct event *events[] = { a->idle, a->leave, a->on_hup, a->on_term,
		a->on_int };

	accounts_free(&a->server.accounts);
	http_free(&a->http);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	acceptor_free(&a->acceptor);
	known_free(&a->server.known);
	store_close(&a->store);
	config_unref(&a->server.config);
	if (a->server.base != NULL)
		event_base_free(a->server.base);
}

static void
log_ready(const struct agent *a)
{
	struct log_line l = log_event(LOG_NOTICE, "ready");

	log_str(&l, "version", MAILTOKEN_VERSION);
	log_int(&l, "accounts", (int64_t)accounts_count(a->server.accounts));
	log_int(&l, "uid", geteuid());
	for (size_t i = 0; i < a->acceptor.listeners.n; i++)
		log_str(&l, "listen",
		    a->acceptor.listeners.item[i].path != NULL ?
			a->acceptor.listeners.item[i].path :
			"systemd");
	log_send(&l);
	(void)sd_notify(0, "READY=1");
}

static int
run(const char *path, bool user, bool stdio)
{
	struct agent a = {
		.path = path, .user = user, .stdio = stdio, .store = STORE_INIT
	};
	struct diag d = DIAG_INIT;
	int rc = EX_OK;

	if (open_all(&a, &d) < 0 || start_all(&a, &d) < 0) {
		rc = die(&d);
	} else {
		log_ready(&a);
		(void)event_base_dispatch(a.server.base);
		say(LOG_NOTICE, "stopped", NULL);
	}
	close_all(&a);
	return rc;
}

static int
usage(FILE *to)
{
	fputs("usage: mailtokend [-fnV] [-c file] [--user | --stdio]\n", to);
	return to == stdout ? EX_OK : EX_USAGE;
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "stdio", no_argument, NULL, 's' },
		{ "user", no_argument, NULL, 'u' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	auto_free char *own = NULL;
	const char *path = NULL;
	bool to_stderr = false, only_check = false;
	bool user = false, stdio = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:fnV", options, NULL)) != -1)
		switch (opt) {
		case 'c':
			path = optarg;
			break;
		case 'f':
			to_stderr = true;
			break;
		case 'n':
			only_check = true;
			break;
		case 's':
			stdio = true;
			break;
		case 'u':
			user = true;
			break;
		case 'V':
			puts("mailtokend " MAILTOKEN_VERSION);
			return EX_OK;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	if (optind != argc)
		return usage(stderr);
	if (path == NULL && user)
		path = own = config_user_path();
	else if (path == NULL)
		path = MAILTOKEN_SYSCONFDIR "/mailtoken/mailtoken.conf";
	if (path == NULL) {
		fputs("mailtokend: HOME is not set: use -c file\n", stderr);
		return EX_CONFIG;
	}
	if (only_check)
		return selfcheck(path, user);
	(void)umask(077);
	log_open("mailtokend", to_stderr);
	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	opt = run(path, user, stdio);
	curl_global_cleanup();
	return opt;
}
