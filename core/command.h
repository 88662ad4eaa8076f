/*
 * command.h - a program that prints a secret, or one that is told something:
 * started without a shell, with a limit of time and output, and killed when
 * either is passed.
 *
 * The text is a list of arguments separated by blanks; the first is an
 * absolute path; there is no quoting.  The program gets PATH, HOME, LANG and
 * USER of ours as far as they are set, nothing on standard input, and our
 * standard error goes nowhere: what it says there may be the secret.  It runs
 * in a session of its own, so that it finds no terminal to ask at, in the
 * folder /, and does not outlive us.
 *
 * Nothing here waits for SIGCHLD.  But where that is ignored nobody learns how
 * a program ended: the first command sets it back to its default.
 */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include <stdint.h>

#include "diag.h"
#include "secret.h"

#define COMMAND_TIMEOUT_MS	10000
#define COMMAND_OUTPUT_MAX	16384	/* bytes, with the newline */
#define COMMAND_ARGUMENTS_MAX	64	/* with the program */

struct event_base;
struct command;

/* Checks a text: -1 with *reterr (CONFIG), which does not show it. */
int command_check(const char *text, struct diag *reterr);

/*
 * Called once, from the loop; afterwards the command is gone.  output is its
 * standard output without one trailing newline, borrowed; or NULL, and *why
 * says so, naming the program but no argument: CONFIG (cannot be started,
 * empty output, too much, a NUL, exit status 1 to 127 in words), RETRY (took
 * too long, killed by a signal, exit status 75, which is EX_TEMPFAIL), NOMEM.
 */
typedef void command_done(void *arg, const struct secret *output,
	const struct diag *why);

/*
 * NULL with *reterr (CONFIG, NOMEM; RETRY: the system has no process to
 * spare): then done() is not called.
 */
struct command *command_start(struct event_base *base, const char *text,
	int64_t timeout_ms, command_done *done, void *arg,
	struct diag *reterr);
/*
 * The same for a program that has nothing to print: told (spawn() has what it
 * is) is in its environment, its output is thrown away, and done() gets none;
 * why->kind is OK if it went well.  told need not live on.
 */
struct command *command_tell(struct event_base *base, const char *text,
	char *const told[], int64_t timeout_ms, command_done *done, void *arg,
	struct diag *reterr);
/* Kills it; done() will not be called.  Sets *c to NULL; NULL is fine. */
void command_cancel(struct command **c);

/* The same with a loop of its own: blocks up to timeout_ms. */
int command_run(const char *text, int64_t timeout_ms, struct secret *ret,
	struct diag *reterr);

#endif
