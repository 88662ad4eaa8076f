#include "state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "wire.h"

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

int
state_dir_check(const char *dir, int fd, struct stat *st, struct diag *reterr)
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
state_dir_failed(const char *dir, uid_t uid, gid_t gid, const char *name,
    const char *doing, struct diag *reterr)
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
		    dir, name, doing, strerror(e), (unsigned)uid, (unsigned)uid,
		    (unsigned)gid, dir);
	case EROFS:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: cannot %s: %s; the state directory must be "
		    "writable (see ReadWritePaths= if a unit starts this)",
		    dir, name, doing, strerror(e));
	case ELOOP:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: is a symbolic link; put the file itself there", dir,
		    name);
	case EMLINK:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: is another file's second name (a hard link), and "
		    "does not belong to uid %u; remove it",
		    dir, name, (unsigned)uid);
	case EISDIR:
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: cannot %s: %s; move it away", dir, name, doing,
		    strerror(e));
	case ENOENT:
	case ENOTDIR:
		return diag_set(reterr, DIAG_CONFIG, "%s/%s: cannot %s: %s",
		    dir, name, doing, strerror(e));
	case ENOSPC:
	case EDQUOT:
		return diag_set(reterr, DIAG_RETRY,
		    "%s/%s: cannot %s: %s; make room on that file system", dir,
		    name, doing, strerror(e));
	}
	return diag_set(reterr, DIAG_RETRY, "%s/%s: cannot %s: %s", dir, name,
	    doing, strerror(e));
}

/* The account's name that a file's is made of; false: it is no such file. */
static bool
account_of(
    const char *file, const char *end, char ret[static WIRE_ACCOUNT_MAX + 1])
{
	size_t n = strlen(file), tail = strlen(end);

	if (n <= tail || n - tail > WIRE_ACCOUNT_MAX ||
	    strcmp(file + n - tail, end) != 0)
		return false;
	memcpy(ret, file, n - tail);
	ret[n - tail] = '\0';
	return wire_account_ok(ret) || wire_pattern_ok(ret);
}

int
state_dir_each(const char *dir, int dirfd, const char *end,
    int (*each)(void *arg, const char *account), void *arg, struct diag *reterr)
{
	char account[WIRE_ACCOUNT_MAX + 1];
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	int rc = 0;

	if (list == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return diag_set(reterr, DIAG_RETRY, "%s: cannot read it: %s",
		    dir, strerror(errno));
	}
	while (rc == 0 && (e = readdir(list)) != NULL)
		if (account_of(e->d_name, end, account))
			rc = each(arg, account);
	(void)closedir(list);
	return rc;
}
