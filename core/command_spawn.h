/*
 * command_spawn.h - starts a program for command.h: which descriptors,
 * signals and environment it gets.
 */
#ifndef CORE_COMMAND_SPAWN_H
#define CORE_COMMAND_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* A program that was started.  All -1: none. */
struct spawned {
	pid_t pid;
	int out;	/* its standard output; does not block */
	int failure;	/* an int, errno, once it could not be executed; does
			 * not block */
};
#define SPAWNED_INIT { -1, -1, -1 }

#define SPAWN_TOLD_MAX	8	/* variables that a program is told */

/*
 * argv[0] is a path.  told is "NAME=VALUE" for its environment, NULL-ended, or
 * NULL for none.  Returns 0 or an errno.
 */
int spawn(char *const argv[], char *const told[], struct spawned *ret);
/* What the program could not be executed for; 0: it was.  After its end. */
int spawn_failure(const struct spawned *s);
/*
 * Kills it and its process group, unless spawn_ended(), takes leave of it, and
 * closes both descriptors.  Blocks for as long as killing takes, at most 0.2 s.
 */
void spawn_end(struct spawned *s);
/*
 * Has it ended?  Then *status is as waitpid() tells, and s->pid is -1; true
 * with *status -1 if somebody else has taken the status.
 */
bool spawn_ended(struct spawned *s, int *status);

#endif
