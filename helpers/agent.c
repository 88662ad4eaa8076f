/*
 * agent.c - mailtokend: options, configuration, state, sockets, privileges,
 * and the loop.  Order matters: each step makes the next one safer.
 */
#include <errno.h>
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

#include "clock.h"
#include "config_check.h"
#include "http.h"
#include "listener.h"
#include "log.h"
#include "privileges.h"
#include "server.h"
#include "session.h"
#include "store.h"

#define ACCEPT_MAX	64  /* at a time, then the loop turns */
#define LEAVE_S		30  /* for what is pending, after SIGTERM */
#define ACCEPT_AGAIN_MS 100 /* when descriptors have run out */

struct agent {
	struct server server; /* first: server_* casts back */
	const char *path;     /* of the configuration */
	struct store store;
	struct http *http;
	struct renew_env env;
	struct listeners listeners;
	struct event *accept[LISTENERS_MAX];
	struct event *accept_again;
	struct event *on_hup, *on_term, *on_int, *leave;
};

static int
die(const struct diag *d)
{
	struct log_line l = log_event(LOG_CRIT, "cannot-start");

	log_str(&l, "text", d->text);
	log_send(&l);
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
	struct log_line l = log_event(LOG_ERR, "configuration");

	log_str(&l, "text", d->text);
	log_send(&l);
	if (first->n++ == 0)
		first->d = *d;
}

/* What cannot change while we run is said, not silently ignored. */
static void
warn_fixed(const struct config *was, const struct config *is)
{
	bool same = strcmp(was->state_dir, is->state_dir) == 0 &&
		    strcmp(was->user, is->user) == 0;
	size_t i = 0;

	while (same && was->listen[i] != NULL && is->listen[i] != NULL &&
	       strcmp(was->listen[i], is->listen[i]) == 0)
		i++;
	if (!same || was->listen[i] != NULL || is->listen[i] != NULL) {
		struct log_line l = log_event(LOG_WARNING, "restart-needed");

		log_str(&l, "text",
		    "listen, state_dir and user change at a restart only");
		log_send(&l);
	}
}

int
server_reload(struct server *s, struct diag *reterr)
{
	struct agent *a = (struct agent *)s;
	struct first_complaint first = { .n = 0 };
	struct config *c;
	struct log_line l;

	(void)sd_notify(0, "RELOADING=1");
	c = config_load(a->path, complain, &first);
	if (c == NULL || !accounts_apply(s->accounts, c)) {
		if (c == NULL)
			*reterr = first.d;
		else
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

static void
leave_if_done(struct agent *a)
{
	if (a->server.leaving && a->server.sessions == 0 &&
	    accounts_in_flight(a->server.accounts) == 0)
		(void)event_base_loopexit(a->server.base, NULL);
}

void
server_session_ended(struct server *s)
{
	leave_if_done((struct agent *)s);
}

static void
on_leave_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	static const struct timeval again = { .tv_usec = 50000 };
	static unsigned turns;

	(void)fd;
	(void)what;
	if (++turns > LEAVE_S * 20)
		(void)event_base_loopexit(a->server.base, NULL);
	leave_if_done(a);
	(void)event_add(a->leave, &again);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct agent *a = arg;
	struct diag d = DIAG_INIT;
	struct log_line l;

	(void)what;
	if (sig == SIGHUP) {
		(void)server_reload(&a->server, &d);
		return;
	}
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
	for (size_t i = 0; i < a->listeners.n; i++)
		(void)event_del(a->accept[i]);
	listeners_close(&a->listeners);
	on_leave_timer(-1, 0, a);
}

static void
accept_enable(struct agent *a, bool on)
{
	static const struct timeval later = { .tv_usec =
						  ACCEPT_AGAIN_MS * 1000 };

	for (size_t i = 0; i < a->listeners.n; i++)
		(void)(on ? event_add(a->accept[i], NULL) :
			    event_del(a->accept[i]));
	if (!on)
		(void)event_add(a->accept_again, &later);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (!((struct agent *)arg)->server.leaving)
		accept_enable(arg, true);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int client =
		    accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client >= 0) {
			session_start(&a->server, client);
			continue;
		}
		/* No descriptors or memory: a pause, not a busy loop. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			struct log_line l = log_event(LOG_ERR, "cannot-accept");

			log_str(&l, "text", strerror(errno));
			log_send(&l);
			accept_enable(a, false);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static bool
watch_all(struct agent *a)
{
	struct event_base *base = a->server.base;

	for (size_t i = 0; i < a->listeners.n; i++) {
		(void)evutil_make_socket_nonblocking(a->listeners.item[i].fd);
		a->accept[i] = event_new(base, a->listeners.item[i].fd,
		    EV_READ | EV_PERSIST, on_accept, a);
		if (a->accept[i] == NULL || event_add(a->accept[i], NULL) < 0)
			return false;
	}
	a->accept_again = evtimer_new(base, on_accept_again, a);
	a->leave = evtimer_new(base, on_leave_timer, a);
	a->on_hup = evsignal_new(base, SIGHUP, on_signal, a);
	a->on_term = evsignal_new(base, SIGTERM, on_signal, a);
	a->on_int = evsignal_new(base, SIGINT, on_signal, a);
	return a->accept_again != NULL && a->leave != NULL &&
	       a->on_hup != NULL && a->on_term != NULL && a->on_int != NULL &&
	       event_add(a->on_hup, NULL) == 0 &&
	       event_add(a->on_term, NULL) == 0 &&
	       event_add(a->on_int, NULL) == 0;
}

/* Configuration, state, sockets; root only as long as that takes. */
static int
open_all(struct agent *a, struct diag *reterr)
{
	struct first_complaint first = { .n = 0 };

	a->server.config = config_load(a->path, complain, &first);
	if (a->server.config == NULL) {
		*reterr = first.d;
		return -1;
	}
	if (privileges_state_dir(a->server.config->state_dir,
		a->server.config->user, reterr) < 0 ||
	    listeners_open(&a->listeners, a->server.config->listen, reterr) <
		0 ||
	    privileges_drop(a->server.config->user, reterr) < 0)
		return -1;
	privileges_harden();
	return store_open(&a->store, a->server.config->state_dir, reterr);
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
		.now_s = clock_now_s };
	a->server.accounts = accounts_new(&a->env);
	if (a->server.accounts == NULL ||
	    !accounts_apply(a->server.accounts, a->server.config))
		return diag_nomem(reterr);
	a->server.started_at = clock_now_s();
	return 0;
}

