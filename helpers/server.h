/*
 * server.h - what the agent's parts share while it runs: made by agent.c,
 * seen by the sessions and their operations.
 */
#ifndef HELPERS_SERVER_H
#define HELPERS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "accounts.h"
#include "config.h"
#include "diag.h"

struct event_base;
struct known;
struct lookup;
struct session;

struct server {
	struct event_base *base;
	struct config *config;
	struct accounts *accounts;
	struct known *known;	/* visitor.c's */
	unsigned sessions;	/* connections now */
	unsigned strangers;	/* those of them that are no known peer's */
	unsigned descriptors;	/* that this process may have; 0: no limit */
	struct session *asking; /* connections that session.c has */
	struct lookup *lookups; /* those of them that lookup.c has */
	int64_t busy_ms;	/* when the last one came or went */
	int64_t started_ms;	/* of clock_now_ms() */
	bool leaving;		/* SIGTERM has come */
	bool single; /* one client, on standard input: leave with it */
};

/*
 * Reads the configuration again; a bad one is refused with *reterr (CONFIG:
 * its first error; all are logged) and the old one stays.  One that is good
 * but for what only helps is taken, and *warning (of kind OK: there is none)
 * says what that is, as the log does.
 */
int server_reload(
    struct server *s, struct diag *warning, struct diag *reterr);
/* A session has ended: the last one lets a leaving agent go. */
void server_session_ended(struct server *s);

#endif
