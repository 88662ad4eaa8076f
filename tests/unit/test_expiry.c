/* What ends soon is said in time, and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "expiry.h"
#include "log.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define DAY	 86400
#define END	 (1790000000 + 1000 * (int64_t)DAY)

/* The lines that a call leaves on standard error. */
static unsigned
lines_of(struct expiry *e, const struct account *a, int64_t now, char *ret,
    size_t size)
{
	int saved = dup(STDERR_FILENO), out[2];
	struct diag d = DIAG_INIT;
	unsigned lines = 0;
	bool said;
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	assert_int_equal(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(out[1]);
	said = expiry_say(e, a, now, &d);
	(void)fflush(stderr);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	n = read(out[0], ret, size - 1);
	(void)close(out[0]);
	ret[n > 0 ? n : 0] = '\0';
	for (const char *s = ret; (s = strchr(s, '\n')) != NULL; s++)
		lines++;
	assert_int_equal(said, lines > 0);
	assert_int_equal(d.kind, said ? DIAG_CONFIG : DIAG_OK);
	return lines;
}

static void
says_it_once(void **state)
{
	static const struct {
		int64_t left;
		const char *says; /* NULL: nothing */
	} table[] = {
		{ 31 * DAY, NULL },
		{ 30 * DAY + 1, NULL },
		{ 30 * DAY, "days=30 " },
		{ 29 * DAY, NULL },
		{ 8 * DAY, NULL },
		{ 7 * DAY - 1, "days=6 " },
		{ 2 * DAY, NULL },
		{ 3600, "days=0 text=\"the client secret ends: " },
		{ 1, NULL },
		{ 0, "days=0 text=\"the client secret has ended: " },
		{ -DAY, NULL },
		{ -1000 * (int64_t)DAY, NULL },
	};
	struct account a = { .name = (char *)(uintptr_t) "relay",
		.client_secret.kind = SECRET_REF_FILE,
		.client_secret_expires_at = END };
	struct expiry e = { 0, 0 };
	char text[2048];

	(void)state;
	(void)expiry_look(&e, &a, NULL);
	for (size_t i = 0; i < N(table); i++) {
		unsigned n =
		    lines_of(&e, &a, END - table[i].left, text, sizeof(text));

		if (n != (table[i].says != NULL) ||
		    (n == 1 &&
			(strstr(text, table[i].says) == NULL ||
			    strstr(text, "event=expires account=relay "
					 "what=client_secret ") == NULL)))
			fail_msg("%lld: %s", (long long)table[i].left, text);
		(void)expiry_look(&e, &a, NULL);
	}
	/* A new one, that ends soon, too. */
	a.client_secret_expires_at += 20 * DAY;
	(void)expiry_look(&e, &a, NULL);
	assert_int_equal(lines_of(&e, &a, END, text, sizeof(text)), 1);
	/* At a start, it is one line, not one for each that was missed. */
	e = (struct expiry){ 0, 0 };
	(void)expiry_look(&e, &a, NULL);
	assert_int_equal(
	    lines_of(&e, &a, END + 15 * DAY, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "days=5 "));
}

static void
knows_what_ends(void **state)
{
	struct account a = { .name = (char *)(uintptr_t) "relay" };
	struct expiry e = { 0, 0 };
	char text[256];

	(void)state;
	assert_null(expiry_what(&a));
	(void)expiry_look(&e, &a, NULL);
	assert_int_equal(e.at, 0);
	assert_int_equal(lines_of(&e, &a, END, text, sizeof(text)), 0);
	a.client_certificate = (char *)(uintptr_t) "/nowhere/cert.pem";
	assert_string_equal(expiry_what(&a), "certificate");
	(void)expiry_look(&e, &a, NULL);
	assert_int_equal(e.at, 0);
}

/* Each file's end is its number, times a day; how often they were read. */
static unsigned reads;

int64_t __real_credential_expires_at(const struct account *a);
int64_t __wrap_credential_expires_at(const struct account *a);

int64_t
__wrap_credential_expires_at(const struct account *a)
{
	int number;

	if (a->client_certificate == NULL ||
	    sscanf(a->client_certificate, "/certs/%d.pem", &number) != 1)
		return __real_credential_expires_at(a);
	reads++;
	return number * (int64_t)DAY;
}

static bool
look(struct expiry *e, int number, struct expiry_files *files)
{
	char path[64];
	struct account a = { .name = (char *)(uintptr_t) "relay",
		.client_certificate = path };

	(void)snprintf(path, sizeof(path), "/certs/%d.pem", number);
	return expiry_look(e, &a, files);
}

static void
a_file_of_many_accounts_is_read_once(void **state)
{
	struct expiry_files files = { NULL };
	struct expiry e = { 0, 0 };

	(void)state;
	reads = 0;
	for (int i = 0; i < 5000; i++) {
		assert_true(look(&e, 1 + i % 3, &files));
		assert_int_equal(e.at, (1 + i % 3) * DAY);
	}
	assert_int_equal(reads, 3);
	/* Later it may be another one. */
	expiry_files_wipe(&files);
	expiry_files_wipe(&files);
	assert_true(look(&e, 1, &files));
	assert_int_equal(reads, 4);
	assert_true(look(&e, 1, NULL));
	assert_int_equal(reads, 5);
	expiry_files_wipe(&files);
}

static void
some_of_many_files_are_read_later(void **state)
{
	struct expiry_files files = { NULL };
	struct expiry e = { .at = 7, .said = 2 };
	struct account a = { .name = (char *)(uintptr_t) "relay",
		.client_secret.kind = SECRET_REF_FILE,
		.client_secret_expires_at = END };

	(void)state;
	reads = 0;
	for (int i = 1; i <= EXPIRY_FILES_MAX; i++)
		assert_true(look(&e, i, &files));
	e = (struct expiry){ .at = 7, .said = 2 };
	for (int i = 0; i < 100; i++)
		assert_false(look(&e, 1000 + i, &files));
	assert_true(e.at == 7 && e.said == 2);
	assert_int_equal(reads, EXPIRY_FILES_MAX);
	/* What is not read from a file costs nothing. */
	assert_true(look(&e, 1, &files));
	assert_true(expiry_look(&e, &a, &files));
	assert_int_equal(e.at, END);
	expiry_files_wipe(&files);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_it_once),
		cmocka_unit_test(knows_what_ends),
		cmocka_unit_test(a_file_of_many_accounts_is_read_once),
		cmocka_unit_test(some_of_many_files_are_read_later),
	};

	log_open("test", true);
	return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
