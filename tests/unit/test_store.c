/* What is on disk, whatever the disk does: docs/STORE.md, by machine. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "sealed_grant.h"
#include "store.h"

#define ACCOUNT "relay@contoso.example"

/* The n-th call that changes the disk fails, writes little, or is the last. */
static struct {
	int at; /* calls until then; negative: never */
	enum {
		FAULT_ERRNO,
		FAULT_SHORT,
		FAULT_DIE_BEFORE,
		FAULT_DIE_AFTER
	} what;
	int err;
	long fs_magic; /* what fstatfs() says; 0: the truth */
} fault = { .at = -1 };

int __real_openat(int dirfd, const char *name, int flags, ...);
int __wrap_openat(int dirfd, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_fstatfs(int fd, struct statfs *ret);
int __wrap_fstatfs(int fd, struct statfs *ret);

/* True: this is the call. */
static bool
strikes(void)
{
	if (fault.at < 0 || fault.at-- > 0)
		return false;
	if (fault.what == FAULT_DIE_BEFORE)
		_exit(9);
	errno = fault.err;
	return true;
}

static int
after(bool struck, int rc)
{
	if (struck && fault.what == FAULT_DIE_AFTER)
		_exit(9);
	return rc;
}

int
__wrap_openat(int dirfd, const char *name, int flags, ...)
{
	mode_t mode = 0600;
	bool now = (flags & O_CREAT) != 0 && strikes();

	if (now && fault.what != FAULT_DIE_AFTER)
		return -1;
	return after(now, __real_openat(dirfd, name, flags, mode));
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	bool now = strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	if (now && fault.what == FAULT_SHORT)
		return __real_write(fd, p, n > 7 ? 7 : n);
	return (ssize_t)after(now, (int)__real_write(fd, p, now ? n / 2 : n));
}

int
__wrap_fsync(int fd)
{
	bool now = strikes();

	if (now && fault.what != FAULT_DIE_AFTER)
		return -1;
	return after(now, __real_fsync(fd));
}

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	bool now = strikes();

	if (now && fault.what != FAULT_DIE_AFTER)
		return -1;
	return after(now, __real_renameat(from, a, to, b));
}

int
__wrap_fstatfs(int fd, struct statfs *ret)
{
	int rc = __real_fstatfs(fd, ret);

	if (fault.fs_magic != 0)
		ret->f_type = fault.fs_magic;
	return rc;
}

struct lab {
	char dir[64];
	struct store s;
};

static int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	fault.at = -1;
	fault.fs_magic = 0;
	strcpy(lab.dir, "/tmp/test_store.XXXXXX");
	if (mkdtemp(lab.dir) == NULL || store_open(&lab.s, lab.dir, &d) < 0)
		return -1;
	*state = &lab;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { ACCOUNT ".grant", ACCOUNT ".lock",
		"." ACCOUNT ".grant.new", "b@example.com.grant",
		"b@example.com.lock" };
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(lab->s.dirfd, names[i], 0);
	store_close(&lab->s);
	return rmdir(lab->dir); /* fails if anything else was left */
}

static void
fill(struct grant *g, int64_t generation, const char *rt, const char *at)
{
	grant_wipe(g);
	g->generation = generation;
	assert_true(secret_set(&g->refresh_token, rt, strlen(rt)));
	assert_true(secret_set(&g->previous_refresh_token, "rt-before", 9));
	assert_true(secret_set(&g->access_token, at, strlen(at)));
	g->obtained_at = 1790000000;
	g->expires_at = 1790003600;
	g->refresh_at = 1790001800;
	g->login_at = 1780000000;
	g->binding = INT64_MAX;
	g->place = INT64_MAX - 1;
	g->previous_place = 1;
}

static int
put(const struct store *s, const struct grant *g, struct diag *d)
{
	struct store_lock l = STORE_LOCK_INIT;
	int rc;

	if (store_lock(s, ACCOUNT, &l, d) < 0)
		return -1;
	rc = store_write(s, &l, ACCOUNT, g, d);
	store_unlock(&l);
	return rc;
}

