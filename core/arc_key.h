/*
 * arc_key.h - how Azure Arc's agent himds tells programs from strangers: it
 * answers with status 401 and names a file that only root and the group himds
 * can read; who shows what is in it may have the machine's token.
 */
#ifndef CORE_ARC_KEY_H
#define CORE_ARC_KEY_H

#include "diag.h"
#include "secret.h"

#define ARC_KEY_MAX	4096	/* bytes of the file */

/*
 * The file that a challenge names; the header may be NULL.  It will be read
 * with our rights and sent back, so only a name ending in .key directly in
 * himds's own directory will do.  Returns -1 with *reterr (CONFIG, NOMEM), or
 * 0 and *ret, which is for free().
 */
int arc_key_path(const char *www_authenticate, char **ret,
	struct diag *reterr);
/*
 * Such a file -> the value of the Authorization header.  owner is the user
 * that the remedy names.  Refuses what is no regular file of at most
 * ARC_KEY_MAX bytes.  Kinds: CONFIG, NOMEM.
 */
int arc_key_authorization(const char *path, const char *owner,
	struct secret *ret, struct diag *reterr);

#endif
