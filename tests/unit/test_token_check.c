/* What is found in tokens of the shapes that providers document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "config.h"
#include "exchange_online.h"
#include "token_check.h"

#define NOW    1790000000
#define TENANT "aaaaaaaa-1111-2222-3333-444444444444"
#define APP    "11111111-2222-3333-4444-555555555555"
#define OID    "99999999-8888-7777-6666-555555555555"
#define ISS    "\"iss\":\"https://sts.windows.net/" TENANT "/\","
#define TIMES  "\"iat\":1789999000,\"nbf\":1789999000,\"exp\":1790003000"
#define MICROSOFT(aud)                                                        \
	"{\"aud\":\"" aud "\"," ISS "\"tid\":\"" TENANT "\",\"appid\":\"" APP \
	"\",\"oid\":\"" OID "\"," TIMES ","
#define PERSON(aud, scp)                                                      \
	MICROSOFT(aud)                                                        \
	"\"upn\":\"relay@contoso.example\",\"idtyp\":\"user\",\"scp\":\"" scp \
	"\"}"
#define ROBOT(aud, roles) \
	MICROSOFT(aud) "\"idtyp\":\"app\",\"roles\":[" roles "]}"
#define OFFICE	  "https://outlook.office.com"
#define OFFICE365 "https://outlook.office365.com"

static const char conf[] = "[account relay@contoso.example]\n"
			   "provider = microsoft\n"
			   "tenant = " TENANT "\n"
			   "grant = refresh_token\n"
			   "client_id = " APP "\n"
			   "services = smtp imap\n"
			   "[account robot]\n"
			   "provider = microsoft\n"
			   "tenant = contoso.example\n"
			   "grant = client_credentials\n"
			   "client_id = " APP "\n"
			   "client_secret = file:/secret\n"
			   "services = smtp imap\n"
			   "[account any]\n"
			   "provider = microsoft\n"
			   "cloud = gcc-high\n"
			   "tenant = contoso.example\n"
			   "grant = client_credentials\n"
			   "client_id = " APP "\n"
			   "client_secret = file:/secret\n";

/* keys: the findings in order, each followed by a blank. */
static const struct {
	const char *account, *claims, *keys;
} cases[] = {
	{ "relay@contoso.example",
	    PERSON(OFFICE, "IMAP.AccessAsUser.All SMTP.Send"), "" },
	{ "relay@contoso.example",
	    PERSON(OFFICE "/", "smtp.send imap.accessasuser.all POP"), "" },
	{ "relay@contoso.example",
	    PERSON("00000002-0000-0ff1-ce00-000000000000",
		"IMAP.AccessAsUser.All SMTP.Send"),
	    "" },
	{ "relay@contoso.example",
	    PERSON("00000002-0000-0ff1-ce00-000000000000/"
		   "outlook.office365.com@contoso",
		"IMAP.AccessAsUser.All SMTP.Send"),
	    "" },
	{ "relay@contoso.example",
	    PERSON(
		OFFICE, OFFICE "/IMAP.AccessAsUser.All " OFFICE "/SMTP.Send"),
	    "" },
	{ "relay@contoso.example", PERSON(OFFICE, "IMAP.AccessAsUser.All"),
	    "missing_permission " },
	/* Not the words, but longer ones. */
	{ "relay@contoso.example",
	    PERSON(OFFICE, "XIMAP.AccessAsUser.All SMTP.SendAsApp"),
	    "missing_permission missing_permission " },
	{ "relay@contoso.example",
	    PERSON("00000003-0000-0000-c000-000000000000", "SMTP.Send"),
	    "audience_graph " },
	{ "relay@contoso.example",
	    PERSON("https://graph.microsoft.com", "SMTP.Send"),
	    "audience_graph " },
	{ "relay@contoso.example",
	    PERSON("https://outlook.office.com.example", "SMTP.Send"),
	    "audience " },
	{ "relay@contoso.example", PERSON("", "SMTP.Send"), "audience " },
	{ "robot", ROBOT(OFFICE365, "\"SMTP.SendAsApp\",\"IMAP.AccessAsApp\""),
	    "" },
	{ "robot", ROBOT(OFFICE365, "\"SMTP.SendAsApp\""),
	    "missing_permission " },
	{ "robot", ROBOT(OFFICE365, ""),
	    "missing_permission missing_permission " },
	{ "robot", ROBOT("https://graph.microsoft.com", "\"Mail.Send\""),
	    "audience_graph " },
	{ "any", ROBOT("https://outlook.office365.us", "\"POP.AccessAsApp\""),
	    "" },
	{ "any", ROBOT(OFFICE365, "\"Mail.Send\""), "" },
	{ "any", ROBOT(OFFICE365, "\"full_access_as_app\""),
	    "missing_permission " },
	/* Without idtyp, as where it is no optional claim. */
	{ "any", MICROSOFT(OFFICE365) "\"roles\":[\"SMTP.SendAsApp\"]}", "" },
	/* Nobody's configuration. */
	{ NULL, PERSON(OFFICE, "SMTP.Send"), "" },
	{ NULL, PERSON(OFFICE, "openid"), "missing_permission " },
	/* Other providers' tokens have no rules but their times. */
	{ "relay@contoso.example",
	    "{\"iss\":\"https://login.example\",\"aud\":\"mail\","
	    "\"email\":\"relay@contoso.example\"," TIMES "}",
	    "" },
	{ "relay@contoso.example", "{\"exp\":1789999999}", "expired " },
	{ "relay@contoso.example", "{\"nbf\":1790001000}", "not_yet_valid " },
	{ "relay@contoso.example", "{\"nbf\":1790000100}", "" },
	{ "relay@contoso.example", "{}", "" },
	{ "relay@contoso.example", "{\"aud\":5,\"upn\":[],\"roles\":{}}", "" },
	{ "relay@contoso.example", "{\"upn\":\"anna@contoso.example\"}",
	    "other_user " },
	{ "relay@contoso.example", "{\"upn\":\"Relay@Contoso.Example\"}", "" },
	{ "relay@contoso.example",
	    "{\"aud\":\"" OFFICE "\"," ISS
	    "\"tid\":\"bbbbbbbb-1111-2222-3333-444444444444\","
	    "\"azp\":\"22222222-2222-3333-4444-555555555555\","
	    "\"scp\":\"SMTP.Send IMAP.AccessAsUser.All\"," TIMES "}",
	    "tenant client_id " },
	/* A tenant's name cannot be compared. */
	{ "robot",
	    "{\"aud\":\"" OFFICE365 "\"," ISS "\"idtyp\":\"app\","
	    "\"tid\":\"bbbbbbbb-1111-2222-3333-444444444444\",\"roles\":"
	    "[\"SMTP.SendAsApp\",\"IMAP.AccessAsApp\"]," TIMES "}",
	    "" },
};

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	fail_msg("%s", d->text);
}

