#include "keyring.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"

#define FILE_MAX 4096
#define HEX_LEN	 (2 * SEAL_KEY_BYTES)
/* Where root finds what systemd has given to the agent. */
#define AGENT_CREDENTIALS "/run/credentials/mailtokend.service"

static void
empty(struct keyring *k)
{
	for (size_t i = 0; i < KEYRING_MAX; i++) {
		secret_wipe(&k->item[i].key);
		*k->item[i].id = '\0';
	}
	k->n = 0;
}

void
keyring_close(struct keyring *k)
{
	empty(k);
	free(k->path);
	*k = (struct keyring)KEYRING_INIT;
}

const struct secret *
keyring_find(const struct keyring *k, const char *id)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->item[i].id, id) == 0)
			return &k->item[i].key;
	return NULL;
}

/* -1: no digit. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes the line's key in; false: it is none. */
static bool
take_line(struct keyring *k, const char *line, size_t n, struct diag *reterr)
{
	char key[SEAL_KEY_BYTES];
	bool ok = n == HEX_LEN && k->n < KEYRING_MAX;

	for (size_t i = 0; ok && i < SEAL_KEY_BYTES; i++) {
		int high = digit(line[2 * i]), low = digit(line[2 * i + 1]);

		ok = high >= 0 && low >= 0;
		key[i] = (char)(high * 16 + low);
	}
	if (ok && (!secret_set(&k->item[k->n].key, key, sizeof(key)) ||
		      seal_key_id(
			  &k->item[k->n].key, k->item[k->n].id, reterr) < 0)) {
		(void)diag_nomem(reterr);
		ok = false;
	}
	secret_erase(key, sizeof(key));
	if (ok)
		k->n++;
	return ok;
}

static int
take_lines(struct keyring *k, const struct buf *b, struct diag *reterr)
{
	unsigned number = 1;

	for (size_t at = 0; at < b->len; number++) {
		const char *line = b->ptr + at;
		const char *end = memchr(line, '\n', b->len - at);
		size_t n = end != NULL ? (size_t)(end - line) : b->len - at;

		at += n + 1;
		if (n > 0 && line[n - 1] == '\r')
			n--;
		if (n == 0 || *line == '#')
			continue;
		if (!take_line(k, line, n, reterr))
			return reterr->kind == DIAG_NOMEM ?
				   -1 :
				   diag_set(reterr, DIAG_CONFIG,
				       "%s:%u: is no key, which has %d "
				       "hexadecimal digits, or one more than "
				       "%d; put back what was there",
				       k->path, number, HEX_LEN, KEYRING_MAX);
	}
	if (k->n > 0)
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: has no key in it; put back what was there", k->path);
}

static int
check_access(
    const struct keyring *k, const struct stat *st, struct diag *reterr)
{
	if (k->credential)
		return 0;
	if ((st->st_mode & 037) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: mode %04o lets others use it; run: chmod 640 %s",
		    k->path, (unsigned)(st->st_mode & 07777), k->path);
	if (st->st_uid != 0 && st->st_uid != geteuid() &&
	    st->st_uid != k->owner)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: belongs to uid %u, who can change it; run: chown root "
		    "%s",
		    k->path, (unsigned)st->st_uid, k->path);
	return 0;
}

/* 1, or 0 if there is no such file; *k has no keys before. */
static int
load(struct keyring *k, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX + 2);
	struct diag why = DIAG_INIT;
	struct stat st;
	auto_close int fd = regfile_open(k->path,
	    "let it belong to root and the agent's group, mode 0640", &st,
	    &why);

	if (fd < 0 && access(k->path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || check_access(k, &st, &why) < 0 ||
	    regfile_slurp(fd, k->path, FILE_MAX, &b, &why) < 0 ||
	    take_lines(k, &b, &why) < 0) {
		*reterr = why;
		empty(k);
		return -1;
	}
	k->seen = st;
	k->settled = false;
	return 1;
}

/* Where a credential is; NULL: no memory. */
static char *
credential_path(const char *name)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (dir == NULL)
		dir = AGENT_CREDENTIALS;
	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

