/*
 * regfile.h - reading a regular file that an administrator named: without
 * hanging at a FIFO, checked on the open descriptor, up to a limit.
 */
#ifndef CORE_REGFILE_H
#define CORE_REGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "buf.h"
#include "diag.h"

/*
 * Returns a descriptor and its *st, or -1 with *reterr (CONFIG: names the
 * path and the remedy, which is cure where there is no permission).  A
 * symbolic link to a regular file is fine.
 */
int regfile_open(const char *path, const char *cure, struct stat *st,
	struct diag *reterr);
/*
 * -1 with *reterr (CONFIG) if group or others can use it.  Below
 * $CREDENTIALS_DIRECTORY they may seem to, by an ACL: that is systemd's
 * business.
 */
int regfile_private(const char *path, const struct stat *st,
	struct diag *reterr);
/*
 * Appends all of it to b, whose ceiling must be above max.  Returns -1 with
 * *reterr (CONFIG: larger than max, or unreadable; NOMEM).
 */
int regfile_slurp(int fd, const char *path, size_t max, struct buf *b,
	struct diag *reterr);
/*
 * Is the open file still what name, which is no link, stands for below dirfd?
 * Somebody may have replaced it since.
 */
bool regfile_is(int fd, int dirfd, const char *name);
/* All n bytes; or -1 with errno, where no room is ENOSPC. */
int regfile_write(int fd, const char *p, size_t n);

#endif
