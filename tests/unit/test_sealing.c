/* State that is sealed: nothing opens that was not sealed so, and without the
 * right key nothing is written. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sealed_grant.h"
#include "sealed_lab.h"

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

/* The grant of A as it was, and nothing begun beside it. */
static void
nothing_is_saved(struct lab *lab, const char *says)
{
	struct store_lock l = STORE_LOCK_INIT;
	struct diag d = DIAG_INIT;
	char before[4096], now[4096];
	size_t n = load(lab->s.dirfd, A ".grant", before, sizeof(before));

	assert_int_equal(store_lock(&lab->s, A, &l, &d), 0);
	assert_int_equal(store_reserve(&lab->s, &l, A, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, says));
	assert_int_equal(l.room, -1);
	assert_int_equal(
	    faccessat(lab->s.dirfd, "." A ".grant.new", F_OK, 0), -1);
	store_unlock(&l);
	assert_int_equal(put(&lab->s, A, 9, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, says));
	assert_int_equal(load(lab->s.dirfd, A ".grant", now, sizeof(now)), n);
	assert_memory_equal(before, now, n);
}

/* For which the key's file is looked at. */
static void
read_one_of_an_unknown_key(struct lab *lab)
{
	static const char line[] =
	    "version=2 key=0123456789abcdef generation=1\n";
	struct diag d = DIAG_INIT;

	save(lab->s.dirfd, B ".grant", line, sizeof(line) - 1);
	assert_int_equal(get(&lab->s, B, &d), -1);
	assert_non_null(strstr(d.text, "is not in"));
}

/* However often it is tried, and whoever has seen the other key first. */
static void
another_key_saves_nothing_until_the_right_one_is_back(void **state)
{
	static const char other[] = "# another\n" HEX "\n";
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char right[256];
	size_t n = load(AT_FDCWD, lab->key_path, right, sizeof(right));

	for (int reads = 0; reads < 2; reads++) {
		assert_int_equal(put(&lab->s, A, 1, &d), 0);
		save(AT_FDCWD, lab->key_path, other, sizeof(other) - 1);
		if (reads > 0)
			read_one_of_an_unknown_key(lab);
		else
			assert_int_equal(put(&lab->s, A, 2, &d), -1);
		for (int i = 0; i < 3; i++)
			nothing_is_saved(lab, "no longer has key");
		assert_int_equal(get(&lab->s, A, &d), -1);
		save(AT_FDCWD, lab->key_path, right, n);
		assert_int_equal(get(&lab->s, A, &d), 1);
	}
}

static void
a_key_file_that_is_of_no_use_is_noticed_in_time(void **state)
{
	struct lab *lab = *state;
	struct diag d = DIAG_INIT;
	char right[256] = "# open\n";
	size_t n = strlen(right);

	assert_int_equal(put(&lab->s, A, 1, &d), 0);
	n += load(AT_FDCWD, lab->key_path, right + n, sizeof(right) - n);
	save(AT_FDCWD, lab->key_path, right, n);
	assert_int_equal(chmod(lab->key_path, 0644), 0);
	nothing_is_saved(lab, "chmod 640");
	save(AT_FDCWD, lab->key_path, "# none\n", 7);
	nothing_is_saved(lab, "has no key in it");
	save(AT_FDCWD, lab->key_path, right, n);
	assert_int_equal(put(&lab->s, A, 2, &d), 0);
	assert_int_equal(get(&lab->s, A, &d), 2);
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
		T(another_key_saves_nothing_until_the_right_one_is_back),
		T(a_key_file_that_is_of_no_use_is_noticed_in_time),
		T(who_has_the_key_in_memory_goes_on_without_its_file),
		T(refuses_bad_key_files),
		T(without_a_key_nothing_is_written),
		T(no_key_is_made_below_run),
	};

	return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
