/* Keys are made and changed, and no key and no grant is lost, whatever the
 * disk does meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sealed_lab.h"

/* The n-th call that changes the disk fails, or is the last. */
static struct {
	int at; /* calls until then; negative: never */
	enum { FAULT_ERRNO, FAULT_DIE_BEFORE, FAULT_DIE_AFTER } what;
	int err;
} fault = { .at = -1 };

/* Two processes that meet: one stops in its n-th fsync until the other one,
 * which begins then, finds a lock held, or is done. */
static struct {
	int at; /* calls until then; negative: never */
	int go, told;
	bool tells; /* the other one */
} meet = { .at = -1 };

int __real_openat(int dirfd, const char *name, int flags, ...);
int __wrap_openat(int dirfd, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
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

static void
stop_here(void)
{
	char c = 'x';

	assert_int_equal(__real_write(meet.go, &c, 1), 1);
	assert_true(read(meet.told, &c, 1) >= 0);
}

int
__wrap_flock(int fd, int how)
{
	int rc = __real_flock(fd, how), e = errno;

	if (rc < 0 && e == EWOULDBLOCK && meet.tells) {
		meet.tells = false;
		assert_int_equal(__real_write(meet.told, "x", 1), 1);
		errno = e;
	}
	return rc;
}

int
__wrap_fsync(int fd)
{
	bool now = strikes();

	if (meet.at >= 0 && meet.at-- == 0)
		stop_here();

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

static pid_t
begin_rekey_when_told(struct lab *lab)
{
	struct sealing_result r;
	struct store s = STORE_INIT;
	struct diag d = DIAG_INIT;
	int go[2], told[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(told), 0);
	assert_true((pid = fork()) >= 0);
	meet.go = go[1];
	meet.told = pid == 0 ? told[1] : told[0];
	(void)close(pid == 0 ? go[1] : go[0]);
	(void)close(pid == 0 ? told[0] : told[1]);
	if (pid > 0)
		return pid;
	if (read(go[0], &c, 1) != 1)
		_exit(2);
	meet.tells = true;
	_exit(sealing_open(&s, lab->state, &lab->key, true, &d) < 0 ||
		      sealing_rekey(&s, &r, &d) < 0 || r.bad > 0 ?
		  1 :
		  0);
}

/* It has looked for the newest key, and no file shows that it will write. */
static void
a_first_login_meanwhile_is_not_lost(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;

	assert_int_equal(put(&lab->s, B, 12, &d), 0);
	for (int at = 0; at < 2; at++) {
		struct store s = STORE_INIT;
		pid_t pid = begin_rekey_when_told(lab);
		int status = -1;

		meet.at = at;
		assert_int_equal(put(&lab->s, A, 11, &d), 0);
		assert_int_equal(meet.at, -1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		(void)close(meet.go);
		(void)close(meet.told);
		assert_int_equal(
		    sealing_open(&s, lab->state, &lab->key, true, &d), 0);
		assert_int_equal(s.ring->n, 1);
		assert_int_equal(get(&s, A, &d), 11);
		assert_int_equal(get(&s, B, &d), 12);
		store_close(&s);
		(void)unlinkat(lab->s.dirfd, A ".grant", 0);
		(void)unlinkat(lab->s.dirfd, A ".lock", 0);
	}
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(only_one_first_key_is_made),
		T(rekey_seals_all_with_a_new_key_and_others_follow),
		T(an_unreadable_grant_keeps_the_older_key),
		T(rekey_survives_failures),
		T(rekey_survives_crashes),
		T(the_first_key_survives_crashes),
		T(a_first_login_meanwhile_is_not_lost),
		T(a_credential_is_used_as_given),
	};

	return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
