/*
 * Every row is found by a text as somebody has seen it (data/advice.tsv), and
 * fits where it is shown; numbers do not change who must act.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advice.h"
#include "wire.h"

#define N(table)   (sizeof(table) / sizeof((table)[0]))
#define GUID	   "01234567-89ab-cdef-0123-456789abcdef"
#define N_ROWS_MAX 512

/* The words for the groups in the file, in the order of advice_group(). */
static const char *const groups[] = { "error", "suberror", "number",
	"description", "server", "local" };

static struct {
	const struct advice *row;
	const char *group;
	bool seen;
} all[N_ROWS_MAX];
static size_t n_all;

static int
collect(void **unused)
{
	const struct advice_rows *g;

	(void)unused;
	n_all = 0;
	for (size_t i = 0; (g = advice_group(i)) != NULL; i++) {
		assert_true(i < N(groups));
		for (size_t j = 0; j < g->n; j++) {
			assert_true(n_all < N_ROWS_MAX);
			all[n_all].row = &g->row[j];
			all[n_all].seen = false;
			all[n_all++].group = groups[i];
		}
	}
	return 0;
}

static size_t
find(const struct advice *a)
{
	size_t i = 0;

	while (i < n_all && all[i].row != a)
		i++;
	return i;
}

/* "source \t group \t key \t kind \t text" */
static void
check_example(char *line, unsigned number)
{
	char *field[5], *rest = line;
	const struct advice *a;
	size_t i;

	for (i = 0; i < N(field); i++)
		if ((field[i] = strsep(&rest, "\t\n")) == NULL)
			fail_msg("line %u: %zu fields", number, i);
	a = advice_explain(field[4]);
	if (a == NULL)
		fail_msg("line %u: no row for: %s", number, field[4]);
	i = find(a);
	assert_true(i < n_all);
	if (strcmp(a->key, field[2]) != 0 ||
	    strcmp(all[i].group, field[1]) != 0)
		fail_msg("line %u: found %s '%s' for: %s", number, all[i].group,
		    a->key, field[4]);
	if (strcmp(diag_kind_name(advice_kind(a, field[4])), field[3]) != 0)
		fail_msg("line %u: is %s: %s", number,
		    diag_kind_name(advice_kind(a, field[4])), field[4]);
	assert_true(
	    (advice_mail(field[4]) == a) == (strcmp(field[1], "server") == 0));
	all[i].seen = true;
}

static void
every_row_is_found_by_its_text(void **unused)
{
	const char *slash = strrchr(__FILE__, '/');
	char path[512], line[4096];
	unsigned n = 0;
	FILE *f;

	(void)unused;
	(void)snprintf(path, sizeof(path), "%.*sdata/advice.tsv",
	    slash == NULL ? 0 : (int)(slash - __FILE__ + 1), __FILE__);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		assert_non_null(strchr(line, '\n'));
		if (++n > 1)
			check_example(line, n);
	}
	(void)fclose(f);
	for (size_t i = 0; i < n_all; i++)
		if (!all[i].seen)
			fail_msg("no example of %s '%s'", all[i].group,
			    all[i].row->key);
}

static void
check_text(const struct advice *a, const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || s[n - 1] == '.' || wire_text(s, n) != WIRE_TEXT_ASCII ||
	    strstr(s, "mailtoken import") != NULL)
		if (strcmp(a->key, "TokenStore::Read") != 0)
			fail_msg("'%s': %s", a->key, s);
}

/* A diag holds them behind an account's name and a few words. */
static void
every_row_can_be_shown(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < n_all; i++) {
		const struct advice *a = all[i].row;
		size_t n = strlen(a->cause) + strlen(a->todo);
		bool text = strcmp(all[i].group, "server") == 0 ||
			    strcmp(all[i].group, "local") == 0;

		check_text(a, a->key);
		assert_null(strpbrk(a->key, "|`"));
		check_text(a, a->cause);
		check_text(a, a->todo);
		if (n > (text ? 470U : 200U))
			fail_msg("'%s': %zu bytes", a->key, n);
		assert_true(a->kind == DIAG_RETRY || a->kind == DIAG_REAUTH ||
			    a->kind == DIAG_CONFIG || a->kind == DIAG_DENIED);
		if (a->kind == DIAG_REAUTH)
			assert_non_null(strstr(a->todo, "mailtoken login "));
		for (size_t j = 0; j < i; j++)
			if (strcmp(all[j].row->key, a->key) == 0)
				fail_msg("'%s' is there twice", a->key);
	}
}

