/*
 * sealing.h - a store with its keys: as the configuration's seal_key has
 * them, made where there are none yet, and changed for new ones.
 *
 * No key is ever made where something is sealed already, and nothing is
 * written where the keys cannot be the right ones.
 */
#ifndef CORE_SEALING_H
#define CORE_SEALING_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"
#include "secret_ref.h"
#include "store.h"

/*
 * store_open(), with keys.  make: if there is no key's file and nothing is
 * sealed, one is made; else what is there can be read and nothing written.
 * -1 with *reterr (CONFIG: no key for what is sealed, or keys with which
 * nothing was, naming the file and the remedy; RETRY, NOMEM).
 */
int sealing_open(struct store *s, const char *dir,
	const struct secret_ref *key, bool make, struct diag *reterr);
/* The keys again, of an open store; on -1 those from before stay. */
int sealing_reload(struct store *s, const struct secret_ref *key,
	struct diag *reterr);

#define SEALING_LOCK_WAIT_MS 60000 /* for an account that is being renewed */

struct sealing_result {
	size_t resealed;	/* grants that were written anew */
	size_t bad;		/* grants that cannot be read */
	struct diag first;	/* of those */
	bool kept;		/* older keys stay, as bad > 0 */
	bool given;		/* no new key: see struct keyring */
};

/*
 * Makes a new key, seals every grant with it, and forgets the older ones.
 * Other processes go on meanwhile: they follow the file (keyring_follow()).
 * When it dies at any moment everything can be read, and the next one ends
 * what was begun.  Of a ring that is given the newest key is the first.
 * -1 with *reterr (CONFIG: nothing is to be sealed; RETRY: another one is
 * busy, an account's lock is held for too long, I/O).
 */
int sealing_rekey(struct store *s, struct sealing_result *ret,
	struct diag *reterr);

#endif
