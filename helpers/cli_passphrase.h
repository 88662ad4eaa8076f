/* cli_passphrase.h - the passphrase of an archive. */
#ifndef HELPERS_CLI_PASSPHRASE_H
#define HELPERS_CLI_PASSPHRASE_H

#include <stdbool.h>

#include "diag.h"
#include "secret.h"

/*
 * From the file if it is not NULL, else asked for at the terminal.  fresh: it
 * is for a new archive: asked for twice, and not too short.  Returns -1 with
 * *reterr (CONFIG, NOMEM).
 */
int cli_passphrase(
    const char *file, bool fresh, struct secret *ret, struct diag *reterr);

#endif
