/*
 * store.h - what must survive: one file per account in one directory.
 *
 * The file NAME.grant holds one whole grant, always: it is written new,
 * fsynced, renamed over the old one, and the directory is fsynced.  The lock
 * is flock(2) on NAME.lock, which stays; it is gone when its holder is.  If
 * somebody removes that file, the same on the grant's file keeps others out.
 * Readers need no lock.  Files are 0600 and belong to the directory's owner,
 * also when root writes them.
 *
 * The format is sealed_grant.h's, or grant.h's without a ring; with one,
 * either is read.  Nothing here ever deletes a refresh token.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag.h"
#include "grant.h"
#include "keyring.h"

struct store {
	int dirfd;
	char *dir;
	uid_t uid;		/* the directory's owner and group */
	gid_t gid;
	struct keyring *ring;	/* owned; see sealing.h.  NULL: nothing is
				 * sealed */
};
#define STORE_INIT { -1, NULL, 0, 0, NULL }

/*
 * Opens the directory.  Refuses one that group or others can use (CONFIG,
 * with the chmod to type), that is not ours (unless we are root), or that is
 * on a network file system, where neither flock nor rename is safe.  It has no
 * keys: programs use sealing_open().
 */
int store_open(struct store *s, const char *dir, struct diag *reterr);
void store_close(struct store *s);

struct store_lock {
	int fd;
	int grant;		/* the grant's file; -1: there is none yet */
	int room;		/* of store_reserve(); -1: none */
	bool busy;		/* after -1: another process holds it */
};
#define STORE_LOCK_INIT { -1, -1, -1, false }

/*
 * Never blocks: RETRY, and ret->busy, if another process holds it.  The name
 * must pass wire_account_ok() or wire_pattern_ok().
 */
int store_lock(const struct store *s, const char *account,
	struct store_lock *ret, struct diag *reterr);
/* The same, but blocks up to wait_ms while it is busy. */
int store_lock_wait(const struct store *s, const char *account,
	int64_t wait_ms, struct store_lock *ret, struct diag *reterr);
/* Harmless on STORE_LOCK_INIT. */
void store_unlock(struct store_lock *l);

/*
 * Returns 1 and *ret; 0 if there is no file yet (*ret is GRANT_INIT); or -1
 * with *reterr (CONFIG: empty, truncated, of a newer version, wrong mode or
 * owner, another account's; RETRY: EIO and the like), *ret untouched.
 */
int store_read(const struct store *s, const char *account, struct grant *ret,
	struct diag *reterr);

/*
 * The key that it is sealed with, by its name; empty if it is not sealed.  As
 * store_read(), else; but of the grant only the first line is looked at.
 */
int store_key_of(const struct store *s, const char *account,
	char ret[static SEAL_ID_LEN + 1], struct diag *reterr);

/*
 * Makes the new file and takes room for it, so that what keeps a grant from
 * being written (RETRY: no room; CONFIG: permission, read-only, no key, or
 * keys without the old file's) is known before the grant is there.  The lock
 * must be held; store_write() uses what was reserved, store_unreserve() gives
 * it back if nothing came, and is harmless otherwise.
 */
int store_reserve(const struct store *s, struct store_lock *l,
	const char *account, struct diag *reterr);
void store_unreserve(const struct store *s, struct store_lock *l,
	const char *account);

/*
 * Replaces it; the lock must be held.  After 0 the grant survives a power
 * cut.  After -1 (RETRY: disk full, I/O; CONFIG: permission, too long, no key,
 * or keys without the old file's; NOMEM) the old file is as it was; only if
 * the directory could not be fsynced at the end is the new one there already,
 * not yet durable.
 */
int store_write(const struct store *s, struct store_lock *l,
	const char *account, const struct grant *g, struct diag *reterr);

#endif
