#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "owned_file.h"
#include "regfile.h"
#include "sealed_grant.h"
#include "state_dir.h"
#include "wire.h"

#define NAME_MAX_    (WIRE_ACCOUNT_MAX + sizeof("..grant.new"))
#define LOCK_POLL_MS 50
#define ROOM_BYTES   32768 /* several times what a grant takes */

/* Of a file in the directory. */
static int
sys(struct diag *reterr, const struct store *s, const char *name,
    const char *doing)
{
	return state_dir_failed(s->dir, s->uid, s->gid, name, doing, reterr);
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
		    "%s: there is no such directory; make it for the agent's "
		    "user, run: install -d -m 700 -o USER %s",
		    dir, dir);
	if (fd < 0)
		return diag_set(reterr,
		    errno == EMFILE || errno == ENFILE || errno == EIO ?
			DIAG_RETRY :
			DIAG_CONFIG,
		    "%s: cannot open the state directory: %s", dir,
		    strerror(errno));
	if (state_dir_check(dir, fd, &st, reterr) < 0)
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
	if (s->ring != NULL)
		keyring_close(s->ring);
	free(s->ring);
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

static struct owned_dir
directory(const struct store *s)
{
	return (struct owned_dir){ s->dirfd, s->uid, s->gid };
}

int
store_lock(const struct store *s, const char *account, struct store_lock *ret,
    struct diag *reterr)
{
	const struct owned_dir dir = directory(s);
	char name[NAME_MAX_], grant[NAME_MAX_];
	auto_close int fd = -1;
	int rc;

	ret->busy = false;
	if (file_name(name, "", account, ".lock", reterr) < 0 ||
	    file_name(grant, "", account, ".grant", reterr) < 0)
		return -1;
	rc = owned_file_lock(&dir, name, O_RDWR | O_CREAT, &fd);
	/* Tokens can be had, if not kept, while nothing can be written. */
	if (rc < 0 && errno == EROFS &&
	    (rc = owned_file_lock(&dir, name, O_RDONLY, &fd)) < 0)
		errno = EROFS;
	if (rc < 0)
		return sys(reterr, s, name, "lock");
	/* One that cannot be opened cannot be renewed: who reads it says so. */
	if (rc > 0)
		rc = owned_file_lock(&dir, grant, O_RDONLY, &ret->grant);
	if (rc != 0) {
		ret->fd = take_fd(&fd);
		return 0;
	}
	ret->busy = true;
	return diag_set(reterr, DIAG_RETRY,
	    "%s/%s: another process is renewing this account and holds the "
	    "lock",
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
	if (l->room >= 0)
		(void)close(l->room);
	if (l->grant >= 0)
		(void)close(l->grant);
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
		    "%s/%s: belongs to uid %u; run: chown %u:%u %s/%s", s->dir,
		    name, (unsigned)st.st_uid, (unsigned)s->uid,
		    (unsigned)s->gid, s->dir, name);
	if ((st.st_mode & 077) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: mode is %04o, others can use it; run: chmod 600 "
		    "%s/%s",
		    s->dir, name, (unsigned)(st.st_mode & 07777), s->dir, name);
	if (st.st_size > SEALED_MAX_BYTES)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s/%s: is damaged: larger than %d bytes", s->dir, name,
		    SEALED_MAX_BYTES);
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

