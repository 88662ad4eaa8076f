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
#include "config_check.h"
#include "config_user.h"
#include "http.h"
#include "known.h"
#include "leaving.h"
#include "log.h"
#include "lookup.h"
#include "privileges.h"
#include "sealing.h"
#include "selfcheck.h"
#include "server.h"

#define CONF_PATH MAILTOKEN_SYSCONFDIR "/mailtoken/mailtoken.conf"

struct options {
	const char *path;
	bool to_stderr, only_check;
	bool user, stdio;
};

struct agent {
	struct server server; /* first: server_* casts back */
	const char *path;     /* of the configuration */
	bool user;	      /* a user's own agent: its places, its uid */
	bool stdio;	      /* one lookup client, on standard input */
	struct store store;
	struct http *http;
	struct renew_env env;
	struct acceptor acceptor;
	struct leaving leaving;
	struct event *on_hup, *on_term, *on_int;
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

/* Nobody would be told of what goes wrong from now on: that is news itself. */
static void
warn_notify(const struct config *c, struct diag *ret)
{
	if (config_check_notify(c, ret) < 0)
		say(LOG_WARNING, "configuration", ret->text);
}

int
server_reload(struct server *s, struct diag *warning, struct diag *reterr)
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
	warn_notify(c, warning);
	config_unref(&s->config);
	s->config = c;
	l = log_event(LOG_NOTICE, "reload");
	log_str(&l, "result", "ok");
	log_int(&l, "accounts", (int64_t)accounts_count(s->accounts));
	log_send(&l);
	(void)sd_notify(0, "READY=1");
	return 0;
}

void
server_session_ended(struct server *s)
{
	leaving_session_ended(&((struct agent *)s)->leaving);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct agent *a = arg;
	struct diag warning = DIAG_INIT, d = DIAG_INIT;

	(void)what;
	if (sig == SIGHUP)
		(void)server_reload(&a->server, &warning, &d);
	else
		leaving_begin(&a->leaving);
}

static bool
watch_all(struct agent *a)
{
	struct event_base *base = a->server.base;

	if (!acceptor_start(&a->acceptor, &a->server) ||
	    !leaving_init(&a->leaving, &a->server, &a->acceptor))
		return false;
	a->on_hup = evsignal_new(base, SIGHUP, on_signal, a);
	a->on_term = evsignal_new(base, SIGTERM, on_signal, a);
	a->on_int = evsignal_new(base, SIGINT, on_signal, a);
	return a->on_hup != NULL && a->on_term != NULL && a->on_int != NULL &&
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
		leaving_begin(&a->leaving);
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
	/* Only systemd could wake us again. */
	if (a->acceptor.listeners.activated)
		leaving_when_idle(&a->leaving, a->server.config->idle_exit_s);
	if (a->stdio)
		serve_stdio(a);
	return 0;
}

static void
close_all(struct agent *a)
{
	struct event *events[] = { a->on_hup, a->on_term, a->on_int };

	accounts_free(&a->server.accounts);
	http_free(&a->http);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	leaving_free(&a->leaving);
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
	struct diag warning = DIAG_INIT;

	/* Which for one lookup is not run. */
	if (!a->stdio)
		warn_notify(a->server.config, &warning);

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
run(const struct options *o)
{
	struct agent a = { .path = o->path,
		.user = o->user,
		.stdio = o->stdio,
		.store = STORE_INIT };
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

/* -1: go on; else that was all, with this exit code. */
static int
read_options(int argc, char *argv[], struct options *ret)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "stdio", no_argument, NULL, 's' },
		{ "user", no_argument, NULL, 'u' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:fnV", words, NULL)) != -1)
		switch (opt) {
		case 'c':
			ret->path = optarg;
			break;
		case 'f':
			ret->to_stderr = true;
			break;
		case 'n':
			ret->only_check = true;
			break;
		case 's':
			ret->stdio = true;
			break;
		case 'u':
			ret->user = true;
			break;
		case 'V':
			puts("mailtokend " MAILTOKEN_VERSION);
			return EX_OK;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	return optind == argc ? -1 : usage(stderr);
}

int
main(int argc, char *argv[])
{
	struct options o = { .path = NULL };
	auto_free char *own = NULL;
	int rc = read_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	if (o.path == NULL)
		o.path = o.user ? (own = config_user_path()) : CONF_PATH;
	if (o.path == NULL) {
		fputs("mailtokend: HOME is not set: use -c file\n", stderr);
		return EX_CONFIG;
	}
	if (o.only_check)
		return selfcheck(o.path, o.user);
	(void)umask(077);
	log_open("mailtokend", o.to_stderr);
	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	rc = run(&o);
	curl_global_cleanup();
	return rc;
}
