/* Where a section says that a login is good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "login_place.h"
#include "parse_config.h"

#define MICROSOFT(line)           \
	"[account a]\n"           \
	"provider = microsoft\n"  \
	"grant = refresh_token\n" \
	"client_id = 1111\nservices = imap\n" line "\n"
#define PERSONAL                   \
	"[account a]\n"            \
	"provider = outlook.com\n" \
	"grant = refresh_token\n"  \
	"client_id = 1111\nservices = imap\n"
#define GMAIL                     \
	"[account a]\n"           \
	"provider = google\n"     \
	"grant = refresh_token\n" \
	"client_id = 1111\nclient_secret = file:/nonexistent/secret\n"
#define AT(url)	   CUSTOM("token_endpoint = " url)
#define PLAIN(url) AT(url) "insecure_http = yes\n"

static struct config *
read_one(const char *text)
{
	struct heard h;
	struct config *c = parse(text, &h);

	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	assert_int_equal(c->n_accounts, 1);
	return c;
}

static int64_t
place_of(const char *text)
{
	struct config *c = read_one(text);
	int64_t place = login_place(c->accounts[0]);

	assert_true(place > 0);
	config_unref(&c);
	return place;
}

/* Groups of sections at one server, each with an empty row behind it. */
static const char *const servers[] = {
	MICROSOFT("tenant = common"),
	MICROSOFT("tenant = organizations"),
	MICROSOFT("tenant = contoso.example"),
	MICROSOFT("tenant = contoso.example\nscope = mail"),
	PERSONAL,
	AT("https://login.microsoftonline.com/common/oauth2/v2.0/token"),
	NULL,
	MICROSOFT("tenant = contoso.example\ncloud = china"),
	NULL,
	MICROSOFT("tenant = contoso.example\ncloud = gcc-high"),
	NULL,
	GMAIL,
	NULL,
	AT("https://id.example.com/token"),
	AT("https://id.example.com"),
	AT("https://id.example.com?tenant=1"),
	AT("HTTPS://ID.Example.COM/other"),
	AT("https://id.example.com:443/token"),
	CUSTOM("issuer = https://id.example.com"),
	CUSTOM("issuer = https://id.example.com/realms/mail"),
	NULL,
	AT("https://id.example.com:8443/token"),
	CUSTOM("issuer = https://id.example.com:8443"),
	NULL,
	AT("https://id.example.com:44/token"),
	NULL,
	AT("https://id.example.com:80/token"),
	NULL,
	AT("https://id.example.com.example.net/token"),
	NULL,
	AT("https://id.example.net/id.example.com/token"),
	NULL,
	AT("https://localhost/token"),
	NULL,
	PLAIN("http://localhost/token"),
	PLAIN("http://localhost:80/token"),
	NULL,
	PLAIN("http://localhost:443/token"),
	NULL,
	PLAIN("http://127.0.0.1/token"),
	NULL,
	PLAIN("http://[::1]/token"),
	PLAIN("http://[::1]:80/token"),
	NULL,
};

static void
tells_servers_apart(void **unused)
{
	int64_t seen[COUNT(servers)] = { 0 };
	unsigned server[COUNT(servers)], at = 0;

	(void)unused;
	for (size_t i = 0; i < COUNT(servers); i++) {
		server[i] = at;
		if (servers[i] == NULL) {
			at++;
			continue;
		}
		seen[i] = place_of(servers[i]);
		for (size_t k = 0; k < i; k++)
			if (servers[k] != NULL &&
			    (seen[k] == seen[i]) != (server[k] == server[i]))
				fail_msg("%s\n%s", servers[k], servers[i]);
	}
}

static void
a_machine_has_none(void **unused)
{
	struct config *c = read_one(MANAGED(""));

	(void)unused;
	assert_int_equal(login_place(c->accounts[0]), 0);
	config_unref(&c);
}

static void
says_what_to_do(void **unused)
{
	int64_t there = place_of(GMAIL);
	struct config *c = read_one(AT("https://id.example.com:443/token"));
	const struct account *a = c->accounts[0];
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_int_equal(login_place_check(a, 0, &d), 0);
	assert_int_equal(login_place_check(a, login_place(a), &d), 0);
	assert_int_equal(d.kind, DIAG_OK);
	assert_true(login_place_same(a, 0));
	assert_true(login_place_same(a, login_place(a)));
	assert_false(login_place_same(a, there));
	assert_int_equal(login_place_check(a, there, &d), -1);
	assert_int_equal(d.kind, DIAG_REAUTH);
	assert_string_equal(d.text,
	    "the login is of another provider than id.example.com, and "
	    "nothing was sent there: run mailtoken login a, or change the "
	    "section back");
	config_unref(&c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tells_servers_apart, clear_variables),
		cmocka_unit_test_setup(a_machine_has_none, clear_variables),
		cmocka_unit_test_setup(says_what_to_do, clear_variables),
	};

	return cmocka_run_group_tests_name("login_place", tests, NULL, NULL);
}
