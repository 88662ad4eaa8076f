/* cli_file.c - whole files, or nothing of them. */
#include "cli_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "regfile.h"
#include "secret.h"

#define TRIES 100

static int
sys(const char *path, const char *doing, struct diag *reterr)
{
	int e = errno;

	if (e == ENOMEM)
		return diag_nomem(reterr);
	if (e == EWOULDBLOCK)
		return diag_set(reterr, DIAG_RETRY,
		    "%s: another mailtoken is writing it: try again", path);
	return diag_set(reterr,
	    e == ENOSPC || e == EDQUOT || e == EIO ? DIAG_RETRY : DIAG_CONFIG,
	    "%s: cannot %s: %s%s", path, doing, strerror(e),
	    e == ENOSPC || e == EDQUOT	? "; make room on that file system" :
	    e == EACCES || e == EPERM	? "; run this as root" :
	    e == ENOENT || e == ENOTDIR ? "; make its directory first" :
					  "");
}

/* What a link leads to is replaced, not the link. */
static char *
real_path(const struct cli_file *f)
{
	char *real = f->follow ? realpath(f->path, NULL) : strdup(f->path);

	return real != NULL || errno != ENOENT ? real : strdup(f->path);
}

/* A device, too, would become a file: /dev/null for everybody. */
static int
check_old(int dirfd, const char *name, const char *path, struct diag *reterr)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISREG(st.st_mode))
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: %s: name a file, or a new one", path,
	    S_ISLNK(st.st_mode) ? "a symbolic link, which is not followed" :
				  "not a regular file");
}

/*
 * Whoever writes a new file holds its lock: one that nobody holds was left
 * over from a crash.  0: it is gone; -1 with errno.
 */
static int
remove_left_over(int dirfd, const char *tmp)
{
	auto_close int fd = openat(dirfd, tmp,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	/* Its writer may have been faster, or somebody else. */
	return regfile_is(fd, dirfd, tmp) ? unlinkat(dirfd, tmp, 0) : 0;
}

/* A new file beside the one to be, locked; its name is put into tmp. */
static int
create_beside(int dirfd, const char *name, char tmp[static NAME_MAX + 1])
{
	(void)snprintf(tmp, NAME_MAX + 1, ".%.200s.new", name);
	for (unsigned i = 0; i < TRIES; i++) {
		auto_close int fd = openat(dirfd, tmp,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0 &&
		    (errno != EEXIST || remove_left_over(dirfd, tmp) < 0))
			return -1;
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    regfile_is(fd, dirfd, tmp))
			return take_fd(&fd);
	}
	errno = EWOULDBLOCK;
	return -1;
}

/* The order matters: the name must never stand for half a file. */
static int
fill(int fd, const struct cli_file *f, const void *bytes, size_t n)
{
	if ((f->uid != (uid_t)-1 || f->gid != (gid_t)-1) &&
	    fchown(fd, f->uid, f->gid) < 0)
		return -1;
	if (fchmod(fd, f->mode) < 0 || regfile_write(fd, bytes, n) < 0)
		return -1;
	return fsync(fd);
}

static int
put(int dirfd, const char *name, const struct cli_file *f, const void *bytes,
    size_t n, struct diag *reterr)
{
	char tmp[NAME_MAX + 1];
	auto_close int fd = create_beside(dirfd, name, tmp);

	if (fd < 0)
		return sys(f->path, "write a new one beside it", reterr);
	if (fill(fd, f, bytes, n) < 0 ||
	    renameat2(dirfd, tmp, dirfd, name, f->keep ? RENAME_NOREPLACE : 0) <
		0) {
		(void)sys(f->path, "write", reterr);
		(void)unlinkat(dirfd, tmp, 0);
		return -1;
	}
	if (fsync(dirfd) < 0)
		return sys(f->path, "make it durable", reterr);
	return 0;
}

int
cli_file_write(
    const struct cli_file *f, const void *bytes, size_t n, struct diag *reterr)
{
	auto_free char *real = real_path(f);
	auto_free char *copy = real != NULL ? strdup(real) : NULL;
	auto_close int dirfd = -1;
	const char *name;

	if (copy == NULL)
		return sys(f->path, "find", reterr);
	dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return sys(f->path, "open its directory", reterr);
	name = strrchr(real, '/') != NULL ? strrchr(real, '/') + 1 : real;
	if (check_old(dirfd, name, f->path, reterr) < 0)
		return -1;
	return put(dirfd, name, f, bytes, n, reterr);
}

int
cli_file_read_stat(const char *path, size_t max, struct buf *b, struct stat *st,
    struct diag *reterr)
{
	auto_close int fd = regfile_open(path, "run this as root", st, reterr);

	return fd < 0 ? -1 : regfile_slurp(fd, path, max, b, reterr);
}

int
cli_file_read(const char *path, size_t max, struct buf *b, struct diag *reterr)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return regfile_slurp(
		    STDIN_FILENO, "standard input", max, b, reterr);
	return cli_file_read_stat(path, max, b, &st, reterr);
}
