/*
 * cli_nagios.h - the status as a plugin of Nagios, Icinga and their kin: one
 * line with figures, a line for each account that is not well, and their exit
 * codes.
 */
#ifndef HELPERS_CLI_NAGIOS_H
#define HELPERS_CLI_NAGIOS_H

#include "cli.h"

/* Of one account, or of all if it is NULL.  Returns 0 to 3. */
int nagios_status(struct cli *c, const char *account);

#endif
