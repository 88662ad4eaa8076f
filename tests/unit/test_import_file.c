/* What other programs keep: which of it is a login, and what is said else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "import_file.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CLIENT	 "11111111-2222-3333-4444-555555555555"
#define TOKEN	 "refresh-of-anna"
#define PASSWORD "proxy-password"
#define ENTRA(t) "https://login.microsoftonline.com/" t "/oauth2/v2.0/token"
#define SALT	 "token_salt = AAECAwQFBgcICQoLDA0ODw==\n"

/* TOKEN, sealed with PASSWORD by python3-cryptography. */
#define FERNET "gAAAAABlU_EAEBESExQVFhcYGRobHB0e"
#define SEALED_1000                                                        \
	FERNET "HxYp9WqaXxTF8a8OgucXbLWVSAkf7Majq5eZF-3VgHSnGqD9ek0-6xwXJ" \
	       "T-XECukSA=="
#define SEALED_BEFORE                                                      \
	FERNET "H9Ih6MRjaA_dtK_j2OfbAiEGOYNyIxHVDA3pK0SdnDKjyN6bXMXi1-6Df" \
	       "Wpz7RAWog=="
#define SEALED_SINCE                                                       \
	FERNET "H43Hvb_N-eSXR4D29NkCKXfUQBlNunb8IqqM4zfQVU-OQIK5plQx1n74x" \
	       "yG7WEdLqQ=="
#define SEALED_WORDS                                                       \
	FERNET "H6fJBmNGtRL4-gLFY2vF1UMRbF635hUwOxLfgT6C-_DewRwouxcNwLkaJ" \
	       "I42v7d6Bw=="

#define SX_TOKEN                                                           \
	"{\n\t\"access_token\" : \"access\",\n\t\"client_id\" : \"" CLIENT \
	"\",\n\t\"client_secret\" : \"hidden\",\n"                         \
	"\t\"expiry\" : \"1700000000\",\n\t\"refresh_token\" : \"" TOKEN   \
	"\",\n\t\"token_endpoint\" : \"" ENTRA(                            \
	    "contoso.example") "\",\n"                                     \
			       "\t\"user\" : \"anna@contoso.example\"\n}\n"
#define SX_PLAIN                                                             \
	"{\"access_token\":\"\",\"expiry\":\"0\",\"refresh_token\":\"" TOKEN \
	"\"}"
#define SX_CONF                                            \
	"// see sasl-xoauth2.conf(5)\n{\n"                 \
	"  \"client_id\": \"" CLIENT "\", // \"quoted\"\n" \
	"  /* no secret\n  \"client_secret\": \"x\", */\n" \
	"  \"token_endpoint\": \"" ENTRA("common") "\"\n}\n"
#define MUTT                                                                  \
	"{\"registration\": \"microsoft\", \"authflow\": \"devicecode\", "    \
	"\"email\": \"anna@contoso.example\", \"access_token\": \"access\", " \
	"\"access_token_expiration\": \"2026-11-22T10:00:00.000000\", "       \
	"\"refresh_token\": \"" TOKEN "\"}"
#define OAMA                                                               \
	"{\"access_token\":\"access\",\"email\":\"anna@contoso.example\"," \
	"\"exp_date\":\"2026-11-22 10:00 UTC\",\"expires_in\":3599,"       \
	"\"refresh_token\":\"" TOKEN "\",\"scope\":\"a b\","               \
	"\"service\":\"microsoft\",\"token_type\":\"Bearer\"}"
#define GOOGLE                                                     \
	"{\"type\": \"authorized_user\", \"client_id\": \"" CLIENT \
	"\", \"client_secret\": \"hidden\", \"refresh_token\": \"" TOKEN "\"}"

#define EP_HEAD                                                    \
	"[Email OAuth 2.0 Proxy configuration file]\n"             \
	"documentation = Sections below.\n"                        \
	"\t[this.is@not.one]\n\n\trefresh_token = is not here\n\n" \
	"[SMTP-1587]\nserver_address = smtp.office365.com\n\n"
#define EP_ANNA                                                             \
	"[anna@contoso.example]\npermission_url = https://x.example/?a=b\n" \
	"token_url = " ENTRA(                                               \
	    "contoso.example") "\n"                                         \
			       "client_id = " CLIENT                        \
			       "\nclient_secret = hidden\n" SALT            \
			       "access_token = gAAAAA\naccess_token_expiry = 1700000000\n"
