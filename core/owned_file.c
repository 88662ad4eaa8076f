#include "owned_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "regfile.h"

#define LOCK_TRIES 10

static int
open_it(const struct owned_dir *d, const char *name, int flags)
{
	return openat(d->fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Only for files, and only of this thread; the kernel allows it root alone. */
static int
open_as_owner(const struct owned_dir *d, const char *name, int flags)
{
	int gid = setfsgid(d->gid);
	int uid = setfsuid(d->uid);
	int fd = open_it(d, name, flags);
	int e = errno;

	(void)setfsuid((uid_t)uid);
	(void)setfsgid((gid_t)gid);
	errno = e;
	return fd;
}

int
owned_file_open(const struct owned_dir *d, const char *name, int flags)
{
	int fd;

	if ((flags & O_CREAT) == 0 || geteuid() != 0 || d->uid == 0)
		return open_it(d, name, flags);
	fd = open_as_owner(d, name, flags);
	return fd < 0 && (errno == EACCES || errno == EPERM) ?
		   open_it(d, name, flags) :
		   fd;
}

int
owned_file_give(const struct owned_dir *d, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid == d->uid && st.st_gid == d->gid)
		return 0;
	/* A group that is not ours to give is no reason to fail: mode 0600. */
	if (st.st_uid == d->uid)
		return fchown(fd, (uid_t)-1, d->gid) < 0 && errno != EPERM ?
			   -1 :
			   0;
	/* Its other name may be one that is nobody's to give. */
	if (st.st_nlink > 1) {
		errno = EMLINK;
		return -1;
	}
	return fchown(fd, d->uid, d->gid);
}

int
owned_file_lock(
    const struct owned_dir *d, const char *name, int flags, int *ret)
{
	/* Again if somebody replaced the file between open and flock. */
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		auto_close int fd =
		    owned_file_open(d, name, flags | O_NONBLOCK);
		int rc;

		if (fd < 0 ||
		    ((flags & O_CREAT) != 0 && owned_file_give(d, fd) < 0))
			return -1;
		do
			rc = flock(fd, LOCK_EX | LOCK_NB);
		while (rc < 0 && errno == EINTR);
		if (rc < 0)
			return errno == EWOULDBLOCK ? 0 : -1;
		if (regfile_is(fd, d->fd, name)) {
			*ret = take_fd(&fd);
			return 1;
		}
	}
	return 0;
}
