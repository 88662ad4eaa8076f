/* State that is sealed: nothing opens that was not sealed so, and no key and
 * no grant is lost, whatever the disk does while keys change. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "sealed_grant.h"
#include "sealing.h"

#define A	 "a@contoso.example"
#define B	 "b@contoso.example"
#define PLAIN	 "*@contoso.example" /* written by a version before */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The n-th call that changes the disk fails, or is the last. */
static struct {
	int at; /* calls until then; negative: never */
	enum { FAULT_ERRNO, FAULT_DIE_BEFORE, FAULT_DIE_AFTER } what;
	int err;
} fault = { .at = -1 };

int __real_openat(int dirfd, const char *name, int flags, ...);
int __wrap_openat(int dirfd, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_renameat2(
    int from, const char *a, int to, const char *b, unsigned flags);
int __wrap_renameat2(
    int from, const char *a, int to, const char *b, unsigned flags);

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
	if (struck)
		_exit(9);
	return rc;
}

int
__wrap_openat(int dirfd, const char *name, int flags, ...)
{
	mode_t mode = 0600;
	bool now = (flags & O_CREAT) != 0 && strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	return after(now, __real_openat(dirfd, name, flags, mode));
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	bool now = strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	return (ssize_t)after(now, (int)__real_write(fd, p, now ? n / 2 : n));
}

int
__wrap_fsync(int fd)
{
	bool now = strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	return after(now, __real_fsync(fd));
}

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	bool now = strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	return after(now, __real_renameat(from, a, to, b));
}

int
__wrap_renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	bool now = strikes();

	if (now && fault.what == FAULT_ERRNO)
		return -1;
	return after(now, __real_renameat2(from, a, to, b, flags));
}

struct lab {
	char dir[64], state[80], key_path[80];
	struct secret_ref key;
	struct store s;
};

static int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	fault.at = -1;
	strcpy(lab.dir, "/tmp/test_sealing.XXXXXX");
	if (mkdtemp(lab.dir) == NULL)
		return -1;
	(void)snprintf(lab.state, sizeof(lab.state), "%s/state", lab.dir);
	(void)snprintf(
	    lab.key_path, sizeof(lab.key_path), "%s/seal.key", lab.dir);
	lab.key = (struct secret_ref){ SECRET_REF_FILE, lab.key_path, 0 };
	*state = &lab;
	return mkdir(lab.state, 0700) < 0 ||
		       sealing_open(&lab.s, lab.state, &lab.key, true, &d) < 0 ?
		   -1 :
		   0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { A ".grant", A ".lock",
		"." A ".grant.new", B ".grant", B ".lock", "." B ".grant.new",
		PLAIN ".grant", PLAIN ".lock", "." PLAIN ".grant.new" };
	struct lab *lab = *state;
	char tmp[160];

	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlinkat(lab->s.dirfd, names[i], 0);
	store_close(&lab->s);
	(void)unlink(lab->key_path);
	(void)snprintf(tmp, sizeof(tmp), "%s/.seal.key.new", lab->dir);
	(void)unlink(tmp);
	/* Both fail if anything else was left. */
	return rmdir(lab->state) < 0 || rmdir(lab->dir) < 0 ? -1 : 0;
}

static int
put(const struct store *s, const char *account, int64_t generation,
    struct diag *d)
{
	struct store_lock l = STORE_LOCK_INIT;
	auto_grant struct grant g = GRANT_INIT;
	int rc;

	g.generation = generation;
	assert_true(secret_set(&g.refresh_token, "canary-rt", 9));
	assert_int_equal(store_lock(s, account, &l, d), 0);
	rc = store_write(s, &l, account, &g, d);
	store_unlock(&l);
	return rc;
}

/* Its generation; or -1. */
static int64_t
get(const struct store *s, const char *account, struct diag *d)
{
	auto_grant struct grant g = GRANT_INIT;

	g.generation = -7;
	if (store_read(s, account, &g, d) < 0) {
		assert_int_equal(g.generation, -7);
		return -1;
	}
	return g.generation;
}

