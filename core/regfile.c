#include "regfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define CHUNK 65536

int
regfile_open(
    const char *path, const char *cure, struct stat *st, struct diag *reterr)
{
	/* No FIFO keeps us waiting, no terminal becomes ours. */
	auto_close int fd =
	    open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == EACCES)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: uid %u cannot read it or its folders; %s", path,
		    (unsigned)geteuid(), cure);
	if (fd < 0 && errno == ENOENT)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: there is no such file; create it or correct the path",
		    path);
	if (fd < 0 || fstat(fd, st) < 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: not a regular file; name one", path);
	return take_fd(&fd);
}

static bool
is_credential(const char *path)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
	size_t n = dir != NULL ? strlen(dir) : 0;

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return n > 0 && strncmp(path, dir, n) == 0 && path[n] == '/' &&
	       strstr(path + n, "/../") == NULL;
}

int
regfile_private(const char *path, const struct stat *st, struct diag *reterr)
{
	if ((st->st_mode & 077) == 0 || is_credential(path))
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: mode %04o lets others use it; run: chmod 600 %s", path,
	    (unsigned)(st->st_mode & 07777), path);
}

int
regfile_slurp(
    int fd, const char *path, size_t max, struct buf *b, struct diag *reterr)
{
	size_t begin = b->len;

	/* One byte more than allowed tells "too large". */
	while (b->len - begin <= max) {
		size_t left = max + 1 - (b->len - begin);
		size_t want = left < CHUNK ? left : CHUNK;
		char *room = buf_room(b, want);
		ssize_t n;

		if (room == NULL)
			return diag_nomem(reterr);
		n = read(fd, room, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return diag_set(reterr, DIAG_CONFIG, "%s: %s", path,
			    strerror(errno));
		if (n == 0)
			return 0;
		b->len += (size_t)n;
	}
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: larger than %zu bytes; is it the right file?", path, max);
}

bool
regfile_is(int fd, int dirfd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(dirfd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int
regfile_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (w == 0)
				errno = ENOSPC;
			return -1;
		}
		p += w;
		n -= (size_t)w;
	}
	return 0;
}
