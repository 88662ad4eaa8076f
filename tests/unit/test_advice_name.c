/* What a person reads names the account, and can be given to a shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advice.h"
#include "advice_name.h"
#include "wire.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define RELAY	 "relay@contoso.example"
#define TWICE \
	"mailtoken refresh ACCOUNT; if that does not help, mailtoken login ACCOUNT"

static const struct {
	const char *text, *account, *named; /* NULL: as it was */
} texts[] = {
	{ "mailtoken login ACCOUNT", RELAY, "mailtoken login " RELAY },
	{ "x: mailtoken login ACCOUNT, and accept", RELAY,
	    "x: mailtoken login " RELAY ", and accept" },
	{ TWICE, RELAY,
	    "mailtoken refresh " RELAY
	    "; if that does not help, mailtoken login " RELAY },
	{ "mailtoken test ACCOUNT --refresh", "a",
	    "mailtoken test a --refresh" },
	/* A shell would look for files, or run something. */
	{ "mailtoken login ACCOUNT", "*@contoso.example",
	    "mailtoken login '*@contoso.example'" },
	{ "mailtoken login ACCOUNT", "a&b@contoso.example",
	    "mailtoken login 'a&b@contoso.example'" },
	{ "mailtoken login ACCOUNT", "$(id)@contoso.example",
	    "mailtoken login '$(id)@contoso.example'" },
	{ "mailtoken login ACCOUNT", "o'neil@contoso.example", NULL },
	/* Other people's words stay as they are. */
	{ "the ACCOUNT is locked", RELAY, NULL },
	{ "ACCOUNT", RELAY, NULL },
	{ "login ACCOUNT", RELAY, NULL },
	{ "mailtoken ACCOUNT", RELAY, NULL },
	{ "mailtoken  ACCOUNT", RELAY, NULL },
	{ "mailtoken login my ACCOUNT", RELAY, NULL },
	{ "mailtoken login ACCOUNT_ID", RELAY, NULL },
	{ "mailtoken login ACCOUNTS", RELAY, NULL },
	{ "no command", RELAY, NULL },
	{ "", RELAY, NULL },
	/* A name is no placeholder. */
	{ "mailtoken login ACCOUNT", "ACCOUNT", "mailtoken login ACCOUNT" },
};

static void
commands_name_the_account(void **unused)
{
	char ret[ADVICE_NAMED_MAX];

	(void)unused;
	for (size_t i = 0; i < N(texts); i++) {
		const char *named = advice_named(
		    texts[i].text, texts[i].account, ret, sizeof(ret));

		if (texts[i].named == NULL)
			assert_ptr_equal(named, texts[i].text);
		else
			assert_string_equal(named, texts[i].named);
	}
}

#define N40 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define LONGEST \
	"*@" N40 N40 N40 N40 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" /* 200 */

static const struct {
	const char *account, *word;
} words[] = {
	{ RELAY, RELAY },
	{ "Anna_B-2+news=x,y%z@contoso.example",
	    "Anna_B-2+news=x,y%z@contoso.example" },
	{ "*@contoso.example", "'*@contoso.example'" },
	{ "`id`@contoso.example", "'`id`@contoso.example'" },
	{ "$(id)", "'$(id)'" },
	{ "a|id", "'a|id'" },
	{ "a&id&", "'a&id&'" },
	{ "a>b<c", "'a>b<c'" },
	{ "a!b", "'a!b'" },
	{ "a{b,c}", "'a{b,c}'" },
	{ "a?b", "'a?b'" },
	{ "a#b", "'a#b'" },
	{ "a^b", "'a^b'" },
	{ "~root", "'~root'" },
	{ "=id", "'=id'" },
	{ "_a", "'_a'" },
	{ LONGEST, "'" LONGEST "'" },
	/* No quotes help, or it is no account's name. */
	{ "o'neil@contoso.example", "ACCOUNT" },
	{ "';id;'", "ACCOUNT" },
	{ "a;id", "ACCOUNT" },
	{ "a\nid", "ACCOUNT" },
	{ "a id", "ACCOUNT" },
	{ "-s", "ACCOUNT" },
	{ "", "ACCOUNT" },
	{ LONGEST "n", "ACCOUNT" },
	{ NULL, "ACCOUNT" },
};

static void
a_name_is_one_word_for_a_shell(void **unused)
{
	char ret[ADVICE_WORD_MAX];

	(void)unused;
	for (size_t i = 0; i < N(words); i++) {
		assert_ptr_equal(advice_word(words[i].account, ret), ret);
		assert_string_equal(ret, words[i].word);
		assert_string_equal(
		    ADVICE_WORD(words[i].account), words[i].word);
	}
}