static void
raw(struct lab *lab, const char *name, const char *text, size_t n, mode_t mode)
{
	auto_close int fd = __real_openat(
	    lab->s.dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void
same(const struct grant *a, const struct grant *b)
{
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->obtained_at, b->obtained_at);
	assert_int_equal(a->expires_at, b->expires_at);
	assert_int_equal(a->refresh_at, b->refresh_at);
	assert_int_equal(a->login_at, b->login_at);
	assert_int_equal(a->binding, b->binding);
	assert_int_equal(a->place, b->place);
	assert_int_equal(a->previous_place, b->previous_place);
	assert_string_equal(a->refresh_token.ptr, b->refresh_token.ptr);
	assert_string_equal(
	    a->previous_refresh_token.ptr, b->previous_refresh_token.ptr);
	assert_string_equal(a->access_token.ptr, b->access_token.ptr);
}

static void
round_trip(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant a = GRANT_INIT, b = GRANT_INIT, c = GRANT_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;

	assert_int_equal(store_read(&lab->s, ACCOUNT, &b, &d), 0);
	fill(&a, 42, "0.AXoA=with=equals", "eyJ0.access");
	assert_int_equal(put(&lab->s, &a, &d), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &b, &d), 1);
	same(&a, &b);
	assert_true(grant_copy(&c, &b));
	same(&a, &c);
	assert_int_equal(fstatat(lab->s.dirfd, ACCOUNT ".grant", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, lab->s.uid);
	/* Back to nothing: an account without tokens is a grant, too. */
	grant_wipe(&a);
	a.generation = 43;
	assert_int_equal(put(&lab->s, &a, &d), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &b, &d), 1);
	assert_int_equal(b.generation, 43);
	assert_true(secret_empty(&b.refresh_token));
}

#define FILE_(more) "version=1\naccount=" ACCOUNT "\ngeneration=7\n" more
static const struct {
	const char *name, *text, *says;
} bad_files[] = {
	{ "empty", "", "is empty" },
	{ "no end", FILE_("refresh_token=x\n"), "cut short" },
	{ "cut in a line", FILE_("refresh_tok"), "cut short" },
	{ "newer", "version=3\naccount=" ACCOUNT "\n\n", "newer mailtoken" },
	{ "newer and unlike", "version=3\n\001\002\n", "newer mailtoken" },
	{ "newer by far", "version=20\n\n", "newer mailtoken" },
	{ "sealed in words only", "version=2\naccount=" ACCOUNT "\n\n",
	    "damaged in its first line" },
	{ "sealed, no key", "version=2 key=0123456789abcdef generation=7\nx",
	    "seal_key is none" },
	{ "newer key", FILE_("colour=red\n\n"), "newer mailtoken" },
	{ "no version", "account=" ACCOUNT "\ngeneration=7\n\n", "version" },
	{ "another's", "version=1\naccount=b@example.com\ngeneration=7\n\n",
	    "another account" },
	{ "nobody's", "version=1\ngeneration=7\n\n", "another account" },
	{ "no generation", "version=1\naccount=" ACCOUNT "\n\n",
	    "'generation' is missing" },
	{ "negative", FILE_("expires_at=-1\n\n"), "'expires_at' is no number" },
	{ "no number", FILE_("login_at=soon\n\n"), "'login_at' is no number" },
	{ "no place", FILE_("place=https\n\n"), "'place' is no number" },
	{ "endless token", FILE_("access_token=t\n\n"),
	    "'expires_at' is miss" },
	{ "trailing bytes", FILE_("\nmore\n\n"), "damaged" },
	{ "key twice", FILE_("login_at=1\nlogin_at=2\n\n"), "damaged" },
	{ "control", FILE_("refresh_token=a\001b\n\n"), "damaged" },
};

static void
refuses_bad_files(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		auto_grant struct grant g = GRANT_INIT;
		struct diag d = DIAG_INIT;
		int rc;

		raw(lab, ACCOUNT ".grant", bad_files[i].text,
		    strlen(bad_files[i].text), 0600);
		g.generation = 99;
		rc = store_read(&lab->s, ACCOUNT, &g, &d);
		if (rc != -1 || d.kind != DIAG_CONFIG ||
		    strstr(d.text, bad_files[i].says) == NULL ||
		    strstr(d.text, ACCOUNT ".grant: ") == NULL)
			fail_msg("%s: %d, %s", bad_files[i].name, rc, d.text);
		assert_int_equal(g.generation, 99); /* untouched */
	}
}

