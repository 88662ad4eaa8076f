#include "privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

void
privileges_harden(void)
{
	struct rlimit none = { 0, 0 };
	struct rlimit files;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

void
privileges_allow_lock(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (geteuid() == 0)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
}

static bool
may_lock_without_limit(void)
{
	struct __user_cap_header_struct who = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    limit.rlim_max == RLIM_INFINITY) {
		limit.rlim_cur = RLIM_INFINITY;
		if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
			return true;
	}
	return syscall(SYS_capget, &who, has) == 0 &&
	       (has[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &
		   CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

int
privileges_lock_memory(struct diag *reterr)
{
	if (!may_lock_without_limit())
		return diag_set(reterr, DIAG_CONFIG,
		    "secrets may reach the swap space: locked memory is "
		    "limited (ulimit -l): LimitMEMLOCK=infinity in the "
		    "unit, --ulimit memlock=-1 for a container, or encrypted "
		    "swap, or none");
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "secrets may reach the swap space: mlockall: %s: "
		    "encrypt swap, or have none",
		    strerror(errno));
	return 0;
}

static const struct passwd *
find_user(const char *user, struct diag *reterr)
{
	const struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		(void)diag_set(reterr, DIAG_CONFIG,
		    "there is no user %s%s%s: useradd --system "
		    "--no-create-home --shell /usr/sbin/nologin %s",
		    user, errno != 0 ? ": " : "",
		    errno != 0 ? strerror(errno) : "", user);
	return pw;
}

static int
sync_dir(const char *dir)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* One that we may not read is no reason to fail. */
	if (fd < 0)
		return errno == EACCES ? 0 : -1;
	return fsync(fd);
}

/* Whose a new directory is, then its name: only so they survive a power cut. */
static int
sync_new(const char *dir)
{
	char parent[PATH_MAX];

	(void)snprintf(parent, sizeof(parent), "%s", dir);
	return sync_dir(dir) < 0 ? -1 : sync_dir(dirname(parent));
}

static bool
is_empty(int dirfd)
{
	auto_close int fd = openat(dirfd, ".", O_RDONLY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	bool empty = d != NULL;

	if (d == NULL)
		return false;
	(void)take_fd(&fd); /* closedir() closes it */
	while (empty && (e = readdir(d)) != NULL)
		empty =
		    strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	(void)closedir(d);
	return empty;
}

/*
 * 1: *ret is a directory of root's with nothing in it; 0: it is another one,
 * or none at all; -1 with errno: there is nothing.  No link is followed, since
 * the directory above may be somebody else's.
 */
static int
open_left_over(const char *dir, int *ret)
{
	auto_close int fd =
	    open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -1 : 0;
	if (fstat(fd, &st) < 0 || st.st_uid != 0 || !is_empty(fd))
		return 0;
	*ret = take_fd(&fd);
	return 1;
}

static int
make_failed(const char *dir, struct diag *reterr)
{
	int e = errno;

	return diag_set(reterr,
	    e == ENOSPC || e == EDQUOT || e == EIO ? DIAG_RETRY : DIAG_CONFIG,
	    "state directory %s: %s", dir, strerror(e));
}

int
privileges_state_dir(const char *dir, const char *user, struct diag *reterr)
{
	const struct passwd *pw;
	struct diag why = DIAG_INIT;
	auto_close int fd = -1;
	int rc;

	/* An empty one of root's is left over if we are killed below. */
	if (geteuid() != 0 || (rc = open_left_over(dir, &fd)) == 0)
		return 0;
	if ((pw = find_user(user, &why)) == NULL && rc > 0)
		return 0;
	if (pw == NULL) {
		*reterr = why;
		return -1;
	}
	if (rc < 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return make_failed(dir, reterr);
	if (rc < 0 && (rc = open_left_over(dir, &fd)) <= 0)
		return rc < 0 ? make_failed(dir, reterr) : 0;
	if (fchown(fd, pw->pw_uid, pw->pw_gid) < 0 || sync_new(dir) < 0)
		return make_failed(dir, reterr);
	return 0;
}

/* What no program that we start could be given again. */
static void
drop_bounds(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap);
}

int
privileges_drop(const char *user, struct diag *reterr)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	if ((pw = find_user(user, reterr)) == NULL)
		return -1;
	if (pw->pw_uid != 0)
		drop_bounds();
	if (initgroups(user, pw->pw_gid) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "cannot become user %s: %s", user, strerror(errno));
	if (pw->pw_uid != 0 && setuid(0) == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "cannot give up root for user %s", user);
	return 0;
}

int
privileges_own_dir(const char *dir, struct diag *reterr)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return diag_set(
		    reterr, DIAG_CONFIG, "state_dir: the path is too long");
	for (char *p = path + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(path, 0700) == 0)
			(void)sync_new(path);
	}
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ?
			   0 :
			   diag_set(reterr, DIAG_CONFIG,
			       "%s: %s: make it (mode 0700), or set state_dir",
			       path, strerror(errno));
	return sync_new(path) == 0 ? 0 : make_failed(path, reterr);
}
