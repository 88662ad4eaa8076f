/*
 * secret_ref.h - where a secret is, and reading it from there.  Secrets are
 * read when they are used, so that a new one works without a reload.
 */
#ifndef CORE_SECRET_REF_H
#define CORE_SECRET_REF_H

#include "diag.h"
#include "secret.h"

#define CONFIG_SECRET_MAX	16384	/* bytes of a secret's file */

enum secret_ref_kind {
	SECRET_REF_NONE,
	SECRET_REF_FILE,
	SECRET_REF_CREDENTIAL,
	SECRET_REF_COMMAND
};

struct secret_ref {
	enum secret_ref_kind kind;
	char *name;		/* a path, a systemd credential's name, or what
				 * command.h calls a text */
	unsigned line;		/* in the configuration */
};

/*
 * "file:/PATH", "credential:NAME" or "command:/PROGRAM ARGUMENT ..."; sets
 * kind and name.  Returns -1 with *reterr (CONFIG, NOMEM), which never shows
 * the text: it may be the secret.
 */
int secret_ref_parse(const char *text, struct secret_ref *ret,
	struct diag *reterr);
void secret_ref_free(struct secret_ref *ref);

/*
 * The whole file without one trailing newline.  Refuses one that is not a
 * regular file (a symbolic link to one is fine), that group or others can
 * use, that is empty, has a NUL, or is larger than CONFIG_SECRET_MAX.  Of
 * credentials the modes are systemd's business.  A command is run and waited
 * for, up to COMMAND_TIMEOUT_MS: who must not wait uses command_start().
 * Returns -1 with *reterr (CONFIG, NOMEM; of a command RETRY, too), which names
 * the file or the program and the remedy.  `owner` is the user that the remedy
 * names.
 */
int secret_ref_read(const struct secret_ref *ref, const char *owner,
	struct secret *ret, struct diag *reterr);

#endif
