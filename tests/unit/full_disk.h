/* full_disk.h - a disk on which nothing can be saved, below a renewal. */
#ifndef TESTS_FULL_DISK_H
#define TESTS_FULL_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "renew_lab.h"

/* Saving fails while this is set; no_room: it can be known before. */
static bool disk_full;
static int no_room;
int __wrap_posix_fallocate(int fd, off_t at, off_t n);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return __real_renameat(from, a, to, b);
}

int
__wrap_posix_fallocate(int fd, off_t at, off_t n)
{
	(void)fd;
	(void)at;
	(void)n;
	return no_room;
}

static inline int
set_up_disk(void **state)
{
	disk_full = false;
	no_room = 0;
	return setup(state);
}

#endif
