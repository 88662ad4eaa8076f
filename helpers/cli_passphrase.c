/* cli_passphrase.c - the passphrase of an archive. */
#include "cli_passphrase.h"

#include <string.h>

#include "archive.h"
#include "cli_prompt.h"

int
cli_passphrase(
    const char *file, bool fresh, struct secret *ret, struct diag *reterr)
{
	auto_secret struct secret again = SECRET_INIT;

	if (cli_prompt_or_file(file,
		"Passphrase of the archive (not shown): ", ret, reterr) < 0)
		return diag_wrap(reterr, "the passphrase (--passphrase-file)");
	if (!fresh)
		return 0;
	if (ret->len < ARCHIVE_PASSPHRASE_MIN)
		return diag_set(reterr, DIAG_CONFIG,
		    "the passphrase has less than %d characters: take a "
		    "longer one, of a few words",
		    ARCHIVE_PASSPHRASE_MIN);
	if (file != NULL)
		return 0;
	if (cli_prompt_secret("The same again: ", 1024, &again, reterr) < 0)
		return -1;
	if (again.len == ret->len && memcmp(again.ptr, ret->ptr, ret->len) == 0)
		return 0;
	return diag_set(
	    reterr, DIAG_CONFIG, "that was not the same: nothing was written");
}
