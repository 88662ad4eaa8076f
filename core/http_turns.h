/*
 * http_turns.h - how many requests are under way at once, to a server and in
 * all; the others wait, first come, first served.  libcurl can do that too,
 * but counts the time there as the server's.  No I/O; for http.c.
 */
#ifndef CORE_HTTP_TURNS_H
#define CORE_HTTP_TURNS_H

#include <stdbool.h>

#define HTTP_TURNS_HOST	  8  /* with a connection of their own */
#define HTTP_TURNS_SHARED 32 /* which HTTP/2 may put on one connection */
#define HTTP_TURNS_TOTAL  64

/* Embedded in a request, which is the owner of origin: scheme, host, port. */
struct http_turn {
	struct http_turn *prev, *next;
	const char *origin;
	bool once; /* shares no connection */
	bool waits;
};

struct http_turns {
	struct http_turn_list {
		struct http_turn *first, *last;
	} begun, queue;
};

/* True: it is under way; else it waits. */
bool http_turns_enter(struct http_turns *l, struct http_turn *t);
/* Returns who is under way instead; NULL: nobody waits for that. */
struct http_turn *http_turns_leave(struct http_turns *l, struct http_turn *t);

#endif
