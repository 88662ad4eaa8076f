/*
 * config_text.h - the configuration's text -> struct config: sections, keys,
 * and every complaint.  No file is read here; names of users are looked up.
 */
#ifndef CORE_CONFIG_TEXT_H
#define CORE_CONFIG_TEXT_H

#include <stddef.h>

#include "config_data.h"
#include "diag.h"

#define CONFIG_MAX_COMPLAINTS	200	/* then one more says that it stops */

/* Called once per error, in the file's order. */
typedef void config_complain(void *arg, const struct diag *d);

/*
 * text[len] must be writable; the text is changed, and wiped in the end: it
 * may hold a secret that does not belong there.  As config_parse(), else.
 */
struct config *config_text_parse(char *text, size_t len, const char *path,
	config_complain *complain, void *arg);

#endif
