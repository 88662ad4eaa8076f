/*
 * cli_usage.h - how the commands of cli_commands are called.  What prints it
 * returns EX_OK on stdout, where it was asked for, else EX_USAGE.
 */
#ifndef HELPERS_CLI_USAGE_H
#define HELPERS_CLI_USAGE_H

#include <stdio.h>

#include "cli.h"

/* All of them. */
int usage_print(FILE *to);
int usage_command(const struct cli_command *cmd, FILE *to);
/* NULL: there is no such command. */
const struct cli_command *usage_find(const char *name);

#endif
