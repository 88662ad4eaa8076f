/*
 * cli_section.h - an account's section of the configuration while it is put
 * together.  Which keys there are is known to account.h alone.
 */
#ifndef HELPERS_CLI_SECTION_H
#define HELPERS_CLI_SECTION_H

#include <stdbool.h>

#include "account.h"
#include "buf.h"
#include "diag.h"

struct section {
	const char *account;
	char *value[SETTING_MAX]; /* by row of account_settings; NULL: none */
};
void section_free(struct section *s);

/*
 * key may be written with '-' for '_'.  Checks the value as the configuration
 * does, and that it fits into one line.  Returns -1 with *reterr (CONFIG, NOMEM),
 * which names the key and never shows the value.
 */
int section_set(struct section *s, const char *key, const char *value,
    struct diag *reterr);
/* NULL: not set. */
const char *section_get(const struct section *s, const char *key);
bool section_is(const struct section *s, const char *key, const char *value);
/* As it is said or follows from the provider; GRANT__COUNT: not known. */
enum grant_type section_grant(const struct section *s);

/* Appends "[account NAME]" and a line for each key, in the table's order. */
void section_format(const struct section *s, struct buf *b);

#endif
