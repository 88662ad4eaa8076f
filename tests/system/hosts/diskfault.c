/*
 * diskfault.c - preloaded: a disk that fails on order.
 *
 * Counts the calls that change what is below one directory, strikes at the
 * n-th of them, and keeps a journal of what they did, from which
 * lab/diskfault.py tells what a power cut would have left.
 *
 *   DISKFAULT_DIRECTORY  what is below it counts, but for descriptors 0 to 2
 *   DISKFAULT_ORDER      struct order, mapped by the test, too
 *   DISKFAULT_JOURNAL    is appended to
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is exported in place of libc's. */
#define REPLACES __attribute__((visibility("default")))
#define HIGH	 600 /* our descriptor, out of everybody's way */

/* What strikes; else an errno. */
enum {
	DIE_BEFORE = -1,
	DIE_AFTER = -2,
	SHORT = -3,	 /* a write takes half of what it is given */
	SHORT_FULL = -4, /* the same, and then there is no room */
};

/* What a call needs: a full disk can still be changed. */
enum { ROOM, CHANGE, SYNC };

struct order {
	int32_t at; /* the call; 0: none */
	int32_t what;
	int32_t stays; /* so for all that come after */
	int32_t count;
	int32_t struck;
};

static struct {
	char directory[PATH_MAX - 256];
	size_t n;
	struct order *order;
	int journal;
} lab = { .journal = -1 };

__attribute__((constructor)) static void
begin(void)
{
	const char *directory = getenv("DISKFAULT_DIRECTORY");
	const char *order = getenv("DISKFAULT_ORDER");
	const char *journal = getenv("DISKFAULT_JOURNAL");
	int fd, log;

	if (directory == NULL || order == NULL || journal == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, order, O_RDWR | O_CLOEXEC);
	log = (int)syscall(
	    SYS_openat, AT_FDCWD, journal, O_WRONLY | O_APPEND | O_CLOEXEC);
	lab.journal = fcntl(log, F_DUPFD_CLOEXEC, HIGH);
	lab.order = mmap(NULL, sizeof(*lab.order), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (lab.order == MAP_FAILED || lab.journal < 0)
		abort();
	(void)close(fd);
	(void)close(log);
	(void)snprintf(lab.directory, sizeof(lab.directory), "%s", directory);
	lab.n = strlen(lab.directory);
}

static bool
below(const char *path)
{
	return lab.n > 0 && strncmp(path, lab.directory, lab.n) == 0 &&
	       (path[lab.n] == '/' || path[lab.n] == '\0');
}

/* Where a descriptor leads; false: not below the directory. */
static bool
path_of(int fd, char path[static PATH_MAX])
{
	char link[64];
	ssize_t n;
	int e = errno;

	if (lab.n == 0 || fd <= STDERR_FILENO || fd == lab.journal)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	errno = e;
	if (n < 0)
		return false;
	path[n] = '\0';
	return below(path);
}

static bool
path_at(int dirfd, const char *name, char path[static PATH_MAX])
{
	char directory[PATH_MAX];
	int n;

	if (lab.n == 0)
		return false;
	if (*name == '/' || dirfd == AT_FDCWD)
		n = snprintf(path, PATH_MAX, "%s", name);
	else if (path_of(dirfd, directory))
		n = snprintf(path, PATH_MAX, "%s/%s", directory, name);
	else
		return false;
	return n > 0 && n < PATH_MAX && below(path);
}

/* A line of the journal; whole, even if we are killed. */
__attribute__((format(printf, 1, 2))) static void
note(const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;
	int n, e = errno;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0 || syscall(SYS_write, lab.journal, line, (size_t)n) != n)
		abort();
	free(line);
	errno = e;
}