static void
close_all(struct agent *a)
{
	struct event *events[] = { a->accept_again, a->leave, a->on_hup,
		a->on_term, a->on_int };

	accounts_free(&a->server.accounts);
	http_free(&a->http);
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (a->accept[i] != NULL)
			event_free(a->accept[i]);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	listeners_close(&a->listeners);
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
	for (size_t i = 0; i < a->listeners.n; i++)
		log_str(&l, "listen",
		    a->listeners.item[i].path != NULL ?
			a->listeners.item[i].path :
			"systemd");
	log_send(&l);
	(void)sd_notify(0, "READY=1");
}

static int
run(const char *path)
{
	struct agent a = { .path = path, .store = STORE_INIT };
	struct diag d = DIAG_INIT;
	int rc = EX_OK;

	if (open_all(&a, &d) < 0 || start_all(&a, &d) < 0) {
		rc = die(&d);
	} else {
		log_ready(&a);
		(void)event_base_dispatch(a.server.base);
		struct log_line l = log_event(LOG_NOTICE, "stopped");
		log_send(&l);
	}
	close_all(&a);
	return rc;
}

static void
say_complaint(void *arg, const struct diag *d)
{
	(void)arg;
	fprintf(stderr, "mailtokend: %s\n", d->text);
}

static int
check(const char *path)
{
	struct config *c = config_load(path, say_complaint, NULL);
	size_t n = 1;

	if (c != NULL)
		n = config_check_files(c, say_complaint, NULL);
	config_unref(&c);
	return n == 0 ? EX_OK : EX_CONFIG;
}

static int
usage(void)
{
	fputs("usage: mailtokend [-fnV] [-c file]\n", stderr);
	return EX_USAGE;
}

int
main(int argc, char *argv[])
{
	const char *path = MAILTOKEN_SYSCONFDIR "/mailtoken/mailtoken.conf";
	bool to_stderr = false, only_check = false;
	int opt;

	while ((opt = getopt(argc, argv, "c:fnV")) != -1)
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
		case 'V':
			puts("mailtokend " MAILTOKEN_VERSION);
			return EX_OK;
		default:
			return usage();
		}
	if (optind != argc)
		return usage();
	if (only_check)
		return check(path);
	(void)umask(077);
	log_open("mailtokend", to_stderr);
	clock_start();
	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	opt = run(path);
	curl_global_cleanup();
	return opt;
}