#define EP_BERT                                        \
	"[bert@contoso.example]\nclient_id = x\n" SALT \
	"Refresh_Token = " SEALED_1000 "\ntoken_iterations=1000\n"
#define EP_APP                                                      \
	"[app@contoso.example]\noauth2_flow = client_credentials\n" \
	"access_token = gAAAAA\n" SALT

static const struct {
	const char *text;
	enum import_format format, is;
	const char *mailbox;		     /* that is asked for */
	const char *of, *client_id, *tenant; /* that it tells */
	const char *token;		     /* NULL: of a client only */
} good[] = {
	{ TOKEN, IMPORT_ANY, IMPORT_TOKEN, NULL, NULL, NULL, NULL, TOKEN },
	{ " " TOKEN "\r\n", IMPORT_TOKEN, IMPORT_TOKEN, NULL, NULL, NULL, NULL,
	    TOKEN },
	{ "#" TOKEN, IMPORT_TOKEN, IMPORT_TOKEN, NULL, NULL, NULL, NULL,
	    "#" TOKEN },
	{ "\xef\xbb\xbf" TOKEN, IMPORT_ANY, IMPORT_TOKEN, NULL, NULL, NULL,
	    NULL, TOKEN },
	{ SX_TOKEN, IMPORT_ANY, IMPORT_SASL_XOAUTH2, NULL,
	    "anna@contoso.example", CLIENT, "contoso.example", TOKEN },
	{ SX_TOKEN, IMPORT_SASL_XOAUTH2, IMPORT_SASL_XOAUTH2,
	    "Anna@Contoso.example", "anna@contoso.example", CLIENT,
	    "contoso.example", TOKEN },
	{ SX_PLAIN, IMPORT_ANY, IMPORT_SASL_XOAUTH2, "who@contoso.example",
	    NULL, NULL, NULL, TOKEN },
	{ SX_CONF, IMPORT_ANY, IMPORT_SASL_XOAUTH2, NULL, NULL, CLIENT,
	    "common", NULL },
	{ MUTT, IMPORT_ANY, IMPORT_MUTT, NULL, "anna@contoso.example", NULL,
	    NULL, TOKEN },
	{ OAMA, IMPORT_ANY, IMPORT_OAMA, NULL, "anna@contoso.example", NULL,
	    NULL, TOKEN },
	{ GOOGLE, IMPORT_ANY, IMPORT_JSON, NULL, NULL, CLIENT, NULL, TOKEN },
	{ GOOGLE, IMPORT_OAMA, IMPORT_OAMA, NULL, NULL, CLIENT, NULL, TOKEN },
	{ "\n {\"refresh_token\": \" " TOKEN " \"}\n", IMPORT_JSON, IMPORT_JSON,
	    NULL, NULL, NULL, NULL, TOKEN },
	{ EP_HEAD EP_ANNA "refresh_token = " SEALED_1000
			  "\ntoken_iterations = 1000\n",
	    IMPORT_ANY, IMPORT_EMAIL_PROXY, NULL, "anna@contoso.example",
	    CLIENT, "contoso.example", TOKEN },
	{ EP_HEAD EP_ANNA "refresh_token = " SEALED_BEFORE "\n" EP_APP,
	    IMPORT_EMAIL_PROXY, IMPORT_EMAIL_PROXY, NULL,
	    "anna@contoso.example", CLIENT, "contoso.example", TOKEN },
	{ EP_APP EP_ANNA "refresh_token = " SEALED_SINCE "\n" EP_BERT,
	    IMPORT_ANY, IMPORT_EMAIL_PROXY, "ANNA@contoso.example",
	    "anna@contoso.example", CLIENT, "contoso.example", TOKEN },
	{ EP_ANNA EP_BERT, IMPORT_ANY, IMPORT_EMAIL_PROXY,
	    "bert@contoso.example", "bert@contoso.example", "x", NULL, TOKEN },
	{ "# saved\r\n" EP_BERT, IMPORT_ANY, IMPORT_EMAIL_PROXY, NULL,
	    "bert@contoso.example", "x", NULL, TOKEN },
};

static void
same(const char *is, const char *wanted)
{
	if (wanted == NULL)
		assert_null(is);
	else
		assert_string_equal(is, wanted);
}

