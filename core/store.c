#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"
#include "wire.h"

#define NAME_MAX_    (WIRE_ACCOUNT_MAX + sizeof("..grant.new"))
#define LOCK_POLL_MS 50

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* Where neither flock(2) nor rename(2) means the same on two hosts. */
static const struct {
	unsigned long magic;
	const char *name;
} network_fs[] = {
	{ NFS_SUPER_MAGIC, "NFS" },
	{ SMB_SUPER_MAGIC, "SMB" },
	{ 0xff534d42, "CIFS" },
	{ 0xfe534d42, "SMB2" },
	{ AFS_SUPER_MAGIC, "AFS" },
	{ 0x6b414653, "AFS" },
	{ CODA_SUPER_MAGIC, "Coda" },
	{ 0x00c36400, "Ceph" },
};

/* errno, as a kind and with what cures it. */
static int
sys(struct diag *reterr, const struct store *s, const char *name,
    const char *doing)
{
	int e = errno;

	switch (e) {
	case ENOMEM:
		return diag_nomem(reterr);
	case EACCES:
	case EPERM:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: cannot %s: %s; it must belong to uid %u, run: "
		    "chown -R %u:%u %s",
		    s->dir, name, doing, strerror(e), (unsigned)s->uid,
		    (unsigned)s->uid, (unsigned)s->gid, s->dir);
	case EROFS:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: cannot %s: %s; the state directory must be "
		    "writable (see ReadWritePaths= if a unit starts this)",
		    s->dir, name, doing, strerror(e));
	case ELOOP:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: is a symbolic link; put the file itself there",
		    s->dir, name);
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
		return diag_set(reterr, DIAG_CONFIG, "%s/%s: cannot %s: %s",
		    s->dir, name, doing, strerror(e));
	case ENOSPC:
	case EDQUOT:
		return diag_set(reterr, DIAG_RETRY,
		    "%s/%s: cannot %s: %s; make room on that file system",
		    s->dir, name, doing, strerror(e));
	}
	return diag_set(reterr, DIAG_RETRY, "%s/%s: cannot %s: %s", s->dir,
	    name, doing, strerror(e));
}

static int
dir_check(const char *dir, int fd, struct stat *st, struct diag *reterr)
{
	struct statfs fs;

	if (fstat(fd, st) < 0 || fstatfs(fd, &fs) < 0)
		return diag_set(reterr, DIAG_RETRY, "%s: cannot look at it: %s",
		    dir, strerror(errno));
	if (st->st_uid != geteuid() && geteuid() != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: belongs to uid %u, "
		    "we are uid %u; run as that user or choose another "
		    "state_dir",
		    dir, (unsigned)st->st_uid, (unsigned)geteuid());
	if ((st->st_mode & 077) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: mode is %04o, others "
		    "can use it; run: chmod 700 %s",
		    dir, (unsigned)(st->st_mode & 07777), dir);
	for (size_t i = 0; i < N(network_fs); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) ==
		    network_fs[i].magic)
			return diag_set(reterr, DIAG_CONFIG,
			    "%s: is on a "
			    "network file system (%s), where locks are not "
			    "safe; set state_dir to a local disk",
			    dir, network_fs[i].name);
	return 0;
}

int
store_open(struct store *s, const char *dir, struct diag *reterr)
{
	auto_close int fd = -1;
	struct stat st;
	char *copy;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: there is no such "
		    "directory; make it for the agent's user, run: "
		    "install -d -m 700 -o USER %s",
		    dir, dir);
	if (fd < 0)
		return diag_set(reterr,
		    errno == EMFILE || errno == ENFILE || errno == EIO ?
			DIAG_RETRY :
			DIAG_CONFIG,
		    "%s: cannot open the state directory: %s", dir,
		    strerror(errno));
	if (dir_check(dir, fd, &st, reterr) < 0)
		return -1;
	if ((copy = strdup(dir)) == NULL)
		return diag_nomem(reterr);
	*s = (struct store){ .dirfd = take_fd(&fd),
		.dir = copy,
		.uid = st.st_uid,
		.gid = st.st_gid };
	return 0;
}

void
store_close(struct store *s)
{
	if (s->dirfd >= 0)
		(void)close(s->dirfd);
	free(s->dir);
	*s = (struct store)STORE_INIT;
}

/* "PREFIX ACCOUNT SUFFIX" as a file's name; the account's is checked here. */
static int
file_name(char ret[static NAME_MAX_], const char *prefix, const char *account,
    const char *suffix, struct diag *reterr)
{
	if (!wire_account_ok(account) && !wire_pattern_ok(account))
		return diag_set(
		    reterr, DIAG_CONFIG, "this is no name for an account");
	(void)snprintf(ret, NAME_MAX_, "%s%s%s", prefix, account, suffix);
	return 0;
}

/* What root makes must be usable by the agent. */
static int
give_to_owner(const struct store *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid == s->uid && st.st_gid == s->gid)
		return 0;
	/* A group that is not ours to give is no reason to fail: mode 0600. */
	if (st.st_uid == s->uid)
		return fchown(fd, (uid_t)-1, s->gid) < 0 && errno != EPERM ?
			   -1 :
			   0;
	return fchown(fd, s->uid, s->gid);
}