static void
checks_modes_and_kinds(void **state)
{
	struct lab *lab = *state;
	static const char ok[] = FILE_("\n");
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	static char big[SEALED_MAX_BYTES + 1];

	raw(lab, ACCOUNT ".grant", ok, sizeof(ok) - 1, 0640);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), -1);
	assert_non_null(strstr(d.text, "run: chmod 600 "));
	raw(lab, ACCOUNT ".grant", big, sizeof(big), 0600);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), -1);
	assert_non_null(strstr(d.text, "larger than"));
	assert_int_equal(unlinkat(lab->s.dirfd, ACCOUNT ".grant", 0), 0);
	assert_int_equal(
	    symlinkat("/dev/null", lab->s.dirfd, ACCOUNT ".grant"), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), -1);
	assert_non_null(strstr(d.text, "symbolic link"));
	assert_int_equal(unlinkat(lab->s.dirfd, ACCOUNT ".grant", 0), 0);
	assert_int_equal(mkfifoat(lab->s.dirfd, ACCOUNT ".grant", 0600), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), -1);
	assert_non_null(strstr(d.text, "is not a file"));
	assert_int_equal(store_read(&lab->s, "../x", &g, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	if (geteuid() != 0)
		return;
	raw(lab, "b@example.com.grant", ok, sizeof(ok) - 1, 0600);
	assert_int_equal(
	    fchownat(lab->s.dirfd, "b@example.com.grant", 12345, 12345, 0), 0);
	assert_int_equal(store_read(&lab->s, "b@example.com", &g, &d), -1);
	assert_non_null(strstr(d.text, "run: chown "));
}

static void
checks_the_directory(void **state)
{
	struct lab *lab = *state;
	static const long magic[] = { NFS_SUPER_MAGIC, 0x517b, (long)0xff534d42,
		(long)0xfe534d42, 0x00c36400 };
	struct store s = STORE_INIT;
	struct diag d = DIAG_INIT;

	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++) {
		fault.fs_magic = magic[i];
		assert_int_equal(store_open(&s, lab->dir, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, "network file system"));
	}
	fault.fs_magic = 0;
	assert_int_equal(chmod(lab->dir, 0750), 0);
	assert_int_equal(store_open(&s, lab->dir, &d), -1);
	assert_non_null(strstr(d.text, "run: chmod 700 "));
	assert_int_equal(chmod(lab->dir, 0700), 0);
	assert_int_equal(store_open(&s, "/nonexistent/state", &d), -1);
	assert_non_null(strstr(d.text, "install -d -m 700"));
	assert_int_equal(store_open(&s, "/dev/null", &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(s.dirfd, -1);
}

/* What root writes belongs to the agent, the lock included. */
static void
root_gives_away(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(lab->dir, 4711, 4712), 0);
	store_close(&lab->s);
	assert_int_equal(store_open(&lab->s, lab->dir, &d), 0);
	fill(&g, 1, "r", "a");
	assert_int_equal(put(&lab->s, &g, &d), 0);
	assert_int_equal(fstatat(lab->s.dirfd, ACCOUNT ".grant", &st, 0), 0);
	assert_int_equal(st.st_uid, 4711);
	assert_int_equal(st.st_gid, 4712);
	assert_int_equal(fstatat(lab->s.dirfd, ACCOUNT ".lock", &st, 0), 0);
	assert_int_equal(st.st_uid, 4711);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), 1);
}