static void
what_has_no_room_stays(void **unused)
{
	static const char text[] = "mailtoken login ACCOUNT!";
	static const char named[] = "mailtoken login " RELAY "!";
	char ret[sizeof(named) + 1];

	(void)unused;
	for (size_t size = 1; size <= sizeof(ret); size++) {
		memset(ret, '#', sizeof(ret));
		if (size < sizeof(named))
			assert_ptr_equal(
			    advice_named(text, RELAY, ret, size), text);
		else
			assert_string_equal(
			    advice_named(text, RELAY, ret, size), named);
		for (size_t i = size; i < sizeof(ret); i++)
			assert_int_equal(ret[i], '#');
	}
}

/* The end of a sentence is what helps: none is lost for a name. */
static void
the_longest_name_costs_no_word(void **unused)
{
	char name[WIRE_ACCOUNT_MAX + 1] = "";
	struct diag d = DIAG_INIT;

	(void)unused;
	memset(name, 'n', sizeof(name) - 1);
	for (size_t n = 0; n < sizeof(d.text) - sizeof(TWICE) - 2; n++) {
		(void)diag_set(
		    &d, DIAG_REAUTH, "%*s: " TWICE, (int)n, "provider says");
		advice_name(&d, name);
		if (strstr(d.text, name) != NULL)
			(void)diag_wrap(&d, "account %s", name);
		assert_null(strstr(d.text, "..."));
		assert_int_equal(d.kind, DIAG_REAUTH);
	}
}

static void
names_are_put_in_front_once(void **unused)
{
	static const char *const unnamed[] = { "provider says x",
		"no refresh token yet: run mailtoken login " RELAY,
		"no refresh token yet: run mailtoken login '" RELAY "'", "" };
	static const char *const has[] = { "account " RELAY ": x",
		"/var/lib/mailtoken/" RELAY ".grant: x",
		"x: mailtoken login " RELAY " for account " RELAY,
		RELAY ": not locked" };
	struct diag d = DIAG_INIT;

	(void)unused;
	for (size_t i = 0; i < N(unnamed); i++) {
		(void)diag_set(&d, DIAG_RETRY, "%s", unnamed[i]);
		advice_name_wrap(&d, RELAY);
		assert_memory_equal(d.text, "account " RELAY ": ", 31);
		assert_string_equal(d.text + 31, unnamed[i]);
	}
	for (size_t i = 0; i < N(has); i++) {
		(void)diag_set(&d, DIAG_RETRY, "%s", has[i]);
		advice_name_wrap(&d, RELAY);
		assert_string_equal(d.text, has[i]);
	}
}

static void
sentences_are_known_again(void **unused)
{
	(void)unused;
	assert_true(advice_name_is_in(TWICE, "a: " TWICE));
	assert_true(advice_name_is_in(TWICE,
	    "mailtoken refresh a; if that does not help, mailtoken login a"));
	assert_true(advice_name_is_in("mailtoken login ACCOUNT, and accept",
	    "so: mailtoken login a,b@contoso.example, and accept"));
	assert_true(advice_name_is_in(
	    "mailtoken login ACCOUNT", "mailtoken login '*@contoso.example'"));
	assert_false(
	    advice_name_is_in("mailtoken login ACCOUNT", "mailtoken "));
	assert_false(
	    advice_name_is_in("mailtoken login ACCOUNT", "mailtoken login "));
	assert_false(advice_name_is_in("mailtoken login ACCOUNT, and accept",
	    "mailtoken login relay and accept"));
	assert_false(advice_name_is_in("x", ""));
}

/* Every row is explained in the form in which the agent says it, too. */
static void
every_row_is_known_with_a_name(void **unused)
{
	static const char *const accounts[] = { RELAY, "*@contoso.example" };
	const struct advice_rows *g;
	char text[2 * ADVICE_NAMED_MAX], ret[2 * ADVICE_NAMED_MAX];
	unsigned named = 0;

	(void)unused;
	for (size_t i = 0; (g = advice_group(i)) != NULL; i++)
		for (size_t j = 0; j < g->n * N(accounts); j++) {
			const struct advice *a = &g->row[j / N(accounts)];
			const struct advice *found;
			const char *said;

			(void)snprintf(text, sizeof(text),
			    "account x: provider says y (%s): %s: %s",
			    g == &advice_numbers ? a->key : "z", a->cause,
			    a->todo);
			said = advice_named(
			    text, accounts[j % N(accounts)], ret, sizeof(ret));
			named += said == ret;
			assert_null(strstr(said, "ACCOUNT"));
			found = advice_explain(said);
			assert_non_null(found);
			assert_ptr_equal(found, advice_explain(text));
		}
	assert_true(named > 100);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_one_word_for_a_shell),
		cmocka_unit_test(commands_name_the_account),
		cmocka_unit_test(what_has_no_room_stays),
		cmocka_unit_test(the_longest_name_costs_no_word),
		cmocka_unit_test(names_are_put_in_front_once),
		cmocka_unit_test(sentences_are_known_again),
		cmocka_unit_test(every_row_is_known_with_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
