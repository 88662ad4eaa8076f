/*
 * keyring.h - the keys that state is sealed with, and the file that they are
 * in: one per line, in hexadecimal, newest first; empty lines and those that
 * begin with # count not.  The newest seals, all of them open.
 *
 * The file is read again when it has changed, so that every process follows
 * who changes the key.  Threads: one.  Blocking: for local files.
 */
#ifndef CORE_KEYRING_H
#define CORE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "diag.h"
#include "seal.h"
#include "secret.h"
#include "secret_ref.h"

#define KEYRING_MAX	8	/* keys */

struct keyring {
	char *path;		/* NULL: nothing is to be sealed */
	bool credential;	/* of systemd's */
	bool given;		/* that, or below /run: put there anew at each
				 * start, and not for us to make or change */
	bool settled;		/* its name survives a power cut */
	uid_t owner;		/* may own the file, besides root and us */
	struct stat seen;	/* what the file was when it was read */
	size_t n;		/* 0: there is no such file */
	struct keyring_key {
		struct secret key;
		char id[SEAL_ID_LEN + 1];
	} item[KEYRING_MAX];	/* newest first */
};
#define KEYRING_INIT { .path = NULL }

/*
 * Reads the keys; SECRET_REF_NONE: none.  0 and an empty ring, if there is no
 * such file.  Refuses one that others can use or the group can change, or
 * that belongs to anybody but root, us and owner.  -1 with *reterr (CONFIG,
 * NOMEM), which names the file, and *k is KEYRING_INIT.
 */
int keyring_open(struct keyring *k, const struct secret_ref *ref, uid_t owner,
	struct diag *reterr);
void keyring_close(struct keyring *k);

/* The key of that name; NULL: not here. */
const struct secret *keyring_find(const struct keyring *k, const char *id);

/*
 * Looks whether the file is another one now.  1: it is, and was read; 0: as
 * before, or gone: then what we know is all there is, and stays.  -1 with
 * *reterr, and the ring as before.
 */
int keyring_follow(struct keyring *k, struct diag *reterr);

/*
 * Before something is sealed with the newest: makes sure that a power cut does
 * not take the file from its directory.  Does so once.
 */
void keyring_settle(struct keyring *k);

/*
 * Makes the file, with a new key, where there is none: of root, readable for
 * the group, if we are root, else ours.  If somebody else has made one at the
 * same time, that is read.  -1 with *reterr (CONFIG, RETRY, NOMEM).
 */
int keyring_create(struct keyring *k, gid_t group, struct diag *reterr);
/*
 * Puts a new key into the file.  A step each, so that no power cut takes a
 * key with which something is sealed: add puts it behind the one in use, turn
 * makes the last one the first, drop leaves the first only.  Each is durable
 * when it returns 0; after -1 with *reterr the file is as before, or as
 * after, and whole.  Nobody else may change the file meanwhile.
 */
int keyring_add(struct keyring *k, struct diag *reterr);
int keyring_turn(struct keyring *k, struct diag *reterr);
int keyring_drop(struct keyring *k, struct diag *reterr);

#endif