static int
setup(void **state)
{
	*state = config_parse(conf, sizeof(conf) - 1, "test", complain, NULL);
	return *state == NULL;
}

static int
teardown(void **state)
{
	struct config *c = *state;

	config_unref(&c);
	return 0;
}

static void
expect_sentences(const struct token_finding *f)
{
	assert_true(strlen(f->cause) > 10 && strlen(f->todo) > 10);
	/* Neither is cut. */
	assert_true(strlen(f->cause) < sizeof(f->cause) - 1);
	assert_true(strlen(f->todo) < sizeof(f->todo) - 1);
	for (const char *s = f->cause; *s != '\0'; s++)
		assert_in_range(*s, ' ', '~');
}

static void
claims_lead_to_findings(void **state)
{
	struct token_finding found[TOKEN_FINDINGS_MAX];
	struct token_facts facts;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct account *a =
		    cases[i].account == NULL ?
			NULL :
			config_account(*state, cases[i].account);
		auto_json struct json *claims =
		    json_read(cases[i].claims, strlen(cases[i].claims), 65536);
		char keys[256] = "";
		size_t n;

		assert_non_null(claims);
		token_facts_read(claims, &facts);
		n = token_check(&facts, a,
		    cases[i].account == NULL ||
			    strchr(cases[i].account, '@') == NULL ?
			NULL :
			cases[i].account,
		    NOW, found);
		for (size_t k = 0; k < n; k++) {
			strcat(strcat(keys, found[k].key), " ");
			expect_sentences(&found[k]);
		}
		if (strcmp(keys, cases[i].keys) != 0)
			fail_msg(
			    "case %zu: '%s', not '%s'", i, keys, cases[i].keys);
	}
}

static void
facts_are_read(void **state)
{
	static const char text[] = ROBOT(OFFICE365, "\"SMTP.SendAsApp\",\"x\"");
	auto_json struct json *claims = json_read(text, strlen(text), 65536);
	struct token_facts f;

	(void)state;
	token_facts_read(claims, &f);
	assert_true(f.microsoft && f.app_only);
	assert_string_equal(f.audience, OFFICE365);
	assert_string_equal(f.tenant, TENANT);
	assert_string_equal(f.app_id, APP);
	assert_string_equal(f.object_id, OID);
	assert_null(f.user);
	assert_string_equal(token_facts_role(&f, 1), "x");
	assert_null(token_facts_role(&f, 2));
	assert_int_equal(f.issued_at, 1789999000);
	assert_int_equal(f.expires_at, 1790003000);
}