static int
parse(const char *text, size_t len, enum import_format format,
    const char *mailbox, struct import_file *f, struct diag *d)
{
	char *copy = malloc(len + 1); /* exact, for ASan */
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = import_file_parse(copy, len, format, mailbox, f, d);
	free(copy);
	return rc;
}

static void
unseal(struct import_file *f)
{
	auto_secret struct secret password = SECRET_INIT;
	struct diag d = DIAG_INIT;

	assert_true(secret_set(&password, "Proxy-password", strlen(PASSWORD)));
	assert_int_equal(import_file_unseal(f, &password, &d), -1);
	assert_int_equal(d.kind, DIAG_CONFIG);
	assert_true(f->sealed);
	assert_true(secret_set(&password, PASSWORD, strlen(PASSWORD)));
	assert_int_equal(import_file_unseal(f, &password, &d), 0);
	assert_false(f->sealed);
}

static void
each_program_s_login_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct import_file f = IMPORT_FILE_INIT;
		struct diag d = DIAG_INIT;

		if (parse(good[i].text, strlen(good[i].text), good[i].format,
			good[i].mailbox, &f, &d) < 0)
			fail_msg("%zu: %s", i, d.text);
		if (f.sealed)
			unseal(&f);
		if (f.format != good[i].is)
			fail_msg("%zu: %s", i, import_format_name(f.format));
		same(f.mailbox, good[i].of);
		same(f.client_id, good[i].client_id);
		same(f.tenant, good[i].tenant);
		same(f.refresh_token.ptr, good[i].token);
		import_file_wipe(&f);
	}
}

static const struct {
	const char *text;
	enum import_format format;
	const char *mailbox, *says;
} bad[] = {
	{ "", IMPORT_ANY, NULL, "empty" },
	{ " \r\n", IMPORT_ANY, NULL, "empty" },
	{ "two words", IMPORT_ANY, NULL, "more than one word" },
	{ "{", IMPORT_ANY, NULL, "all of it" },
	{ "{}", IMPORT_ANY, NULL, "nothing that lasts" },
	{ "{\"refresh_token\": 7}", IMPORT_ANY, NULL, "no refresh_token" },
	{ "{\"refresh_token\": \"\"}", IMPORT_ANY, NULL, "no refresh token" },
	{ "{\"refresh_token\": \"a\\u0001b\"}", IMPORT_ANY, NULL,
	    "characters" },
	{ "{\"refresh_token\": \"a\\u0000b\"}", IMPORT_ANY, NULL,
	    "no refresh_token" },
	{ "{\"access_token\": \"a\"}", IMPORT_ANY, NULL, "only an access" },
	{ "{\"refresh_token\": \"a\", \"client_id\": \"\\u001b[2J\"}",
	    IMPORT_ANY, NULL, "control characters" },
	{ "{\"refresh_token\": \"a\", \"token_uri\": "
	  "\"https://login.microsoftonline.com/x\\u001b/oauth2\"}",
	    IMPORT_ANY, NULL, "control characters" },
	{ "[\"refresh_token\"]", IMPORT_JSON, NULL, "form of json" },
	{ MUTT "x", IMPORT_ANY, NULL, "all of it" },
	{ MUTT, IMPORT_TOKEN, NULL, "form of token" },
	{ MUTT, IMPORT_EMAIL_PROXY, NULL, "form of email-oauth2-proxy" },
	{ MUTT, IMPORT_ANY, "bert@contoso.example", "not of bert@" },
	{ TOKEN, IMPORT_OAMA, NULL, "form of oama" },
	{ "-----BEGIN PGP MESSAGE-----\n\nx", IMPORT_ANY, NULL, "gpg -d" },
	{ "\x85\x01\x0c\x03", IMPORT_MUTT, NULL, "gpg -d" },
	{ "age-encryption.org/v1\n-> x", IMPORT_ANY, NULL, "age -d" },
	{ "\x01\x02\x03", IMPORT_ANY, NULL, "mailtoken login" },
	{ EP_HEAD, IMPORT_ANY, NULL, "nobody has logged in" },
	{ EP_HEAD EP_ANNA, IMPORT_ANY, NULL, "nobody has logged in" },
	{ EP_ANNA, IMPORT_ANY, "anna@contoso.example", "for that mailbox" },
	{ EP_APP, IMPORT_ANY, "app@contoso.example", "client_credentials" },
	{ EP_BERT, IMPORT_ANY, "anna@contoso.example", "no section [anna@" },
	{ EP_BERT "[c@contoso.example]\nrefresh_token=x\n", IMPORT_ANY, NULL,
	    "2 mailboxes" },
	{ "[a]\nrefresh_token=x\n", IMPORT_ANY, NULL, "no token_salt" },
	{ "[a]\nrefresh_token=x\ntoken_salt=%\n", IMPORT_ANY, NULL, "damaged" },
	{ EP_BERT "token_iterations=0\n", IMPORT_ANY, NULL,
	    "token_iterations" },
	{ EP_BERT "token_iterations=1e9\n", IMPORT_ANY, NULL,
	    "token_iterations" },
	{ EP_BERT "token_iterations=99999999999\n", IMPORT_ANY, NULL,
	    "token_iterations" },
};

