/* selfcheck.h - mailtokend -n: is the configuration right? */
#ifndef HELPERS_SELFCHECK_H
#define HELPERS_SELFCHECK_H

#include <stdbool.h>

/*
 * Says on standard error what is wrong with the configuration and the files
 * that it names; user: as a user's own agent would read it.  Returns
 * mailtokend's exit code.
 */
int selfcheck(const char *path, bool user);

#endif
