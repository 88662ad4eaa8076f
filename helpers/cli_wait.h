/*
 * cli_wait.h - waiting for people and providers: an event loop that a signal
 * ends, and a line on stderr that says what is awaited and for how long still.
 * At a terminal the line counts down; elsewhere it comes once a minute.
 */
#ifndef HELPERS_CLI_WAIT_H
#define HELPERS_CLI_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "diag.h"

struct event;
struct event_base;

#define CLI_WAIT_SIGNALS 3

struct cli_wait {
	struct event_base *base;
	struct event *signals[CLI_WAIT_SIGNALS];
	struct event *tick;
	int signal;	  /* that has come: give up; 0: none */
	const char *what; /* is awaited; NULL: nothing to say */
	int64_t end_ms;	  /* of clock_now_ms() */
	int64_t said_ms;
	bool terminal, shown;
};

/* Takes SIGINT, SIGTERM and SIGHUP.  -1 with *reterr (NOMEM). */
int cli_wait_open(struct cli_wait *w, struct diag *reterr);
/* Gives them back.  Harmless on a struct of zeros. */
void cli_wait_close(struct cli_wait *w);

/* What is said from now on while the loop runs; what is borrowed. */
void cli_wait_show(struct cli_wait *w, const char *what, int64_t end_ms);
/* Before anything else is said. */
void cli_wait_hide(struct cli_wait *w);

/*
 * Runs the loop until *done (may be NULL), or until_ms at the latest.
 * Returns -1 if a signal has come.
 */
int cli_wait_run(struct cli_wait *w, int64_t until_ms, const bool *done);
/* Runs what is ready in the loop, without waiting; the same. */
int cli_wait_step(struct cli_wait *w);

/* Says that a signal ended it: the exit code, as a shell has it. */
int cli_wait_interrupted(struct cli_wait *w);

#endif
