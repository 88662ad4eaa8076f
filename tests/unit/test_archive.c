/* A backup comes back as it was, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct archive_item items[] = {
	{ ARCHIVE_CONFIG, "/etc/mailtoken/mailtoken.conf", "root", "mailtoken",
	    0640, "[agent]\n", 8 },
	{ ARCHIVE_FILE, "/etc/mailtoken/a b.key", "mailtoken", "mailtoken",
	    0600, "a\0b\n\n", 5 },
	{ ARCHIVE_GRANT, "relay@contoso.example", NULL, NULL, 0, "x", 1 },
	{ ARCHIVE_FILE, "/empty", "1234", "5678", 0, "", 0 },
};

static void
fill(struct buf *b)
{
	archive_begin(b, "mx1.contoso.example", 1700000000);
	for (size_t i = 0; i < COUNT(items); i++)
		archive_add(b, &items[i]);
	assert_false(b->failed);
}

static void
same(const char *is, const char *wanted)
{
	if (wanted == NULL)
		assert_null(is);
	else
		assert_string_equal(is, wanted);
}

static void
items_come_back_as_they_were(void **state)
{
	auto_buf struct buf b = BUF_INIT(ARCHIVE_MAX_BYTES);
	struct archive_reader r;
	struct archive_item item;
	struct diag d = DIAG_INIT;

	(void)state;
	fill(&b);
	assert_int_equal(archive_open(&r, b.ptr, b.len, &d), 0);
	assert_string_equal(r.host, "mx1.contoso.example");
	assert_int_equal(r.created_at, 1700000000);
	for (size_t i = 0; i < COUNT(items); i++) {
		assert_int_equal(archive_next(&r, &item, &d), 1);
		assert_int_equal(item.kind, items[i].kind);
		same(item.name, items[i].name);
		same(item.owner, items[i].owner);
		same(item.group, items[i].group);
		assert_int_equal(item.mode, items[i].mode);
		assert_int_equal(item.len, items[i].len);
		assert_memory_equal(item.bytes, items[i].bytes, item.len);
	}
	assert_int_equal(archive_next(&r, &item, &d), 0);
}

/* Reads all of it; -1 for what is damaged. */
static int
read_all(const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1); /* exact, for ASan */
	struct archive_reader r;
	struct archive_item item;
	struct diag d = DIAG_INIT;
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = archive_open(&r, copy, len, &d);
	while (rc >= 0 && (rc = archive_next(&r, &item, &d)) == 1)
		continue;
	if (rc < 0)
		assert_int_equal(d.kind, DIAG_CONFIG);
	free(copy);
	return rc;
}

static void
a_text_that_ends_within_an_item_is_refused(void **state)
{
	auto_buf struct buf b = BUF_INIT(ARCHIVE_MAX_BYTES);
	size_t good = 0;

	(void)state;
	fill(&b);
	for (size_t n = 0; n <= b.len; n++)
		if (read_all(b.ptr, n) == 0)
			good++;
	/* Behind the head, and behind each item. */
	assert_int_equal(good, 1 + COUNT(items));
}

static void
what_makes_no_sense_is_refused(void **state)
{
#define HEAD "version=1\n\n"
	static const char *const bad[] = { "", "\n", "version=2\n\n",
		"host=x\n\n", HEAD "kind=dir\nname=x\nmode=0\nbytes=0\n\n",
		HEAD "kind=file\nmode=0\nbytes=0\n\n",
		HEAD "kind=file\nname=\nmode=0\nbytes=0\n\n",
		HEAD "kind=file\nname=x\nbytes=0\n\n",
		HEAD "kind=file\nname=x\nmode=4096\nbytes=0\n\n",
		HEAD "kind=file\nname=x\nmode=-1\nbytes=0\n\n",
		HEAD "kind=file\nname=x\nmode=0\n\n",
		HEAD "kind=file\nname=x\nmode=0\nbytes=-1\n\n",
		HEAD "kind=file\nname=x\nmode=0\nbytes=1\n\n",
		HEAD "kind=file\nname=x\nmode=0\nbytes=9223372036854775807\n\n",
		HEAD "x" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (read_all(bad[i], strlen(bad[i])) == 0)
			fail_msg("%zu is taken", i);
}

static void
only_the_passphrase_opens_it(void **state)
{
	auto_buf struct buf text = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_buf struct buf file = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_buf struct buf again = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_secret struct secret right = SECRET_INIT, wrong = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_true(secret_set(&right, "correct horse battery", 21));
	assert_true(secret_set(&wrong, "correct horse batterY", 21));
	fill(&text);
	assert_int_equal(archive_seal(&text, &right, &file, &d), 0);
	assert_null(memmem(file.ptr, file.len, "relay@", 6));
	assert_int_equal(
	    archive_unseal(file.ptr, file.len, &wrong, &again, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_non_null(strstr(d.text, "passphrase"));
	assert_int_equal(again.len, 0);
	assert_int_equal(
	    archive_unseal(file.ptr, file.len, &right, &again, &d), 0);
	assert_int_equal(again.len, text.len);
	assert_memory_equal(again.ptr, text.ptr, text.len);
}

/* At a few places: drawing the key takes its time, on purpose. */
static void
what_was_cut_or_altered_is_not_opened(void **state)
{
	auto_buf struct buf text = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_buf struct buf file = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_buf struct buf again = BUF_INIT(ARCHIVE_MAX_BYTES);
	auto_secret struct secret key = SECRET_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_true(secret_set(&key, "correct horse battery", 21));
	fill(&text);
	assert_int_equal(archive_seal(&text, &key, &file, &d), 0);

	const size_t at[] = { 3, 20, file.len - 1 };

	for (size_t i = 0; i < COUNT(at); i++) {
		file.ptr[at[i]] ^= 4;
		assert_int_equal(
		    archive_unseal(file.ptr, file.len, &key, &again, &d), -1);
		file.ptr[at[i]] ^= 4;
		assert_int_equal(
		    archive_unseal(file.ptr, at[i], &key, &again, &d), -1);
		assert_int_equal(d.kind, DIAG_CONFIG);
	}
	assert_int_equal(again.len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_back_as_they_were),
		cmocka_unit_test(a_text_that_ends_within_an_item_is_refused),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(only_the_passphrase_opens_it),
		cmocka_unit_test(what_was_cut_or_altered_is_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