/* 1, 0 (there is none), or -1 with *reterr. */
static int
open_grant(
    const struct store *s, const char *name, int *ret, struct diag *reterr)
{
	auto_close int fd = openat(
	    s->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return sys(reterr, s, name, "open");
	if (file_check(s, name, fd, reterr) < 0)
		return -1;
	*ret = take_fd(&fd);
	return 1;
}

/* The key may have come after we had read the keys. */
static int
find_key(const struct store *s, const struct sealed_line *line,
    const struct secret **ret, struct diag *reterr)
{
	if (s->ring == NULL || s->ring->path == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "is sealed, with key %s, but seal_key is none; set it to "
		    "that key's file",
		    line->key);
	*ret = keyring_find(s->ring, line->key);
	if (*ret == NULL && keyring_follow(s->ring, reterr) < 0)
		return -1;
	if (*ret == NULL)
		*ret = keyring_find(s->ring, line->key);
	if (*ret == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "is sealed with key %s, which is not in %s; put that key "
		    "back, as a line more, or move the file away and log the "
		    "account in again",
		    line->key, s->ring->path);
	return 0;
}

static int
parse(const struct store *s, struct buf *b, const char *account,
    struct grant *ret, struct diag *reterr)
{
	const struct secret *key = NULL;
	struct sealed_line line;
	int rc = sealed_grant_line(b->ptr, b->len, &line, reterr);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return grant_parse(b->ptr, b->len, account, ret, reterr);
	if (find_key(s, &line, &key, reterr) < 0)
		return -1;
	return sealed_grant_parse(
	    key, &line, b->ptr, b->len, account, ret, reterr);
}

int
store_read(const struct store *s, const char *account, struct grant *ret,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(SEALED_MAX_BYTES + 2 * 16384);
	auto_close int fd = -1;
	char name[NAME_MAX_];
	int rc;

	if (file_name(name, "", account, ".grant", reterr) < 0)
		return -1;
	if ((rc = open_grant(s, name, &fd, reterr)) < 0)
		return -1;
	if (rc == 0) {
		grant_wipe(ret);
		return 0;
	}
	if (read_all(fd, &b) < 0)
		return sys(reterr, s, name, "read");
	if (parse(s, &b, account, ret, reterr) < 0)
		return diag_wrap(reterr, "%s/%s", s->dir, name);
	return 1;
}

int
store_key_of(const struct store *s, const char *account,
    char ret[static SEAL_ID_LEN + 1], struct diag *reterr)
{
	char name[NAME_MAX_], text[SEALED_LINE_MAX];
	struct sealed_line line;
	auto_close int fd = -1;
	ssize_t n;
	int rc;

	*ret = '\0';
	if (file_name(name, "", account, ".grant", reterr) < 0)
		return -1;
	if ((rc = open_grant(s, name, &fd, reterr)) <= 0)
		return rc;
	do
		n = read(fd, text, sizeof(text));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return sys(reterr, s, name, "read");
	rc = sealed_grant_line(text, (size_t)n, &line, reterr);
	if (rc < 0)
		return diag_wrap(reterr, "%s/%s", s->dir, name);
	if (rc > 0)
		memcpy(ret, line.key, sizeof(line.key));
	secret_erase(text, sizeof(text)); /* of version 1 */
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

/*
 * The order matters: a name must never stand for half a grant, nor for one
 * that is not locked.
 */
static int
replace(const struct store *s, const char *tmp, const char *name, int fd,
    const struct buf *b)
{
	const struct owned_dir dir = directory(s);

	if (owned_file_give(&dir, fd) < 0 || fchmod(fd, 0600) < 0 ||
	    regfile_write(fd, b->ptr, b->len) < 0 ||
	    ftruncate(fd, (off_t)b->len) < 0 || sync_fd(fd) < 0)
		return -1;
	(void)flock(fd, LOCK_EX | LOCK_NB); /* nobody else knows it */
	return renameat(s->dirfd, tmp, s->dirfd, name);
}

/*
 * Follows the key's file.  The key of the grant that is there must be among
 * those, also if a look before has brought them: who has given others may want
 * it back, and could read nothing that was sealed with them meanwhile.
 */
static int
check_key(const struct store *s, const char *account, struct diag *reterr)
{
	struct keyring *k = s->ring;
	char id[SEAL_ID_LEN + 1];

	if (k == NULL || k->path == NULL)
		return 0;
	if (keyring_follow(k, reterr) < 0)
		return -1;
	if (k->n == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: there is no seal key yet; run as root: mailtoken "
		    "rekey",
		    k->path);
	if (store_key_of(s, account, id, reterr) < 0)
		return -1;
	if (*id != '\0' && keyring_find(k, id) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: no longer has key %s, with which %s is sealed; put "
		    "that key back, as a line more",
		    k->path, id, account);
	return 0;
}

/*
 * What the file is to be, sealed with the newest key there is: who changes
 * the key relies on that, once it has had the account's lock.
 */
static int
format(const struct store *s, const char *account, const struct grant *g,
    struct buf *b, struct diag *reterr)
{
	struct keyring *k = s->ring;

	if (k == NULL || k->path == NULL)
		return grant_format(b, account, g, reterr);
	if (check_key(s, account, reterr) < 0)
		return -1;
	keyring_settle(k);
	return sealed_grant_format(
	    &k->item[0].key, k->item[0].id, b, account, g, reterr);
}

/* Left over from a crash: we hold the lock, so nobody writes it. */
static int
create(const struct store *s, const char *tmp, struct diag *reterr)
{
	const struct owned_dir dir = directory(s);
	int fd;

	if (unlinkat(s->dirfd, tmp, 0) < 0 && errno != ENOENT)
		return sys(reterr, s, tmp, "remove");
	fd = owned_file_open(&dir, tmp, O_WRONLY | O_CREAT | O_EXCL);
	return fd >= 0 ? fd : sys(reterr, s, tmp, "create");
}

int
store_reserve(const struct store *s, struct store_lock *l, const char *account,
    struct diag *reterr)
{
	char tmp[NAME_MAX_];
	int e;

	store_unreserve(s, l, account);
	if (check_key(s, account, reterr) < 0 ||
	    file_name(tmp, ".", account, ".grant.new", reterr) < 0 ||
	    (l->room = create(s, tmp, reterr)) < 0)
		return -1;
	e = posix_fallocate(l->room, 0, ROOM_BYTES);
	if (e == 0 || e == EOPNOTSUPP || e == EINVAL) /* it cannot promise */
		return 0;
	store_unreserve(s, l, account);
	errno = e;
	return sys(reterr, s, tmp, "write");
}

void
store_unreserve(
    const struct store *s, struct store_lock *l, const char *account)
{
	struct diag ignored = DIAG_INIT;
	auto_close int fd = take_fd(&l->room);
	char tmp[NAME_MAX_];

	if (fd >= 0 &&
	    file_name(tmp, ".", account, ".grant.new", &ignored) == 0 &&
	    regfile_is(fd, s->dirfd, tmp))
		(void)unlinkat(s->dirfd, tmp, 0);
}

int
store_write(const struct store *s, struct store_lock *l, const char *account,
    const struct grant *g, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(SEALED_MAX_BYTES);
	auto_close int fd = -1;
	char name[NAME_MAX_], tmp[NAME_MAX_];

	if (l->fd < 0)
		return diag_set(reterr, DIAG_CONFIG, "%s: not locked", account);
	if (file_name(name, "", account, ".grant", reterr) < 0 ||
	    file_name(tmp, ".", account, ".grant.new", reterr) < 0 ||
	    format(s, account, g, &b, reterr) < 0)
		return -1;
	if (l->room >= 0 && regfile_is(l->room, s->dirfd, tmp))
		fd = take_fd(&l->room);
	else if ((fd = create(s, tmp, reterr)) < 0)
		return -1;
	if (replace(s, tmp, name, fd, &b) < 0) {
		(void)sys(reterr, s, name, "write");
		(void)unlinkat(s->dirfd, tmp, 0);
		return -1;
	}
	if (l->grant >= 0)
		(void)close(l->grant);
	l->grant = take_fd(&fd);
	if (sync_fd(s->dirfd) < 0)
		return sys(reterr, s, name, "make it durable");
	return 0;
}