/* What was reserved becomes the grant, or goes. */
static void
reserves(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT, got = GRANT_INIT;
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;

	assert_int_equal(store_lock(&lab->s, ACCOUNT, &l, &d), 0);
	for (int64_t i = 1; i < 3; i++) {
		assert_int_equal(store_reserve(&lab->s, &l, ACCOUNT, &d), 0);
		fill(&g, i, "rt", "at");
		/* The second one takes a file of its own. */
		assert_int_equal(store_write(&lab->s, &l, ACCOUNT, &g, &d), 0);
		assert_int_equal(l.room, -1);
		assert_int_equal(store_write(&lab->s, &l, ACCOUNT, &g, &d), 0);
		assert_int_equal(store_read(&lab->s, ACCOUNT, &got, &d), 1);
		same(&g, &got);
		assert_int_equal(
		    fstatat(lab->s.dirfd, ACCOUNT ".grant", &st, 0), 0);
		assert_true(st.st_size < 1024);
	}
	assert_int_equal(store_reserve(&lab->s, &l, ACCOUNT, &d), 0);
	store_unreserve(&lab->s, &l, ACCOUNT);
	assert_int_equal(
	    faccessat(lab->s.dirfd, "." ACCOUNT ".grant.new", F_OK, 0), -1);
	fault.at = 0;
	fault.what = FAULT_ERRNO;
	fault.err = EROFS;
	assert_int_equal(store_reserve(&lab->s, &l, ACCOUNT, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_int_equal(l.room, -1);
	store_unlock(&l);
}

/* Every step fails once, in every way; the old grant is there each time. */
static void
survives_failures(void **state)
{
	static const int errs[] = { ENOSPC, EIO, EDQUOT, EROFS, EACCES };
	struct lab *lab = *state;
	auto_grant struct grant old = GRANT_INIT, new = GRANT_INIT,
				got = GRANT_INIT;
	struct diag d = DIAG_INIT;

	fill(&old, 1, "old-rt", "old-at");
	fill(&new, 2, "new-rt", "new-at");
	for (size_t e = 0; e < sizeof(errs) / sizeof(errs[0]); e++) {
		int rc = -1, at;

		assert_int_equal(put(&lab->s, &old, &d), 0);
		for (at = 0; rc != 0 && at < 20; at++) {
			fault.at = at;
			fault.what = FAULT_ERRNO;
			fault.err = errs[e];
			rc = put(&lab->s, &new, &d);
			fault.at = -1;
			/* A lock that is there can be had all the same. */
			if (errs[e] == EROFS && at == 0) {
				assert_int_equal(rc, 0);
				rc = put(&lab->s, &old, &d);
				assert_int_equal(rc, 0);
				rc = -1;
				continue;
			}
			assert_int_equal(
			    store_read(&lab->s, ACCOUNT, &got, &d), 1);
			if (rc == 0)
				break;
			assert_true(
			    d.kind == DIAG_RETRY || d.kind == DIAG_CONFIG);
			assert_non_null(strstr(d.text, lab->dir));
			assert_int_equal(faccessat(lab->s.dirfd,
					     "." ACCOUNT ".grant.new", F_OK, 0),
			    -1);
			/* The last step is the directory's fsync. */
			same(&got, at < 5 ? &old : &new);
		}
		assert_int_equal(
		    at, 6); /* lock open write fsync rename fsync */
		same(&got, &new);
	}
}

static void
survives_short_writes_and_eintr(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant new = GRANT_INIT, got = GRANT_INIT;
	struct diag d = DIAG_INIT;

	fill(&new, 2, "new-rt", "new-at");
	for (int at = 2; at < 12; at++) {
		bool is_write = at == 2;

		fault.at = is_write ? at : 3;
		fault.what = is_write ? FAULT_SHORT : FAULT_ERRNO;
		fault.err = EINTR;
		new.generation = at;
		assert_int_equal(put(&lab->s, &new, &d), 0);
		fault.at = -1;
		assert_int_equal(store_read(&lab->s, ACCOUNT, &got, &d), 1);
		same(&got, &new);
	}
}

/* The process dies before or after each step: the file is old or new. */
static void
survives_crashes(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant old = GRANT_INIT, new = GRANT_INIT,
				got = GRANT_INIT;
	struct diag d = DIAG_INIT;

	fill(&old, 1, "old-rt", "old-at");
	fill(&new, 2, "new-rt", "new-at");
	for (int i = 0; i < 2 * 6; i++) {
		int status, at = i / 2;
		pid_t pid;

		assert_int_equal(put(&lab->s, &old, &d), 0);
		assert_true((pid = fork()) >= 0);
		if (pid == 0) {
			fault.at = at;
			fault.what = i % 2 ? FAULT_DIE_AFTER : FAULT_DIE_BEFORE;
			(void)put(&lab->s, &new, &d);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 9);
		assert_int_equal(store_read(&lab->s, ACCOUNT, &got, &d), 1);
		same(&got, i > 8 ? &new : &old);
		/* And the lock has gone, and nothing is in the way. */
		assert_int_equal(put(&lab->s, &new, &d), 0);
		assert_int_equal(
		    faccessat(lab->s.dirfd, "." ACCOUNT ".grant.new", F_OK, 0),
		    -1);
	}
}

/* A child that holds the lock until it is killed; ready once it has it. */
static pid_t
holder(struct lab *lab)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)alarm(30);
		if (store_lock(&lab->s, ACCOUNT, &l, &d) == 0)
			(void)__real_write(ready[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void
locks_out_others(void **state)
{
	struct lab *lab = *state;
	struct store_lock l = STORE_LOCK_INIT, m = STORE_LOCK_INIT;
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	pid_t pid = holder(lab);

	assert_int_equal(store_lock(&lab->s, ACCOUNT, &l, &d), -1);
	assert_int_equal(d.kind, DIAG_RETRY);
	assert_true(l.busy);
	/* Another account is free, and readers need no lock. */
	assert_int_equal(store_lock(&lab->s, "b@example.com", &m, &d), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &l, &d), 0);
	assert_false(l.busy);
	store_unlock(&m);
	/* The same process twice is locked out like any other. */
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &m, &d), -1);
	assert_true(m.busy);
	store_unlock(&l);
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &m, &d), 0);
	store_unlock(&m);
	assert_int_equal(store_write(&lab->s, &m, ACCOUNT, &g, &d), -1);
}