static void
numbers_ascend(void **unused)
{
	long long last = 0, n;

	(void)unused;
	for (size_t i = 0; i < advice_numbers.n; i++) {
		assert_memory_equal(advice_numbers.row[i].key, "AADSTS", 6);
		n = atoll(advice_numbers.row[i].key + 6);
		assert_true(n > last);
		last = n;
	}
}

static void
refuse(struct diag *d, const char *error, const char *suberror,
    const char *description, int64_t number)
{
	struct refusal r = { .error = error,
		.suberror = suberror,
		.description = description,
		.trace_id = GUID,
		.number = number };

	*d = (struct diag)DIAG_INIT;
	assert_int_equal(advice_refusal(400, 0, &r, d), -1);
}

/*
 * Under any `error` and behind the longest name the text ends with what to
 * do, and explain finds the same row for the whole sentence.
 */
static void
numbers_choose_the_advice_only(void **unused)
{
	static const struct {
		const char *error;
		enum diag_kind kind;
	} errors[] = {
		{ "invalid_grant", DIAG_REAUTH },
		{ "interaction_required", DIAG_REAUTH },
		{ "invalid_client", DIAG_CONFIG },
		{ "something_new", DIAG_CONFIG },
	};
	char words[2000], name[WIRE_ACCOUNT_MAX + 1] = "";

	(void)unused;
	for (size_t i = 0; i < sizeof(words) - 1; i++)
		words[i] = i % 7 == 6 ? ' ' : 'w';
	words[sizeof(words) - 1] = '\0';
	memset(name, 'n', sizeof(name) - 1);
	for (size_t i = 0; i < advice_numbers.n * N(errors); i++) {
		const struct advice *a = &advice_numbers.row[i / N(errors)];
		enum diag_kind kind = errors[i % N(errors)].kind;
		struct diag d;
		size_t n;

		refuse(&d, errors[i % N(errors)].error, NULL, words,
		    atoll(a->key + 6));
		if (a->kind == DIAG_RETRY)
			kind = DIAG_RETRY;
		if (d.kind != kind)
			fail_msg("%s: %s", diag_kind_name(d.kind), d.text);
		(void)diag_wrap(&d, "account %s", name);
		n = strlen(d.text);
		if (n < strlen(a->todo) ||
		    strcmp(d.text + n - strlen(a->todo), a->todo) != 0 ||
		    strstr(d.text, a->cause) == NULL)
			fail_msg("%s: %s", a->key, d.text);
		assert_ptr_equal(advice_explain(d.text), a);
		assert_non_null(strstr(d.text, ", trace " GUID ")"));
		if (strcmp(errors[i % N(errors)].error, "something_new") != 0)
			assert_int_equal(advice_kind(a, d.text), kind);
	}
}

/* What the agent says about an answer, explain says about its sentence. */
static void
sentences_are_explained_as_they_were_meant(void **unused)
{
	const struct advice_rows *const words[] = { &advice_errors,
		&advice_suberrors, &advice_descriptions };

	(void)unused;
	for (size_t g = 0; g < N(words); g++)
		for (size_t i = 0; i < words[g]->n; i++) {
			const struct advice *a = &words[g]->row[i], *found;
			const char *error = g == 0 ? a->key : "invalid_grant";
			struct diag d;

			refuse(&d, error, g == 1 ? a->key : NULL,
			    g == 2 ? a->key : "words of theirs", 0);
			if (a->kind == DIAG_RETRY && g == 2)
				continue; /* invalid_grant is not */
			found = advice_explain(d.text);
			if (g == 2 && strstr(a->key, " ... ") != NULL)
				continue; /* the key is not what is said */
			if (found == NULL ||
			    strcmp(found->cause, a->cause) != 0 ||
			    strcmp(found->todo, a->todo) != 0)
				fail_msg("'%s': %s", a->key, d.text);
			assert_non_null(strstr(d.text, a->todo));
		}
}

