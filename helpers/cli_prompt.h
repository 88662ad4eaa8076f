/* cli_prompt.h - asking a person at the terminal. */
#ifndef HELPERS_CLI_PROMPT_H
#define HELPERS_CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"
#include "secret.h"

/* Standard input and error are one: questions can be asked. */
bool cli_prompt_possible(void);

/*
 * A line from standard input without blanks around it; the caller frees.
 * NULL: the input has ended, or no memory.
 */
char *cli_prompt_line(const char *prompt);

/*
 * From the process's terminal, whatever standard input is, and not shown.
 * Returns -1 with *reterr (CONFIG: no terminal, ended by ^C or ^D, nothing
 * given, more than max bytes; NOMEM).  The terminal is as it was afterwards.
 */
int cli_prompt_secret(
    const char *prompt, size_t max, struct secret *ret, struct diag *reterr);

/*
 * A secret from a file of its own, if path is not NULL (secret_ref_read()
 * says what is refused), else asked for.
 */
int cli_prompt_or_file(const char *path, const char *prompt, struct secret *ret,
    struct diag *reterr);

#endif