int
keyring_open(struct keyring *k, const struct secret_ref *ref, uid_t owner,
    struct diag *reterr)
{
	*k = (struct keyring)KEYRING_INIT;
	if (ref->kind == SECRET_REF_NONE)
		return 0;
	k->owner = owner;
	k->credential = ref->kind == SECRET_REF_CREDENTIAL;
	k->given = k->credential || strncmp(ref->name, "/run/", 5) == 0;
	k->path =
	    k->credential ? credential_path(ref->name) : strdup(ref->name);
	if (k->path == NULL)
		return diag_nomem(reterr);
	if (load(k, reterr) >= 0)
		return 0;
	keyring_close(k);
	return -1;
}

/* The keys of one ring become the other's. */
static void
exchange_keys(struct keyring *k, struct keyring *next)
{
	empty(k);
	memcpy(k->item, next->item, sizeof(k->item));
	k->n = next->n;
	k->seen = next->seen;
	k->settled = next->settled;
	memset(next->item, 0, sizeof(next->item));
	next->n = 0;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int
keyring_follow(struct keyring *k, struct diag *reterr)
{
	struct keyring next = KEYRING_INIT;
	struct stat st;
	int rc;

	if (k->path == NULL || stat(k->path, &st) < 0 ||
	    (k->n > 0 && same_file(&st, &k->seen)))
		return 0;
	next.path = k->path; /* borrowed */
	next.credential = k->credential;
	next.owner = k->owner;
	rc = load(&next, reterr);
	if (rc > 0)
		exchange_keys(k, &next);
	empty(&next);
	return rc;
}

/* Of the file itself, where a link leads. */
static int
open_dir(const char *path, char name[static NAME_MAX + 1])
{
	auto_free char *real = realpath(path, NULL);
	auto_free char *copy = NULL;
	const char *base;

	if (real == NULL && errno == ENOENT)
		real = strdup(path);
	if (real == NULL || (copy = strdup(real)) == NULL)
		return -1;
	base = strrchr(real, '/');
	base = base != NULL ? base + 1 : real;
	if (strlen(base) > NAME_MAX - sizeof("..new")) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, base, strlen(base) + 1);
	return open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void
keyring_settle(struct keyring *k)
{
	char name[NAME_MAX + 1];
	auto_close int dirfd = -1;

	if (k->settled || k->path == NULL || k->given)
		return;
	/* A directory that we may not read is synced by who has made it. */
	dirfd = open_dir(k->path, name);
	if (dirfd >= 0)
		(void)fsync(dirfd);
	k->settled = true;
}

static int
sys(const struct keyring *k, const char *doing, struct diag *reterr)
{
	int e = errno;

	if (e == ENOMEM)
		return diag_nomem(reterr);
	return diag_set(reterr,
	    e == ENOSPC || e == EDQUOT || e == EIO ? DIAG_RETRY : DIAG_CONFIG,
	    "%s: cannot %s the seal key: %s%s", k->path, doing, strerror(e),
	    e == EACCES || e == EPERM ?
		"; run as root: mailtoken rekey" :
	    e == ENOSPC || e == EDQUOT ?
		"; make room on that file system" :
	    e == EROFS || e == ENOENT ?
		"; set seal_key to a path that can be written" :
		"");
}

/* Whose the file is to be, and that it must not be there yet. */
struct place {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	bool create;
};

static void
add_line(struct buf *b, const struct secret *key)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < key->len; i++) {
		unsigned char c = (unsigned char)key->ptr[i];
		const char two[2] = { hex[c >> 4], hex[c & 15] };

		buf_add(b, two, sizeof(two));
	}
	buf_adds(b, "\n");
}

static int
fill(int fd, const struct place *p, const struct buf *b)
{
	if (geteuid() == 0 && fchown(fd, p->uid, p->gid) < 0)
		return -1;
	if (fchmod(fd, p->mode) < 0 || regfile_write(fd, b->ptr, b->len) < 0)
		return -1;
	return fsync(fd);
}

/* New, synced, renamed, and the directory synced: whole or not at all. */
static int
put(const char *path, const struct place *p, const struct buf *b)
{
	char name[NAME_MAX + 1], tmp[NAME_MAX + 1];
	auto_close int dirfd = open_dir(path, name);
	auto_close int fd = -1;
	int rc;

	if (dirfd < 0)
		return -1;
	(void)snprintf(tmp, sizeof(tmp), ".%.*s.new",
	    (int)(sizeof(tmp) - sizeof("..new")), name);
	if (unlinkat(dirfd, tmp, 0) < 0 && errno != ENOENT)
		return -1;
	fd = openat(dirfd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	rc = fill(fd, p, b);
	if (rc == 0)
		rc = p->create ?
			 renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) :
			 renameat(dirfd, tmp, dirfd, name);
	if (rc < 0) {
		int e = errno;

		(void)unlinkat(dirfd, tmp, 0);
		errno = e;
		return -1;
	}
	return fsync(dirfd);
}

