/*
 * owned_file.h - files in a directory that all belong to its owner, whether he
 * makes them or root does.  Errors are errno's.
 */
#ifndef CORE_OWNED_FILE_H
#define CORE_OWNED_FILE_H

#include <sys/types.h>

struct owned_dir {
	int fd;
	uid_t uid;
	gid_t gid;
};

/*
 * openat(2), 0600, with O_NOFOLLOW and O_CLOEXEC.  What O_CREAT makes is the
 * owner's from the beginning, where he may make it himself: a process killed
 * before it could give the file away would leave one that he cannot open.
 */
int owned_file_open(const struct owned_dir *d, const char *name, int flags);
/*
 * Whose it is not gets it; EMLINK if it has other names.  A group that is not
 * ours to give may stay.
 */
int owned_file_give(const struct owned_dir *d, int fd);
/*
 * Opens and flock(2)s it.  1: *ret is locked, and what the name stands for;
 * 0: another process has it; -1 with errno.
 */
int owned_file_lock(const struct owned_dir *d, const char *name, int flags,
	int *ret);

#endif
