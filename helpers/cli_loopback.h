/*
 * cli_loopback.h - a web server for the programs of this host: on both of its
 * loopback addresses, with few connections at a time, and knowing whose they
 * are.
 */
#ifndef HELPERS_CLI_LOOPBACK_H
#define HELPERS_CLI_LOOPBACK_H

#include <stdbool.h>
#include <sys/types.h>

#include "diag.h"

struct event;
struct event_base;
struct evconnlistener;
struct evhttp;
struct evhttp_connection;

/* More wait to be accepted, which they are as others end. */
#define LOOPBACK_CONNECTIONS 16

struct loopback {
	unsigned port;
	struct evconnlistener *listeners[2]; /* http's own */
	struct event *again;
};

/*
 * Browsers try ::1 for "localhost" before 127.0.0.1: were it free, somebody
 * else on this host could listen there for what is meant for us.  port 0: any
 * that is free on both.  -1 with *reterr (CONFIG: port is taken, NOMEM).
 */
int loopback_open(struct loopback *l, struct event_base *base,
    struct evhttp *http, unsigned port, struct diag *reterr);
/* Before http is freed.  Harmless on a struct of zeros. */
void loopback_close(struct loopback *l);

/* Whose the other end of a connection is; false: the kernel does not say. */
bool loopback_peer(const struct loopback *l, struct evhttp_connection *c,
    uid_t *ret);

#endif