static void
absurd_times_are_bounded(void **state)
{
	static const char text[] = "{\"exp\":9223372036854775807,"
				   "\"nbf\":-9223372036854775808}";
	auto_json struct json *claims = json_read(text, strlen(text), 65536);
	struct token_facts f;

	(void)state;
	token_facts_read(claims, &f);
	assert_int_equal(f.expires_at, 253402300799);
	assert_int_equal(f.not_before, 0);
}

static void
guids_have_one_shape(void **state)
{
	(void)state;
	assert_true(token_is_guid(APP));
	assert_true(token_is_guid("ABCDEFab-1111-2222-3333-444444444444"));
	assert_false(token_is_guid(NULL));
	assert_false(token_is_guid(""));
	assert_false(token_is_guid(APP "0"));
	assert_false(token_is_guid("11111111-2222-3333-4444-55555555555"));
	assert_false(token_is_guid("11111111-2222-3333-4444-55555555555;"));
	assert_false(token_is_guid("111111112-222-3333-4444-555555555555"));
}

static void
claims_are_shown_safely(void **state)
{
	char small[8];

	(void)state;
	assert_string_equal(
	    token_show("a\033[2J\xc2\x9b", small, 8), "a?[2J??");
	assert_string_equal(token_show("abcdefghij", small, 8), "abcd...");
	assert_string_equal(token_show(NULL, small, 8), "");
}

static void
addresses_are_strict(void **state)
{
	static const char *const good[] = { "relay@contoso.example",
		"o'brien@contoso.example", "a+b@x" };
	static const char *const bad[] = { "", "relay", "@x", "a@", "a@b@c",
		"a b@x", "a\"@x", "a$(x)@x", "a`n@x", "a;b@x", "a\n@x",
		"\xe2\x80\x99@x" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(exchange_online_address(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(exchange_online_address(bad[i]));
	assert_false(exchange_online_address(NULL));
}

static void
expect_script(const struct account *a, const char *text, const char *mailbox,
    const char *expected)
{
	auto_json struct json *claims = json_read(text, strlen(text), 65536);
	auto_buf struct buf b = BUF_INIT(8192);
	struct token_facts f;

	token_facts_read(claims, &f);
	exchange_online_setup(&b, &f, a, mailbox);
	buf_add(&b, "", 1);
	assert_false(b.failed);
	assert_string_equal(b.ptr, expected);
}

static void
powershell_is_for_this_application(void **state)
{
	expect_script(config_account(*state, "robot"), ROBOT(OFFICE365, ""),
	    "o'brien@contoso.example",
	    "Connect-ExchangeOnline\n"
	    "New-ServicePrincipal -AppId " APP " -ObjectId " OID "\n"
	    "Add-MailboxPermission -Identity 'o''brien@contoso.example' "
	    "-User " OID " -AccessRights FullAccess\n"
	    "Add-RecipientPermission -Identity 'o''brien@contoso.example' "
	    "-Trustee " OID " -AccessRights SendAs -Confirm:$false\n"
	    "Set-CASMailbox -Identity 'o''brien@contoso.example' "
	    "-SmtpClientAuthenticationDisabled $false\n"
	    "Get-TransportConfig | Format-List "
	    "SmtpClientAuthenticationDisabled\n");
}

/* Whoever makes the token must not write on the administrator's screen. */
static void
hostile_claims_stay_out_of_powershell(void **state)
{
	expect_script(config_account(*state, "any"),
	    "{\"appid\":\"x; Remove-Mailbox anna\",\"oid\":\"" OID "\\n\"}",
	    "a'; b",
	    "Connect-ExchangeOnline -ExchangeEnvironmentName "
	    "O365USGovGCCHigh\n"
	    "New-ServicePrincipal -AppId <APPLICATION_ID> -ObjectId "
	    "<OBJECT_ID_OF_THE_ENTERPRISE_APPLICATION>\n"
	    "Add-MailboxPermission -Identity <MAILBOX> -User "
	    "<OBJECT_ID_OF_THE_ENTERPRISE_APPLICATION> -AccessRights "
	    "FullAccess\n"
	    "Add-RecipientPermission -Identity <MAILBOX> -Trustee "
	    "<OBJECT_ID_OF_THE_ENTERPRISE_APPLICATION> -AccessRights SendAs "
	    "-Confirm:$false\n"
	    "Set-CASMailbox -Identity <MAILBOX> "
	    "-SmtpClientAuthenticationDisabled $false\n"
	    "Get-TransportConfig | Format-List "
	    "SmtpClientAuthenticationDisabled\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_lead_to_findings),
		cmocka_unit_test(facts_are_read),
		cmocka_unit_test(absurd_times_are_bounded),
		cmocka_unit_test(guids_have_one_shape),
		cmocka_unit_test(claims_are_shown_safely),
		cmocka_unit_test(addresses_are_strict),
		cmocka_unit_test(powershell_is_for_this_application),
		cmocka_unit_test(hostile_claims_stay_out_of_powershell),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
