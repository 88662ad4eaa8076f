/* state_dir.h - the directory of the state: is it fit, and what is in it. */
#ifndef CORE_STATE_DIR_H
#define CORE_STATE_DIR_H

#include <sys/stat.h>
#include <sys/types.h>

#include "diag.h"

/*
 * Of the open directory; dir is for the texts.  Fills *st.  Refuses one that
 * is not ours (unless we are root), that group or others can use, or that is
 * on a network file system.  -1 with *reterr (CONFIG, RETRY).
 */
int state_dir_check(const char *dir, int fd, struct stat *st,
	struct diag *reterr);
/*
 * errno, after doing something with a file of it, as a kind and with what
 * cures it; uid and gid are whose it should be.  -1.
 */
int state_dir_failed(const char *dir, uid_t uid, gid_t gid, const char *name,
	const char *doing, struct diag *reterr);
/*
 * Calls each() for every account that has a file there with that end of its
 * name (".grant", ".lock"), until that returns anything but 0, which is
 * returned then.  -1 with *reterr (RETRY), too.
 */
int state_dir_each(const char *dir, int dirfd, const char *end,
	int (*each)(void *arg, const char *account), void *arg,
	struct diag *reterr);

#endif