static void
nonsense_is_refused_with_what_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct import_file f = IMPORT_FILE_INIT;
		struct diag d = DIAG_INIT;

		if (parse(bad[i].text, strlen(bad[i].text), bad[i].format,
			bad[i].mailbox, &f, &d) == 0)
			fail_msg("%zu is taken", i);
		assert_int_equal(d.kind, DIAG_CONFIG);
		if (strstr(d.text, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, d.text);
		assert_null(strstr(d.text, TOKEN));
		assert_null(f.refresh_token.ptr);
	}
}

static void
a_nul_and_too_much_are_refused(void **state)
{
	static char big[IMPORT_FILE_MAX + 2];
	struct import_file f = IMPORT_FILE_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(parse("a\0b", 3, IMPORT_ANY, NULL, &f, &d), -1);
	memset(big, 'x', sizeof(big));
	assert_int_equal(
	    parse(big, IMPORT_FILE_MAX + 1, IMPORT_ANY, NULL, &f, &d), -1);
	assert_non_null(strstr(d.text, "bytes"));
	assert_int_equal(parse(big, 30000, IMPORT_ANY, NULL, &f, &d), -1);
}

/* Each bit of a sealed token counts. */
static void
what_was_altered_is_not_opened(void **state)
{
	auto_secret struct secret password = SECRET_INIT;
	struct import_file f = IMPORT_FILE_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_true(secret_set(&password, PASSWORD, strlen(PASSWORD)));
	assert_int_equal(
	    parse(EP_BERT, strlen(EP_BERT), IMPORT_ANY, NULL, &f, &d), 0);
	f.iterations = 1000;
	for (size_t i = 0; i < f.refresh_token.len; i += 7) {
		char *c = &f.refresh_token.ptr[i], was = *c;

		if (was == '=')
			continue;
		*c = was == 'B' ? 'C' : 'B';
		assert_int_equal(import_file_unseal(&f, &password, &d), -1);
		assert_true(f.sealed);
		*c = was;
	}
	assert_int_equal(import_file_unseal(&f, &password, &d), 0);
	import_file_wipe(&f);
}

static void
what_is_sealed_must_be_a_token(void **state)
{
	auto_secret struct secret password = SECRET_INIT;
	struct import_file f = IMPORT_FILE_INIT;
	struct diag d = DIAG_INIT;
	const char *text = "[a]\n" SALT "token_iterations=1000\n"
			   "refresh_token = " SEALED_WORDS;

	(void)state;
	assert_true(secret_set(&password, PASSWORD, strlen(PASSWORD)));
	assert_int_equal(
	    parse(text, strlen(text), IMPORT_ANY, NULL, &f, &d), 0);
	assert_int_equal(import_file_unseal(&f, &password, &d), -1);
	assert_non_null(strstr(d.text, "more than one word"));
	assert_null(strstr(d.text, "two words"));
	import_file_wipe(&f);
}

static void
formats_have_names(void **state)
{
	enum import_format f = IMPORT_ANY;

	(void)state;
	for (unsigned i = 0; i < IMPORT__COUNT; i++) {
		assert_true(import_format_parse(
		    import_format_name((enum import_format)i), &f));
		assert_int_equal(f, i);
	}
	assert_false(import_format_parse("pizauth", &f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_program_s_login_is_read),
		cmocka_unit_test(nonsense_is_refused_with_what_to_do),
		cmocka_unit_test(a_nul_and_too_much_are_refused),
		cmocka_unit_test(what_was_altered_is_not_opened),
		cmocka_unit_test(what_is_sealed_must_be_a_token),
		cmocka_unit_test(formats_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