/* The file, and then the ring, become what next is, whose keys move. */
static int
become(struct keyring *k, struct keyring *next, const struct place *p,
    const char *doing, struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX);

	for (size_t i = 0; i < next->n; i++)
		add_line(&b, &next->item[i].key);
	if (b.failed)
		return diag_nomem(reterr);
	if (put(k->path, p, &b) < 0)
		return sys(k, doing, reterr);
	if (stat(k->path, &next->seen) < 0)
		return sys(k, doing, reterr);
	next->settled = true;
	exchange_keys(k, next);
	return 0;
}

/* A new one behind those of the ring. */
static int
generate(struct keyring *k, struct diag *reterr)
{
	struct keyring_key *new = &k->item[k->n];
	char bytes[SEAL_KEY_BYTES];
	int rc = seal_random(bytes, sizeof(bytes), reterr);

	if (rc == 0 && !secret_set(&new->key, bytes, sizeof(bytes)))
		rc = diag_nomem(reterr);
	secret_erase(bytes, sizeof(bytes));
	if (rc < 0 || seal_key_id(&new->key, new->id, reterr) < 0)
		return -1;
	k->n++;
	return 0;
}

int
keyring_create(struct keyring *k, gid_t group, struct diag *reterr)
{
	const bool root = geteuid() == 0;
	const struct place p = { geteuid(), group, root ? 0640 : 0600, true };
	struct keyring next = KEYRING_INIT;
	struct diag ignored = DIAG_INIT;
	int rc = generate(&next, reterr);

	if (rc == 0)
		rc = become(k, &next, &p, "make", reterr);
	/* Somebody else's is as good, and may be in use already. */
	if (rc < 0 && load(k, &ignored) > 0)
		rc = 0;
	empty(&next);
	return rc;
}

/* The same keys, to be changed. */
static int
copy(const struct keyring *k, struct keyring *ret, struct diag *reterr)
{
	for (; ret->n < k->n; ret->n++) {
		struct keyring_key *to = &ret->item[ret->n];

		if (!secret_copy(&to->key, &k->item[ret->n].key))
			return diag_nomem(reterr);
		memcpy(to->id, k->item[ret->n].id, sizeof(to->id));
	}
	return 0;
}

/* As it was before: whose it is, and who may read it. */
static int
change(struct keyring *k, int (*how)(struct keyring *next, struct diag *reterr),
    struct diag *reterr)
{
	const struct place p = { k->seen.st_uid, k->seen.st_gid,
		k->seen.st_mode & 0777, false };
	struct keyring next = KEYRING_INIT;
	int rc = copy(k, &next, reterr);

	if (rc == 0)
		rc = how(&next, reterr);
	if (rc == 0)
		rc = become(k, &next, &p, "change", reterr);
	empty(&next);
	return rc;
}

static int
with_new(struct keyring *next, struct diag *reterr)
{
	if (next->n == KEYRING_MAX)
		return diag_set(
		    reterr, DIAG_CONFIG, "the file has too many keys");
	return generate(next, reterr);
}

static int
last_first(struct keyring *next, struct diag *reterr)
{
	struct keyring_key last = next->item[next->n - 1];

	(void)reterr;
	memmove(
	    next->item + 1, next->item, (next->n - 1) * sizeof(next->item[0]));
	next->item[0] = last;
	return 0;
}

static int
first_only(struct keyring *next, struct diag *reterr)
{
	(void)reterr;
	for (; next->n > 1; next->n--)
		secret_wipe(&next->item[next->n - 1].key);
	return 0;
}

int
keyring_add(struct keyring *k, struct diag *reterr)
{
	return change(k, with_new, reterr);
}

int
keyring_turn(struct keyring *k, struct diag *reterr)
{
	return change(k, last_first, reterr);
}

int
keyring_drop(struct keyring *k, struct diag *reterr)
{
	return change(k, first_only, reterr);
}