static void
die(void)
{
	(void)syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

static bool
concerns(int what, int needs)
{
	if (what == ENOSPC || what == EDQUOT)
		return needs == ROOM;
	return what != EROFS || needs != SYNC;
}

/* Counts a call; what it is to suffer, or 0. */
static int
strike(int needs)
{
	struct order *o = lab.order;
	bool hit;

	o->count++;
	hit = o->count == o->at || (o->stays && o->count > o->at);
	if (o->at == 0 || !hit || (o->stays && !concerns(o->what, needs)))
		return 0;
	o->struck += o->what > SHORT; /* the others: if it is a write */
	if (o->what == DIE_BEFORE)
		die();
	return o->what;
}

/* Fails as ordered: true, and errno. */
static bool
fails(int struck)
{
	if (struck <= 0)
		return false;
	errno = struck;
	return true;
}

static void
ended(int struck)
{
	if (struck == DIE_AFTER)
		die();
}

static uintmax_t
inode_of(int fd)
{
	struct stat st = { 0 };

	(void)fstat(fd, &st);
	return st.st_ino;
}

static void
note_new(const char *op, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		note("%s\t%ju\t%s\t%o\t%u\t%u\n", op, (uintmax_t)st.st_ino,
		    path, (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
		    (unsigned)st.st_gid);
}

static int
open_counted(int dirfd, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool counts = (flags & O_CREAT) != 0 && path_at(dirfd, name, path);
	bool there = counts && lstat(path, &st) == 0;
	int struck = counts ? strike(there ? CHANGE : ROOM) : 0;
	int fd;

	if (fails(struck))
		return -1;
	fd = (int)syscall(SYS_openat, dirfd, name, flags, mode);
	if (counts && fd >= 0 && !there)
		note_new("create", path);
	ended(struck);
	return fd;
}

/* As libc has it where off_t has 64 bits anyway. */
#define ALIAS(name, of) \
	REPLACES extern __typeof__(of) name __attribute__((alias(#of)))
_Static_assert(sizeof(off_t) == sizeof(off64_t), "aliases would be wrong");

REPLACES int
openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_counted(dirfd, path, flags, mode);
}
ALIAS(openat64, openat);

REPLACES int
open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_counted(AT_FDCWD, path, flags, mode);
}
ALIAS(open64, open);
static void
note_bytes(int fd, off_t at, const unsigned char *p, size_t n)
{
	char *hex = malloc(2 * n + 1);

	if (hex == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		(void)sprintf(hex + 2 * i, "%02x", p[i]);
	hex[2 * n] = '\0';
	note("write\t%ju\t%jd\t%s\n", inode_of(fd), (intmax_t)at, hex);
	free(hex);
}

/* at is negative: where the descriptor stands. */
static ssize_t
write_counted(int fd, const void *p, size_t n, off_t at)
{
	off_t begins = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
	struct stat st = { 0 };
	ssize_t done;
	int struck;

	/* What is allocated can be written even if the disk is full. */
	(void)fstat(fd, &st);
	struck = strike(begins + (off_t)n <= st.st_size ? CHANGE : ROOM);
	if (fails(struck))
		return -1;
	if ((struck == SHORT || struck == SHORT_FULL) && n > 1) {
		n /= 2;
		lab.order->struck++;
	}
	if (struck == SHORT_FULL)
		*lab.order = (struct order){ lab.order->count + 1, ENOSPC, 1,
			lab.order->count, 1 };
	done = at < 0 ? syscall(SYS_write, fd, p, n) :
			syscall(SYS_pwrite64, fd, p, n, at);
	if (done > 0)
		note_bytes(fd, begins, p, (size_t)done);
	ended(struck);
	return done;
}

REPLACES ssize_t
write(int fd, const void *p, size_t n)
{
	char path[PATH_MAX];

	return path_of(fd, path) ? write_counted(fd, p, n, -1) :
				   syscall(SYS_write, fd, p, n);
}

REPLACES ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	char path[PATH_MAX];

	return path_of(fd, path) ? write_counted(fd, p, n, at) :
				   syscall(SYS_pwrite64, fd, p, n, at);
}

ALIAS(pwrite64, pwrite);

/* One after another: who calls it must bear that it takes less. */
REPLACES ssize_t
writev(int fd, const struct iovec *v, int n)
{
	char path[PATH_MAX];

	if (!path_of(fd, path))
		return syscall(SYS_writev, fd, v, n);
	while (n > 1 && v->iov_len == 0)
		v++, n--;
	return n > 0 ? write_counted(fd, v->iov_base, v->iov_len, -1) : 0;
}

/* Counts and makes a call that returns 0 or -1; notes what it has done. */
#define MAKE(counts, needs, call, noting)                  \
	do {                                               \
		bool counts_ = (counts);                   \
		int struck_ = counts_ ? strike(needs) : 0; \
		int rc_;                                   \
		if (fails(struck_))                        \
			return -1;                         \
		rc_ = (int)(call);                         \
		if (counts_ && rc_ == 0)                   \
			noting;                            \
		ended(struck_);                            \
		return rc_;                                \
	} while (0)

static void
note_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		note("size\t%ju\t%jd\n", (uintmax_t)st.st_ino,
		    (intmax_t)st.st_size);
}

REPLACES int
ftruncate(int fd, off_t n)
{
	char path[PATH_MAX];

	MAKE(path_of(fd, path), CHANGE, syscall(SYS_ftruncate, fd, n),
	    note_size(fd));
}
ALIAS(ftruncate64, ftruncate);

/* Returns the error instead of setting it. */
REPLACES int
posix_fallocate(int fd, off_t at, off_t n)
{
	static __typeof__(posix_fallocate) *real;
	char path[PATH_MAX];
	bool counts = path_of(fd, path);
	int struck = counts ? strike(ROOM) : 0, rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "posix_fallocate");
	if (struck > 0)
		return struck;
	rc = real(fd, at, n);
	if (counts && rc == 0)
		note_size(fd);
	ended(struck);
	return rc;
}
ALIAS(posix_fallocate64, posix_fallocate);

REPLACES int
fsync(int fd)
{
	char path[PATH_MAX];

	MAKE(path_of(fd, path), SYNC, syscall(SYS_fsync, fd),
	    note("sync\t%ju\t%s\n", inode_of(fd), path));
}
ALIAS(fdatasync, fsync);

static void
note_owner(int fd, const char *path)
{
	struct stat st;

	if (path != NULL ? stat(path, &st) == 0 : fstat(fd, &st) == 0)
		note("owner\t%ju\t%u\t%u\n", (uintmax_t)st.st_ino,
		    (unsigned)st.st_uid, (unsigned)st.st_gid);
}

REPLACES int
fchmod(int fd, mode_t mode)
{
	char path[PATH_MAX];

	MAKE(path_of(fd, path), CHANGE, syscall(SYS_fchmod, fd, mode),
	    note("mode\t%ju\t%o\n", inode_of(fd), (unsigned)mode));
}

REPLACES int
fchown(int fd, uid_t uid, gid_t gid)
{
	char path[PATH_MAX];

	MAKE(path_of(fd, path), CHANGE, syscall(SYS_fchown, fd, uid, gid),
	    note_owner(fd, NULL));
}

REPLACES int
chown(const char *name, uid_t uid, gid_t gid)
{
	char path[PATH_MAX];

	MAKE(path_at(AT_FDCWD, name, path), CHANGE,
	    syscall(SYS_fchownat, AT_FDCWD, name, uid, gid, 0),
	    note_owner(-1, path));
}

REPLACES int
renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	char path_a[PATH_MAX], path_b[PATH_MAX];

	MAKE(path_at(from, a, path_a) && path_at(to, b, path_b), CHANGE,
	    syscall(SYS_renameat2, from, a, to, b, flags),
	    note("rename\t%s\t%s\n", path_a, path_b));
}

REPLACES int
renameat(int from, const char *a, int to, const char *b)
{
	return renameat2(from, a, to, b, 0);
}

REPLACES int
rename(const char *a, const char *b)
{
	return renameat2(AT_FDCWD, a, AT_FDCWD, b, 0);
}

REPLACES int
unlinkat(int dirfd, const char *name, int flags)
{
	char path[PATH_MAX];

	MAKE(path_at(dirfd, name, path), CHANGE,
	    syscall(SYS_unlinkat, dirfd, name, flags),
	    note("unlink\t%s\n", path));
}

REPLACES int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

REPLACES int
rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

REPLACES int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	char path[PATH_MAX];

	MAKE(path_at(dirfd, name, path), ROOM,
	    syscall(SYS_mkdirat, dirfd, name, mode), note_new("mkdir", path));
}

REPLACES int
mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}
