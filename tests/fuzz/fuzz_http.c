/*
 * A provider's answer, byte for byte, as libcurl and http.c hear it from a
 * server on loopback; what comes of it is read as a token endpoint's.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "oauth2.h"

#define ANSWER_MAX 4096
#define TIMEOUT_MS 5000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct event_base *base;
	struct http *http;
	char url[64];
	const uint8_t *data; /* what the next client is told */
	size_t size;
	bool done;
} world;

static void
on_sent(struct bufferevent *be, void *arg)
{
	(void)arg;
	bufferevent_free(be);
}

static void
on_gone(struct bufferevent *be, short what, void *arg)
{
	(void)what;
	on_sent(be, arg);
}

/* Whatever was asked. */
static void
on_request(struct bufferevent *be, void *arg)
{
	(void)arg;
	bufferevent_setcb(be, NULL, on_sent, on_gone, NULL);
	(void)bufferevent_disable(be, EV_READ);
	if (world.size == 0)
		bufferevent_free(be);
	else
		(void)bufferevent_write(be, world.data, world.size);
}

static void
on_client(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa,
    int len, void *arg)
{
	struct bufferevent *be =
	    bufferevent_socket_new(world.base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l;
	(void)sa;
	(void)len;
	(void)arg;
	bufferevent_setcb(be, on_request, NULL, on_gone, NULL);
	(void)bufferevent_enable(be, EV_READ | EV_WRITE);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	struct diag d = DIAG_INIT;
	struct evconnlistener *l;

	(void)argc;
	(void)argv;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)unsetenv("http_proxy");
	world.base = event_base_new();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || world.base == NULL)
		abort();
	world.http = http_new(world.base, &d);
	l = evconnlistener_new_bind(world.base, on_client, NULL,
	    LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)(void *)&sa,
	    sizeof(sa));
	if (world.http == NULL || l == NULL ||
	    getsockname(evconnlistener_get_fd(l),
		(struct sockaddr *)(void *)&sa, &len) < 0)
		abort();
	(void)snprintf(world.url, sizeof(world.url),
	    "http://127.0.0.1:%u/token", ntohs(sa.sin_port));
	return 0;
}

static void
check_refusal(const struct diag *d)
{
	if ((d->kind != DIAG_RETRY && d->kind != DIAG_REAUTH &&
		d->kind != DIAG_CONFIG) ||
	    d->text[0] == '\0' || d->retry_after_s < 0 ||
	    d->retry_after_s > 3600)
		abort();
	for (const char *s = d->text; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			abort();
}

static void
on_done(void *arg, const struct http_answer *a, const struct diag *why)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;

	(void)arg;
	world.done = true;
	if (a == NULL) {
		check_refusal(why);
		return;
	}
	if (a->len > ANSWER_MAX || a->retry_after_s < 0 ||
	    (a->status >= 300 && a->status < 400) ||
	    (a->www_authenticate != NULL &&
		strlen(a->www_authenticate) > world.size))
		abort();
	if (oauth2_parse_tokens(
		a->status, a->retry_after_s, a->body, a->len, &t, &d) < 0)
		check_refusal(&d);
	else if (secret_empty(&t.access_token))
		abort();
	oauth2_tokens_wipe(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request req = { .url = world.url,
		.insecure_http = true,
		.timeout_ms = TIMEOUT_MS,
		.answer_max = ANSWER_MAX };
	struct diag d = DIAG_INIT;

	world.data = data;
	world.size = size;
	world.done = false;
	if (http_start(world.http, &req, on_done, NULL, &d) == NULL)
		abort();
	while (!world.done)
		if (event_base_loop(world.base, EVLOOP_ONCE) != 0)
			abort();
	return 0;
}
