/* cli_usage.c - how mailtoken and its commands are called. */
#include "cli_usage.h"

#include <ctype.h>
#include <string.h>
#include <sysexits.h>

int
usage_print(FILE *to)
{
	fputs("usage: mailtoken [-c file | --user] [-s socket] command ...\n",
	    to);
	for (size_t i = 0; i < cli_n_commands; i++)
		if (cli_commands[i].name == NULL)
			fprintf(to, "\n%s:\n", cli_commands[i].does);
		else
			fprintf(to, "  %-10s  %s\n", cli_commands[i].name,
			    cli_commands[i].does);
	fputs("\n  --help, --version; mailtoken COMMAND --help\n", to);
	return to == stdout ? EX_OK : EX_USAGE;
}

const struct cli_command *
usage_find(const char *name)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (cli_commands[i].name != NULL &&
		    strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

int
usage_command(const struct cli_command *cmd, FILE *to)
{
	fprintf(to, "usage: mailtoken %s%s%s\n", cmd->name,
	    *cmd->args != '\0' ? " " : "", cmd->args);
	if (to != stdout)
		return EX_USAGE;
	printf(
	    "\n%c%s: see mailtoken(1)\n", toupper(*cmd->does), cmd->does + 1);
	return EX_OK;
}

int
cli_usage(const char *command)
{
	const struct cli_command *cmd = usage_find(command);

	return cmd == NULL ? EX_USAGE : usage_command(cmd, stderr);
}