/* Is what we have locked still what the name stands for? */
static bool
same_file(const struct store *s, int fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(s->dirfd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int
store_lock(const struct store *s, const char *account, struct store_lock *ret,
    struct diag *reterr)
{
	char name[NAME_MAX_];

	ret->busy = false;
	if (file_name(name, "", account, ".lock", reterr) < 0)
		return -1;
	/* Again if somebody removed the file between open and flock. */
	for (int tries = 0; tries < 10; tries++) {
		auto_close int fd = openat(s->dirfd, name,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
		    0600);
		int rc;

		if (fd < 0 || give_to_owner(s, fd) < 0)
			return sys(reterr, s, name, "open the lock");
		do
			rc = flock(fd, LOCK_EX | LOCK_NB);
		while (rc < 0 && errno == EINTR);
		if (rc < 0 && errno == EWOULDBLOCK)
			break;
		if (rc < 0)
			return sys(reterr, s, name, "lock");
		if (same_file(s, fd, name)) {
			ret->fd = take_fd(&fd);
			return 0;
		}
	}
	ret->busy = true;
	return diag_set(reterr, DIAG_RETRY,
	    "%s/%s: another process is "
	    "renewing this account and holds the lock",
	    s->dir, name);
}

int
store_lock_wait(const struct store *s, const char *account, int64_t wait_ms,
    struct store_lock *ret, struct diag *reterr)
{
	static const struct timespec again = { 0, LOCK_POLL_MS * 1000000L };

	for (int64_t ms = 0; store_lock(s, account, ret, reterr) < 0;
	     ms += LOCK_POLL_MS) {
		if (!ret->busy || ms >= wait_ms)
			return -1;
		(void)nanosleep(&again, NULL);
	}
	return 0;
}

void
store_unlock(struct store_lock *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	*l = (struct store_lock)STORE_LOCK_INIT;
}

/* Looks at what is open, so that nobody can swap it in between. */
static int
file_check(const struct store *s, const char *name, int fd, struct diag *reterr)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return sys(reterr, s, name, "look at it");
	if (!S_ISREG(st.st_mode))
		return diag_set(
		    reterr, DIAG_CONFIG, "%s/%s: is not a file", s->dir, name);
	if (st.st_uid != s->uid)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: belongs to uid "
		    "%u; run: chown %u:%u %s/%s",
		    s->dir, name, (unsigned)st.st_uid, (unsigned)s->uid,
		    (unsigned)s->gid, s->dir, name);
	if ((st.st_mode & 077) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: mode is %04o, "
		    "others can use it; run: chmod 600 %s/%s",
		    s->dir, name, (unsigned)(st.st_mode & 07777), s->dir, name);
	if (st.st_size > GRANT_MAX_BYTES)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: is damaged: "
		    "larger than %d bytes",
		    s->dir, name, GRANT_MAX_BYTES);
	return 0;
}

static int
read_all(int fd, struct buf *b)
{
	for (;;) {
		char *room = buf_room(b, 16384);
		ssize_t n;

		if (room == NULL) {
			errno = ENOMEM;
			return -1;
		}
		n = read(fd, room, 16384);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			b->len += (size_t)n;
	}
}

int
store_read(const struct store *s, const char *account, struct grant *ret,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(GRANT_MAX_BYTES + 2 * 16384);
	auto_close int fd = -1;
	char name[NAME_MAX_];

	if (file_name(name, "", account, ".grant", reterr) < 0)
		return -1;
	fd = openat(
	    s->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		grant_wipe(ret);
		return 0;
	}
	if (fd < 0)
		return sys(reterr, s, name, "open");
	if (file_check(s, name, fd, reterr) < 0)
		return -1;
	if (read_all(fd, &b) < 0)
		return sys(reterr, s, name, "read");
	if (grant_parse(b.ptr, b.len, account, ret, reterr) < 0)
		return diag_wrap(reterr, "%s/%s", s->dir, name);
	return 1;
}

static int
sync_fd(int fd)
{
	int rc;

	do
		rc = fsync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* The order matters: a name must never stand for half a grant. */
static int
replace(const struct store *s, const char *tmp, const char *name, int fd,
    const struct buf *b)
{
	if (give_to_owner(s, fd) < 0 || fchmod(fd, 0600) < 0 ||
	    regfile_write(fd, b->ptr, b->len) < 0 || sync_fd(fd) < 0)
		return -1;
	return renameat(s->dirfd, tmp, s->dirfd, name);
}

int
store_write(const struct store *s, const struct store_lock *l,
    const char *account, const struct grant *g, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(GRANT_MAX_BYTES);
	auto_close int fd = -1;
	char name[NAME_MAX_], tmp[NAME_MAX_];

	if (l->fd < 0)
		return diag_set(reterr, DIAG_CONFIG, "%s: not locked", account);
	if (file_name(name, "", account, ".grant", reterr) < 0 ||
	    file_name(tmp, ".", account, ".grant.new", reterr) < 0 ||
	    grant_format(&b, account, g, reterr) < 0)
		return -1;
	/* Left over from a crash: we hold the lock, so nobody writes it. */
	if (unlinkat(s->dirfd, tmp, 0) < 0 && errno != ENOENT)
		return sys(reterr, s, tmp, "remove");
	fd = openat(s->dirfd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sys(reterr, s, tmp, "create");
	if (replace(s, tmp, name, fd, &b) < 0) {
		(void)sys(reterr, s, name, "write");
		(void)unlinkat(s->dirfd, tmp, 0);
		return -1;
	}
	if (sync_fd(s->dirfd) < 0)
		return sys(reterr, s, name, "make it durable");
	return 0;
}