/* Somebody tidies up: what is locked is the grant, whatever its lock is. */
static void
locks_out_others_without_its_file(void **state)
{
	struct lab *lab = *state;
	struct store_lock l = STORE_LOCK_INIT, m = STORE_LOCK_INIT;
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	pid_t pid;

	fill(&g, 1, "rt", "at");
	assert_int_equal(put(&lab->s, &g, &d), 0);
	pid = holder(lab);
	assert_int_equal(unlinkat(lab->s.dirfd, ACCOUNT ".lock", 0), 0);
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &l, &d), -1);
	assert_true(l.busy && d.kind == DIAG_RETRY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &l, &d), 0);
	/* Also when it has written, and will again. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_write(&lab->s, &l, ACCOUNT, &g, &d), 0);
		assert_int_equal(unlinkat(lab->s.dirfd, ACCOUNT ".lock", 0), 0);
		assert_int_equal(store_lock(&lab->s, ACCOUNT, &m, &d), -1);
		assert_true(m.busy);
	}
	store_unlock(&l);
	assert_int_equal(store_lock(&lab->s, ACCOUNT, &m, &d), 0);
	store_unlock(&m);
}

static void
refuses_what_does_not_fit(void **state)
{
	struct lab *lab = *state;
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	static char big[GRANT_MAX_BYTES];

	memset(big, 'a', sizeof(big));
	fill(&g, 1, "r", "a");
	assert_true(secret_set(&g.refresh_token, big, sizeof(big)));
	assert_int_equal(put(&lab->s, &g, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_true(secret_set(&g.refresh_token, "a\nb", 3));
	assert_int_equal(put(&lab->s, &g, &d), -1);
	/* Three tokens of the largest size do. */
	for (int i = 0; i < 3; i++)
		assert_true(secret_set(i == 0 ? &g.refresh_token :
				       i == 1 ? &g.previous_refresh_token :
						&g.access_token,
		    big, 24576));
	assert_int_equal(put(&lab->s, &g, &d), 0);
	assert_int_equal(store_read(&lab->s, ACCOUNT, &g, &d), 1);
	assert_int_equal(g.access_token.len, 24576);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(round_trip),
		T(refuses_bad_files),
		T(checks_modes_and_kinds),
		T(checks_the_directory),
		T(root_gives_away),
		T(survives_failures),
		T(reserves),
		T(survives_short_writes_and_eintr),
		T(survives_crashes),
		T(locks_out_others),
		T(locks_out_others_without_its_file),
		T(refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
