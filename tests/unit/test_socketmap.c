/* Postfix's lookup protocol: whole, in pieces, and from an enemy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "socketmap.h"

#define T(s) (s), sizeof(s) - 1

static const struct {
	const char *name, *in;
	size_t len;
	ssize_t took;
	const char *map, *key;
} requests[] = {
	{ "a sender", T("16:sasl a@b.example,"), 20, "sasl", "a@b.example" },
	{ "a next hop", T("20:sasl [h.example]:587,"), 24, "sasl",
	    "[h.example]:587" },
	{ "two at once", T("6:sasl x,6:sasl y,"), 9, "sasl", "x" },
	{ "an empty key", T("5:sasl ,"), 8, "sasl", "" },
	{ "blanks in the key", T("9:sasl a  b,"), 12, "sasl", "a  b" },
	{ "nothing yet", T(""), 0, NULL, NULL },
	{ "half a length", T("1"), 0, NULL, NULL },
	{ "no text yet", T("16:"), 0, NULL, NULL },
	{ "no comma yet", T("6:sasl x"), 0, NULL, NULL },
	{ "no netstring", T("version=1\n"), -1, NULL, NULL },
	{ "negative", T("-1:x,"), -1, NULL, NULL },
	{ "no length", T(":x,"), -1, NULL, NULL },
	{ "leading zero", T("06:sasl x,"), -1, NULL, NULL },
	{ "too long", T("2049:"), -1, NULL, NULL },
	{ "far too long", T("99999999999999999999:"), -1, NULL, NULL },
	{ "five digits, no end yet", T("10000"), -1, NULL, NULL },
	{ "not that long", T("5:sasl x,"), -1, NULL, NULL },
	{ "no table", T("4:sasl,"), -1, NULL, NULL },
	{ "an empty table", T("2: x,"), -1, NULL, NULL },
	{ "nothing in it", T("0:,"), -1, NULL, NULL },
	{ "a NUL", T("6:sasl\0x,"), -1, NULL, NULL },
};

static void
reads_requests(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct socketmap_request r = { NULL, NULL };
		struct diag d = DIAG_INIT;
		char *copy = malloc(requests[i].len + 1);
		ssize_t took;

		memcpy(copy, requests[i].in, requests[i].len);
		took = socketmap_parse(copy, requests[i].len, &r, &d);
		if (took != requests[i].took)
			fail_msg("%s: %zd: %s", requests[i].name, took, d.text);
		if (took > 0) {
			assert_string_equal(r.map, requests[i].map);
			assert_string_equal(r.key, requests[i].key);
		} else {
			assert_null(r.key);
			assert_int_equal(
			    d.kind, took < 0 ? DIAG_PROTO : DIAG_OK);
		}
		free(copy);
	}
}

/* A request that is cut anywhere wants more, and never less. */
static void
waits_for_the_rest(void **unused)
{
	static const char whole[] = "16:sasl a@b.example,";

	(void)unused;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct socketmap_request r = { NULL, NULL };
		struct diag d = DIAG_INIT;
		char copy[sizeof(whole)];

		memcpy(copy, whole, n);
		assert_int_equal(socketmap_parse(copy, n, &r, &d), 0);
		assert_memory_equal(copy, whole, n);
	}
}

static void
writes_answers(void **unused)
{
	auto_buf struct buf b = BUF_INIT(SOCKETMAP_ANSWER_MAX + 64);
	char *big = malloc(SOCKETMAP_ANSWER_MAX);

	(void)unused;
	socketmap_answer(&b, SOCKETMAP_OK, T("a:mailtoken:b"));
	socketmap_answer(&b, SOCKETMAP_NOTFOUND, NULL, 0);
	socketmap_answer(&b, SOCKETMAP_TEMP, T("why"));
	socketmap_answer(&b, SOCKETMAP_PERM, T("why"));
	assert_false(b.failed);
	assert_int_equal(b.len, strlen("16:OK a:mailtoken:b,9:NOTFOUND ,"
				       "8:TEMP why,8:PERM why,"));
	assert_memory_equal(b.ptr,
	    "16:OK a:mailtoken:b,9:NOTFOUND ,8:TEMP why,8:PERM why,", b.len);

	buf_wipe(&b);
	memset(big, 'x', SOCKETMAP_ANSWER_MAX);
	socketmap_answer(&b, SOCKETMAP_OK, big, SOCKETMAP_ANSWER_MAX - 3);
	assert_false(b.failed);
	buf_wipe(&b);
	socketmap_answer(&b, SOCKETMAP_OK, big, SOCKETMAP_ANSWER_MAX - 2);
	assert_true(b.failed);
	buf_wipe(&b);
	socketmap_answer(&b, SOCKETMAP_OK, "a\0b", 3);
	assert_true(b.failed);
	free(big);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_requests),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(writes_answers),
	};

	return cmocka_run_group_tests_name("socketmap", tests, NULL, NULL);
}