static size_t
load(int dirfd, const char *name, char *bytes, size_t max)
{
	auto_close int fd = __real_openat(dirfd, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, max);
	assert_true(n >= 0 && (size_t)n < max);
	return (size_t)n;
}

static void
save(int dirfd, const char *name, const char *bytes, size_t n)
{
	auto_close int fd =
	    __real_openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(__real_write(fd, bytes, n), n);
}

static void
save_plain(struct lab *lab)
{
	static const char text[] =
	    "version=1\naccount=" PLAIN
	    "\ngeneration=7\nrefresh_token=canary-rt\n\n";

	save(lab->s.dirfd, PLAIN ".grant", text, sizeof(text) - 1);
}

static bool
has(const char *bytes, size_t n, const char *word)
{
	return memmem(bytes, n, word, strlen(word)) != NULL;
}

static void
what_is_sealed_shows_its_key_and_generation_only(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char bytes[4096], line[128];
	struct stat st;
	size_t n;

	assert_int_equal(put(&lab->s, A, 42, &d), 0);
	n = load(lab->s.dirfd, A ".grant", bytes, sizeof(bytes));
	(void)snprintf(line, sizeof(line), "version=2 key=%s generation=42\n",
	    lab->s.ring->item[0].id);
	assert_memory_equal(bytes, line, strlen(line));
	assert_false(has(bytes, n, "canary"));
	assert_false(has(bytes, n, "contoso"));
	assert_int_equal(get(&lab->s, A, &d), 42);
	assert_int_equal(stat(lab->key_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, geteuid() == 0 ? 0640 : 0600);
}

/* Each bit, and each length that is too short: the file stays as it is. */
static void
nothing_that_was_altered_opens(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char good[4096], bad[4096];
	size_t n;

	assert_int_equal(put(&lab->s, A, 42, &d), 0);
	n = load(lab->s.dirfd, A ".grant", good, sizeof(good));
	for (size_t i = 0; i < 8 * n; i++) {
		memcpy(bad, good, n);
		bad[i / 8] = (char)(bad[i / 8] ^ 1 << i % 8);
		save(lab->s.dirfd, A ".grant", bad, n);
		assert_int_equal(get(&lab->s, A, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, A ".grant: "));
	}
	for (size_t i = 0; i < n; i++) {
		save(lab->s.dirfd, A ".grant", good, i);
		assert_int_equal(get(&lab->s, A, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
	}
	assert_int_equal(
	    load(lab->s.dirfd, A ".grant", bad, sizeof(bad)), n - 1);
	save(lab->s.dirfd, A ".grant", good, n);
	assert_int_equal(get(&lab->s, A, &d), 42);
}

static void
no_file_stands_for_another(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char a[4096], b[4096];
	size_t n;

	assert_int_equal(put(&lab->s, A, 42, &d), 0);
	assert_int_equal(put(&lab->s, B, 42, &d), 0);
	n = load(lab->s.dirfd, A ".grant", a, sizeof(a));
	save(lab->s.dirfd, B ".grant", a, n);
	assert_int_equal(get(&lab->s, B, &d), -1);
	assert_non_null(strstr(d.text, "another account's"));
	/* The line of one generation, what is behind it of another. */
	assert_int_equal(put(&lab->s, A, 43, &d), 0);
	assert_int_equal(load(lab->s.dirfd, A ".grant", b, sizeof(b)), n);
	memcpy(b, a, (size_t)((char *)memchr(a, '\n', n) - a));
	save(lab->s.dirfd, A ".grant", b, n);
	assert_int_equal(get(&lab->s, A, &d), -1);
	/* An older file of the same account does open: docs/STORE.md. */
	save(lab->s.dirfd, A ".grant", a, n);
	assert_int_equal(get(&lab->s, A, &d), 42);
}

static void
a_plain_file_is_read_and_sealed_when_written(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char bytes[4096], id[SEAL_ID_LEN + 1];

	save_plain(lab);
	assert_int_equal(get(&lab->s, PLAIN, &d), 7);
	assert_int_equal(store_key_of(&lab->s, PLAIN, id, &d), 1);
	assert_string_equal(id, "");
	assert_int_equal(put(&lab->s, PLAIN, 8, &d), 0);
	assert_int_equal(store_key_of(&lab->s, PLAIN, id, &d), 1);
	assert_string_equal(id, lab->s.ring->item[0].id);
	assert_false(
	    has(bytes, load(lab->s.dirfd, PLAIN ".grant", bytes, sizeof(bytes)),
		"canary"));
	assert_int_equal(get(&lab->s, PLAIN, &d), 8);
}

/* What is on disk stays, byte for byte, and no key is made. */
static void
refused(struct lab *lab, const char *says, struct diag *d)
{
	struct store s = STORE_INIT;
	char before[4096], now[4096];
	size_t n = load(lab->s.dirfd, A ".grant", before, sizeof(before));

	assert_int_equal(sealing_open(&s, lab->state, &lab->key, true, d), -1);
	assert_int_equal(d->kind, DIAG_CONFIG);
	assert_non_null(strstr(d->text, says));
	assert_int_equal(s.dirfd, -1);
	assert_int_equal(load(lab->s.dirfd, A ".grant", now, sizeof(now)), n);
	assert_memory_equal(before, now, n);
}

static void
a_wrong_or_missing_key_changes_nothing(void **state)
{
	static const char other[] = "# another\n\n0123456789abcdef0123456789ABC"
				    "DEF0123456789abcdef0123456789abcdef\r\n";
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	struct stat st;

	assert_int_equal(put(&lab->s, A, 1, &d), 0);
	assert_int_equal(unlink(lab->key_path), 0);
	refused(lab, "is missing", &d);
	assert_non_null(strstr(d.text, lab->key_path));
	assert_int_equal(stat(lab->key_path, &st), -1);
	save(AT_FDCWD, lab->key_path, other, sizeof(other) - 1);
	refused(lab, "put that key back", &d);
	/* Who still had the right one does not use the other for it. */
	assert_int_equal(put(&lab->s, A, 2, &d), -1);
	assert_non_null(strstr(d.text, "no longer has key"));
	assert_int_equal(get(&lab->s, A, &d), -1);
	lab->key.kind = SECRET_REF_NONE;
	refused(lab, "seal_key is none", &d);
}

static void
who_has_the_key_in_memory_goes_on_without_its_file(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;

	assert_int_equal(put(&lab->s, A, 1, &d), 0);
	assert_int_equal(unlink(lab->key_path), 0);
	assert_int_equal(put(&lab->s, A, 2, &d), 0);
	assert_int_equal(get(&lab->s, A, &d), 2);
	assert_int_equal(sealing_reload(&lab->s, &lab->key, &d), -1);
	assert_int_equal(get(&lab->s, A, &d), 2);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *name, *text, *says;
	mode_t mode;
} bad_keys[] = {
	{ "empty", "", "has no key in it", 0600 },
	{ "remark only", "# x\n", "has no key in it", 0600 },
	{ "short", "0123\n", ":1: is no key", 0600 },
	{ "long", HEX "0\n", ":1: is no key", 0600 },
	{ "no digit",
	    "\n#\nPaSs456789abcdef0123456789abcdef0123456789abcdef"
	    "0123456789abcdef\n",
	    ":3: is no key", 0600 },
	{ "too many",
	    HEX "\n" HEX "\n" HEX "\n" HEX "\n" HEX "\n" HEX "\n" HEX "\n" HEX
		"\n" HEX "\n",
	    ":9: is no key", 0600 },
	{ "world", HEX "\n", "chmod 640", 0644 },
	{ "group may write", HEX "\n", "chmod 640", 0660 },
};

static void
refuses_bad_key_files(void **state)
{
	struct lab *lab = *state;
	struct keyring k = KEYRING_INIT;
	struct diag d = DIAG_INIT;

	for (size_t i = 0; i < COUNT(bad_keys); i++) {
		save(AT_FDCWD, lab->key_path, bad_keys[i].text,
		    strlen(bad_keys[i].text));
		assert_int_equal(chmod(lab->key_path, bad_keys[i].mode), 0);
		assert_int_equal(keyring_open(&k, &lab->key, 0, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
		assert_non_null(strstr(d.text, bad_keys[i].says));
		assert_non_null(strstr(d.text, lab->key_path));
		assert_null(strstr(d.text, "PaSs"));
		assert_null(k.path);
	}
	if (geteuid() != 0)
		return;
	save(AT_FDCWD, lab->key_path, HEX "\n", 65);
	assert_int_equal(chown(lab->key_path, 4711, 0), 0);
	assert_int_equal(keyring_open(&k, &lab->key, 0, &d), -1);
	assert_non_null(strstr(d.text, "chown root"));
	assert_int_equal(keyring_open(&k, &lab->key, 4711, &d), 0);
	keyring_close(&k);
}

static void
only_one_first_key_is_made(void **state)
{
	struct lab *lab = *state;
	struct keyring k = KEYRING_INIT;
	struct diag d = DIAG_INIT;
	char id[SEAL_ID_LEN + 1];

	strcpy(id, lab->s.ring->item[0].id);
	assert_int_equal(keyring_open(&k, &lab->key, 0, &d), 0);
	keyring_close(&k);
	/* As if it had come just now. */
	k.path = strdup(lab->key_path);
	assert_int_equal(keyring_create(&k, 0, &d), 0);
	assert_int_equal(k.n, 1);
	assert_string_equal(k.item[0].id, id);
	keyring_close(&k);
}

static void
check_all(struct lab *lab, const struct store *s)
{
	struct diag d = DIAG_INIT;

	(void)lab;
	assert_int_equal(get(s, A, &d), 11);
	assert_int_equal(get(s, B, &d), 12);
	assert_int_equal(get(s, PLAIN, &d), 7);
}

static void
fill_all(struct lab *lab)
{
	struct diag d = DIAG_INIT;

	assert_int_equal(put(&lab->s, A, 11, &d), 0);
	assert_int_equal(put(&lab->s, B, 12, &d), 0);
	save_plain(lab);
}

static void
rekey_seals_all_with_a_new_key_and_others_follow(void **state)
{
	struct lab *lab = *state;
	struct sealing_result r;
	struct store other = STORE_INIT;
	struct diag d = DIAG_INIT;
	char id[SEAL_ID_LEN + 1];

	fill_all(lab);
	assert_int_equal(
	    sealing_open(&other, lab->state, &lab->key, true, &d), 0);
	assert_int_equal(sealing_rekey(&lab->s, &r, &d), 0);
	assert_int_equal(r.resealed, 3);
	assert_int_equal(r.bad, 0);
	assert_int_equal(lab->s.ring->n, 1);
	/* One that has slept through all of it reads and writes. */
	assert_string_not_equal(
	    other.ring->item[0].id, lab->s.ring->item[0].id);
	check_all(lab, &other);
	assert_string_equal(other.ring->item[0].id, lab->s.ring->item[0].id);
	assert_int_equal(sealing_rekey(&lab->s, &r, &d), 0);
	assert_int_equal(put(&other, "new@contoso.example", 1, &d), 0);
	assert_int_equal(
	    store_key_of(&lab->s, "new@contoso.example", id, &d), 1);
	assert_string_equal(id, lab->s.ring->item[0].id);
	(void)unlinkat(lab->s.dirfd, "new@contoso.example.grant", 0);
	(void)unlinkat(lab->s.dirfd, "new@contoso.example.lock", 0);
	store_close(&other);
	check_all(lab, &lab->s);
}

static void
an_unreadable_grant_keeps_the_older_key(void **state)
{
	struct lab *lab = *state;
	struct sealing_result r;
	struct diag d = DIAG_INIT;
	char good[4096], bad[4096];
	size_t n;

	fill_all(lab);
	n = load(lab->s.dirfd, A ".grant", good, sizeof(good));
	memcpy(bad, good, n);
	bad[n - 1] ^= 1;
	save(lab->s.dirfd, A ".grant", bad, n);
	/* However often it is tried. */
	for (int i = 0; i < KEYRING_MAX - 1; i++) {
		assert_int_equal(sealing_rekey(&lab->s, &r, &d), 0);
		assert_int_equal(r.bad, 1);
		assert_true(r.kept);
		assert_non_null(strstr(r.first.text, A));
	}
	assert_int_equal(sealing_rekey(&lab->s, &r, &d), -1);
	assert_non_null(strstr(d.text, "too many keys"));
	save(lab->s.dirfd, A ".grant", good, n);
	assert_int_equal(sealing_rekey(&lab->s, &r, &d), 0);
	assert_false(r.kept);
	assert_int_equal(lab->s.ring->n, 1);
	check_all(lab, &lab->s);
}

/* From the very first key to the last: each step fails once. */
static void
rekey_survives_failures(void **state)
{
	static const int errs[] = { ENOSPC, EIO, EROFS };
	struct lab *lab = *state;
	struct sealing_result r;
	struct diag d = DIAG_INIT;
	int steps = 0, rc;

	fill_all(lab);
	for (size_t e = 0; e < COUNT(errs); e++) {
		rc = -1;
		for (int at = 0; rc != 0; at++) {
			struct store s = STORE_INIT;

			assert_true(at < 100);
			save_plain(lab);
			fault.at = at;
			fault.what = FAULT_ERRNO;
			fault.err = errs[e];
			rc = sealing_rekey(&lab->s, &r, &d);
			if (fault.at >= 0) /* it was never reached */
				steps = at;
			else if (rc == 0)
				rc = -1; /* an fsync that may fail */
			fault.at = -1;
			check_all(lab, &lab->s);
			assert_int_equal(
			    sealing_open(&s, lab->state, &lab->key, true, &d),
			    0);
			check_all(lab, &s);
			store_close(&s);
		}
	}
	/* Three keys' files, three grants, and their locks. */
	assert_true(steps >= 3 * 5 + 3 * 5);
}

static void
rekey_survives_crashes(void **state)
{
	struct lab *lab = *state;
	struct sealing_result r;
	struct diag d = DIAG_INIT;
	int status = -1, i;

	fill_all(lab);
	for (i = 0; status != 0; i++) {
		struct store s = STORE_INIT;
		pid_t pid;

		assert_true(i < 200);
		save_plain(lab);
		assert_true((pid = fork()) >= 0);
		if (pid == 0) {
			fault.at = i / 2;
			fault.what = i % 2 ? FAULT_DIE_AFTER : FAULT_DIE_BEFORE;
			_exit(sealing_rekey(&lab->s, &r, &d) < 0 ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		status = WEXITSTATUS(status);
		assert_true(status == 9 || status == 0);
		/* One that knew the keys before, and one that comes now. */
		check_all(lab, &lab->s);
		assert_int_equal(
		    sealing_open(&s, lab->state, &lab->key, true, &d), 0);
		check_all(lab, &s);
		store_close(&s);
	}
	assert_true(i >= 2 * 30);
	assert_int_equal(sealing_rekey(&lab->s, &r, &d), 0);
	assert_int_equal(lab->s.ring->n, 1);
	check_all(lab, &lab->s);
}

static void
the_first_key_survives_crashes(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	int status = -1;

	for (int i = 0; status != 0; i++) {
		struct store s = STORE_INIT;
		pid_t pid;

		assert_true(i < 40);
		(void)unlink(lab->key_path);
		(void)unlinkat(lab->s.dirfd, A ".grant", 0);
		assert_true((pid = fork()) >= 0);
		if (pid == 0) {
			fault.at = i / 2;
			fault.what = i % 2 ? FAULT_DIE_AFTER : FAULT_DIE_BEFORE;
			_exit(sealing_open(
				  &s, lab->state, &lab->key, true, &d) < 0 ||
				      put(&s, A, 1, &d) < 0 ?
				  1 :
				  0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		status = WEXITSTATUS(status);
		assert_true(status == 9 || status == 0);
		assert_int_equal(
		    sealing_open(&s, lab->state, &lab->key, true, &d), 0);
		assert_true(get(&s, A, &d) >= 0);
		assert_int_equal(put(&s, A, 2, &d), 0);
		store_close(&s);
	}
}

static void
without_a_key_nothing_is_written(void **state)
{
	struct lab *lab = *state;
	struct store s = STORE_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(unlink(lab->key_path), 0);
	save_plain(lab);
	assert_int_equal(sealing_open(&s, lab->state, &lab->key, false, &d), 0);
	assert_int_equal(get(&s, PLAIN, &d), 7);
	assert_int_equal(put(&s, PLAIN, 8, &d), -1);
	assert_non_null(strstr(d.text, "mailtoken rekey"));
	assert_int_equal(get(&s, PLAIN, &d), 7);
	store_close(&s);
	lab->key.kind = SECRET_REF_NONE;
	assert_int_equal(sealing_open(&s, lab->state, &lab->key, true, &d), 0);
	assert_int_equal(put(&s, PLAIN, 8, &d), 0);
	assert_int_equal(get(&s, PLAIN, &d), 8);
	store_close(&s);
}

/* Systemd's are read, and never written. */
static void
a_credential_is_used_as_given(void **state)
{
	struct lab *lab = *state;
	struct secret_ref given = { SECRET_REF_CREDENTIAL,
		(char[]){ "seal.key" }, 0 };
	struct sealing_result r;
	struct store s = STORE_INIT;
	struct diag d = DIAG_INIT;
	char keys[256] = HEX "\n", now[256];

	fill_all(lab);
	assert_int_equal(
	    load(AT_FDCWD, lab->key_path, keys + 65, sizeof(keys) - 65), 65);
	save(AT_FDCWD, lab->key_path, keys, 130);
	assert_int_equal(chmod(lab->key_path, 0444), 0);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", lab->dir, 1), 0);
	assert_int_equal(sealing_open(&s, lab->state, &given, true, &d), 0);
	assert_int_equal(sealing_rekey(&s, &r, &d), 0);
	assert_true(r.given);
	assert_int_equal(r.resealed, 3);
	assert_int_equal(load(AT_FDCWD, lab->key_path, now, sizeof(now)), 130);
	assert_memory_equal(keys, now, 130);
	check_all(lab, &s);
	store_close(&s);
	assert_int_equal(unlink(lab->key_path), 0);
	assert_int_equal(sealing_open(&s, lab->state, &given, true, &d), -1);
	assert_non_null(strstr(d.text, "credential is not there"));
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

/* What is below /run is gone at the next start: no key is made there. */
static void
no_key_is_made_below_run(void **state)
{
	struct lab *lab = *state;
	struct secret_ref volatile_key = { SECRET_REF_FILE,
		(char[]){ "/run/mailtoken-nowhere/seal.key" }, 0 };
	struct store s = STORE_INIT;
	struct diag d = DIAG_INIT;

	assert_int_equal(
	    sealing_open(&s, lab->state, &volatile_key, true, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, "what starts the agent"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(what_is_sealed_shows_its_key_and_generation_only),
		T(nothing_that_was_altered_opens),
		T(no_file_stands_for_another),
		T(a_plain_file_is_read_and_sealed_when_written),
		T(a_wrong_or_missing_key_changes_nothing),
		T(who_has_the_key_in_memory_goes_on_without_its_file),
		T(refuses_bad_key_files),
		T(only_one_first_key_is_made),
		T(rekey_seals_all_with_a_new_key_and_others_follow),
		T(an_unreadable_grant_keeps_the_older_key),
		T(rekey_survives_failures),
		T(rekey_survives_crashes),
		T(the_first_key_survives_crashes),
		T(without_a_key_nothing_is_written),
		T(a_credential_is_used_as_given),
		T(no_key_is_made_below_run),
	};

	return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
