/*
 * fake_server.h - an HTTP server on an event loop that says, byte for byte,
 * what a test wants.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake_server {
	/*
	 * The bytes to send for a whole request (headers and body), after
	 * which the connection is closed, unless keep.  "": it is closed at
	 * once.  NULL: nothing, ever.
	 */
	const char *(*answer)(void *arg, const char *request);
	void *arg;
	int keep;
	/* Sent so much after a request that has no answer(); NULL: nothing. */
	const char *late;
	struct timeval late_by;
	struct evconnlistener *listener;
	unsigned port, requests, open;
};

static inline void
fake_sent(struct bufferevent *be, void *arg)
{
	struct fake_server *s = arg;

	s->open--;
	bufferevent_free(be);
}

static inline void
fake_gone(struct bufferevent *be, short what, void *arg)
{
	struct fake_server *s = arg;

	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
		fake_sent(be, arg);
	} else if ((what & BEV_EVENT_TIMEOUT) != 0) {
		bufferevent_setcb(be, NULL, fake_sent, fake_gone, s);
		(void)bufferevent_write(be, s->late, strlen(s->late));
	}
}

/* A request is whole when its headers and Content-Length bytes are there. */
static inline int
fake_whole(const char *text, size_t len)
{
	const char *body = strstr(text, "\r\n\r\n");
	const char *n = strcasestr(text, "\r\nContent-Length:");

	if (body == NULL)
		return 0;
	return n == NULL ||
	       len - (size_t)(body + 4 - text) >= strtoul(n + 17, NULL, 10);
}

static inline void
fake_read(struct bufferevent *be, void *arg)
{
	struct fake_server *s = arg;
	struct evbuffer *in = bufferevent_get_input(be);
	size_t len = evbuffer_get_length(in);
	char *text = malloc(len + 1);
	const char *answer;

	if (text == NULL)
		abort();
	(void)evbuffer_copyout(in, text, len);
	text[len] = '\0';
	if (fake_whole(text, len)) {
		(void)evbuffer_drain(in, len);
		s->requests++;
		if ((answer = s->answer(s->arg, text)) != NULL) {
			if (!s->keep)
				bufferevent_setcb(
				    be, NULL, fake_sent, fake_gone, s);
			if (*answer == '\0')
				fake_sent(be, s);
			else
				(void)bufferevent_write(
				    be, answer, strlen(answer));
		} else if (s->late != NULL) {
			(void)bufferevent_set_timeouts(be, &s->late_by, NULL);
		}
	}
	free(text);
}

static inline void
fake_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer,
    int len, void *arg)
{
	struct bufferevent *be = bufferevent_socket_new(
	    evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);

	(void)peer;
	(void)len;
	if (be == NULL)
		abort();
	((struct fake_server *)arg)->open++;
	bufferevent_setcb(be, fake_read, NULL, fake_gone, arg);
	(void)bufferevent_enable(be, EV_READ | EV_WRITE);
}

/* answer and arg are set; the port is an ephemeral one of loopback. */
static inline int
fake_server_start(struct fake_server *s, struct event_base *base)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	s->listener = evconnlistener_new_bind(base, fake_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1024,
	    (struct sockaddr *)&sin, sizeof(sin));
	if (s->listener == NULL ||
	    getsockname(evconnlistener_get_fd(s->listener),
		(struct sockaddr *)&sin, &len) < 0)
		return -1;
	s->port = ntohs(sin.sin_port);
	return 0;
}

/* Its clients have gone, or will within two seconds. */
static inline void
fake_server_stop(struct fake_server *s)
{
	struct event_base *base = evconnlistener_get_base(s->listener);

	for (int i = 0; i < 2000 && s->open > 0; i++) {
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		(void)usleep(1000);
	}
	evconnlistener_free(s->listener);
	s->listener = NULL;
}

#endif
