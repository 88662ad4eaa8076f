/*
 * privileges.h - how the agent stops being root, and what it denies itself.
 */
#ifndef HELPERS_PRIVILEGES_H
#define HELPERS_PRIVILEGES_H

#include "diag.h"

/*
 * No core, no ptrace by others of the same uid, no way back to privileges by
 * exec, room for descriptors.
 */
void privileges_harden(void);

/*
 * As root: lets this process, and what it becomes, lock all of its memory.
 * Before privileges_drop(), which takes the right to do so away.
 */
void privileges_allow_lock(void);

/*
 * Keeps all memory of this process out of swap, what libraries take for
 * themselves included: now, and what comes, page by page as it is used.
 * Only where no limit could make an allocation fail later; else *reterr
 * (CONFIG) says why not and what to do, and nothing is locked.
 */
int privileges_lock_memory(struct diag *reterr);

/*
 * As root: makes the state directory (0700) for the user if it is missing.
 * Otherwise, and if it is there, does nothing.  *reterr is CONFIG.
 */
int
privileges_state_dir(const char *dir, const char *user, struct diag *reterr);

/*
 * Makes a user's own state directory (0700), with those above it, if it is
 * missing.  *reterr is CONFIG.
 */
int privileges_own_dir(const char *dir, struct diag *reterr);

/*
 * As root: becomes the user, for good, with its groups, and without any
 * capability that a program could give back.  Otherwise does nothing.
 * *reterr is CONFIG.
 */
int privileges_drop(const char *user, struct diag *reterr);

#endif