static const struct {
	const char *error, *suberror, *description;
	int64_t number;
	long status;
	enum diag_kind kind;
	const char *says;
} answers[] = {
	{ "invalid_grant", "client_mismatch", NULL, 0, 400, DIAG_CONFIG,
	    "no login cures this" },
	{ "invalid_grant", "message_only", NULL, 53003, 400, DIAG_REAUTH,
	    "Conditional Access blocks" },
	{ "invalid_grant", "consent_required", NULL, 0, 400, DIAG_REAUTH,
	    "permissions were not consented to" },
	/* Only invalid_grant's suberrors count. */
	{ "interaction_required", "client_mismatch", NULL, 0, 400, DIAG_REAUTH,
	    "no login cures this" },
	{ "invalid_grant", "never_seen", NULL, 0, 400, DIAG_REAUTH,
	    "the login is no longer good: mailtoken login ACCOUNT" },
	{ "invalid_grant", "invalid_rapt", "reauth related error", 0, 400,
	    DIAG_REAUTH, "session control" },
	{ "invalid_grant", NULL, "Token has been expired or revoked.", 0, 400,
	    DIAG_REAUTH, "In production" },
	{ "invalid_client", NULL, "The OAuth client was not found.", 0, 401,
	    DIAG_CONFIG, "is it Google's at all?" },
	/* Time cures these, whatever else is said. */
	{ "invalid_grant", "bad_token", "AADSTS700082: x", 0, 503, DIAG_RETRY,
	    "busy or in trouble: it will be asked again" },
	{ "invalid_grant", NULL, "AADSTS90033: x", 0, 400, DIAG_RETRY,
	    "asked again" },
	{ "temporarily_unavailable", NULL, NULL, 53003, 400, DIAG_RETRY,
	    "overloaded or in maintenance" },
	{ "teapot", NULL, "short and stout", 0, 418, DIAG_CONFIG,
	    "provider says teapot: short and stout: that is not known here" },
};

static void
error_and_suberror_decide(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N(answers); i++) {
		struct refusal r = { .error = answers[i].error,
			.suberror = answers[i].suberror,
			.description = answers[i].description,
			.number = answers[i].number };
		struct diag d = DIAG_INIT;

		(void)advice_refusal(answers[i].status, 0, &r, &d);
		if (d.kind != answers[i].kind ||
		    strstr(d.text, answers[i].says) == NULL)
			fail_msg("row %zu: %s: %s", i, diag_kind_name(d.kind),
			    d.text);
	}
}

static void
unknown_texts_have_no_advice(void **unused)
{
	static const char *const texts[] = { "", " ", "hello", "AADSTS",
		"AADSTS12", "aadsts99999999999999999999", "123456789012",
		"my_invalid_grants", "invalid_grant2", "25.7.57", "5.7.571",
		"250 2.0.0 Ok: queued as C0257AE4804" };

	(void)unused;
	for (size_t i = 0; i < N(texts); i++)
		if (advice_explain(texts[i]) != NULL)
			fail_msg("%s", texts[i]);
	assert_null(advice_mail("invalid_grant AADSTS50076"));
	assert_null(advice_group(N(groups)));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_row_is_found_by_its_text, collect),
		cmocka_unit_test_setup(every_row_can_be_shown, collect),
		cmocka_unit_test(numbers_ascend),
		cmocka_unit_test(numbers_choose_the_advice_only),
		cmocka_unit_test(sentences_are_explained_as_they_were_meant),
		cmocka_unit_test(error_and_suberror_decide),
		cmocka_unit_test(unknown_texts_have_no_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
