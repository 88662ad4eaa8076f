/* The configuration of accounts, grant by grant, and their environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "config.h"
#include "parse_config.h"

static void
takes_further_grants(void **unused)
{
	struct heard h;
	struct config *c = parse(
	    CERT("client_key = pkcs11:token=t;object=k\n"
		 "client_key_passphrase = file:/p\n"
		 "assertion_algorithm = RS256") "[account cert2]\n"
						"provider = custom\n"
						"grant = refresh_token\n"
						"client_id = 1\n"
						"client_certificate = /c\n"
						"client_key = file:/k\n"
						"issuer = https://a.example\n"
						"authorization_endpoint = "
						"https://a.example/a\n"
						"device_authorization_endpoint "
						"= https://a.example/d\n"
						"revocation_endpoint = "
						"https://a.example/r\n"
						"[account secret]\n"
						"provider = microsoft\n"
						"tenant = a.example\n"
						"cloud = china\n"
						"grant = client_credentials\n"
						"client_id = 1\n"
						"client_secret = file:/s\n"
						"client_secret_expires = "
						"2027-03-31\n",
	    &h);
	const struct account *a;

	(void)unused;
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	a = config_account(c, "a");
	assert_string_equal(a->client_certificate, "/nonexistent/c.pem");
	assert_string_equal(a->client_key, "pkcs11:token=t;object=k");
	assert_string_equal(a->client_key_passphrase.name, "/p");
	assert_int_equal(a->client_key_passphrase.line, 8);
	assert_int_equal(a->assertion_alg, ASSERTION_RS256);
	assert_string_equal(a->tenant, "contoso.example");
	assert_null(a->cloud);
	a = config_account(c, "cert2");
	assert_string_equal(a->client_key, "/k");
	assert_int_equal(a->assertion_alg, ASSERTION_PS256);
	assert_string_equal(a->authorization_endpoint, "https://a.example/a");
	assert_string_equal(
	    a->device_authorization_endpoint, "https://a.example/d");
	assert_string_equal(a->revocation_endpoint, "https://a.example/r");
	a = config_account(c, "secret");
	assert_int_equal(a->client_secret_expires_at, 1806451200);
	assert_string_equal(a->cloud, "china");
	config_unref(&c);
}

/* One account; its binding, to be compared, and the rest by the caller. */
static int64_t
binding_of(const char *text, struct config **ret)
{
	struct heard h;
	struct config *c = parse(text, &h);
	int64_t binding;

	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	assert_int_equal(c->n_accounts, 1);
	binding = account_binding(c->accounts[0]);
	assert_true(binding > 0);
	if (ret != NULL)
		*ret = c;
	else
		config_unref(&c);
	return binding;
}

static void
takes_identities(void **unused)
{
	static const struct {
		const char *text;
		enum identity_kind kind;
		const char *id;
	} cases[] = {
		{ MANAGED(""), IDENTITY_SYSTEM, NULL },
		{ MANAGED("identity = client_id:1"), IDENTITY_CLIENT_ID, "1" },
		{ MANAGED("identity = object_id:1"), IDENTITY_OBJECT_ID, "1" },
		{ MANAGED("identity = object_id:2"), IDENTITY_OBJECT_ID, "2" },
		{ MANAGED("identity = resource_id:/subscriptions/x(1)"),
		    IDENTITY_RESOURCE_ID, "/subscriptions/x(1)" },
	};
	int64_t seen[COUNT(cases)];

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *c = NULL;
		const struct account *a;

		seen[i] = binding_of(cases[i].text, &c);
		a = c->accounts[0];
		assert_int_equal(a->identity, cases[i].kind);
		if (cases[i].id == NULL)
			assert_null(a->identity_id);
		else
			assert_string_equal(a->identity_id, cases[i].id);
		assert_null(a->client_id);
		assert_null(a->token_endpoint);
		assert_null(a->authorization_endpoint);
		assert_string_equal(
		    a->scope, "https://outlook.office365.com/.default");
		config_unref(&c);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	assert_int_equal(seen[0], binding_of(MANAGED("identity=system"), NULL));
}

static void
takes_service_accounts(void **unused)
{
	struct config *c = NULL;
	int64_t binding = binding_of(GOOGLE(""), &c);
	const struct account *a = c->accounts[0];

	(void)unused;
	assert_int_equal(a->grant, GRANT_JWT_BEARER);
	assert_string_equal(a->service_account_key.name, "sa");
	assert_int_equal(a->service_account_key.line, 4);
	assert_string_equal(a->subject, "o'brien@example.com");
	assert_string_equal(a->scope, "https://mail.google.com/");
	assert_null(a->client_id);
	config_unref(&c);
	/* Another mailbox is another token; another key is not. */
	assert_int_not_equal(binding,
	    binding_of("[account a]\nprovider = google\ngrant = jwt_bearer\n"
		       "service_account_key = credential:sa\n"
		       "subject = b@example.com\n",
		NULL));
	assert_int_equal(binding,
	    binding_of("[account a]\nprovider = google\ngrant = jwt_bearer\n"
		       "service_account_key = file:/other\n"
		       "subject = o'brien@example.com\n",
		NULL));
	assert_int_equal(binding_of(CERT(""), NULL), binding_of(APP(""), NULL));
}

static void
takes_the_environment(void **unused)
{
	struct config *c = NULL;
	const struct account *a;

	(void)unused;
	set_variables("2222", "b.example", "/var/run/token",
	    "https://login.partner.microsoftonline.cn/");
	(void)binding_of(FEDERATED, &c);
	a = c->accounts[0];
	assert_string_equal(a->client_id, "2222");
	assert_string_equal(a->tenant, "b.example");
	assert_string_equal(a->client_assertion_file, "/var/run/token");
	assert_string_equal(a->cloud, "china");
	assert_string_equal(a->token_endpoint,
	    "https://login.partner.microsoftonline.cn/b.example/oauth2/v2.0/"
	    "token");
	assert_string_equal(a->scope, "https://partner.outlook.cn/.default");
	config_unref(&c);

	/* What is written wins. */
	(void)binding_of(FEDERATED "client_id = 1\ntenant = a.example\n"
				   "client_assertion_file = /f\n"
				   "cloud = global\n",
	    &c);
	a = c->accounts[0];
	assert_string_equal(a->client_id, "1");
	assert_string_equal(a->tenant, "a.example");
	assert_string_equal(a->client_assertion_file, "/f");
	assert_string_equal(a->cloud, "global");
	config_unref(&c);

	/* Of no use to other grants. */
	(void)binding_of(APP(""), &c);
	assert_string_equal(c->accounts[0]->client_id, "1111");
	assert_null(c->accounts[0]->cloud);
	config_unref(&c);
}

static void
checks_the_environment(void **unused)
{
	static const struct {
		const char *client, *tenant, *file, *host;
		const char *says;
	} cases[] = {
		{ "1", "a.example", "/f", "https://login.example.com/",
		    "m.conf:1: account a: 'cloud': AZURE_AUTHORITY_HOST in the "
		    "environment is no login host" },
		{ "1", "a.example", "PaSs", NULL,
		    "'client_assertion_file': AZURE_FEDERATED_TOKEN_FILE in "
		    "the environment must be an absolute path" },
		{ "a\nPaSs", "a.example", "/f", NULL,
		    "'client_id': AZURE_CLIENT_ID in the environment: must be "
		    "printable ASCII" },
		{ "1", "../PaSs", "/f", NULL,
		    "'tenant': is neither a GUID nor a domain" },
		{ "1", "a.example", "", "",
		    "'client_assertion_file': missing: write it, or set "
		    "AZURE_FEDERATED_TOKEN_FILE" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct heard h;

		set_variables(cases[i].client, cases[i].tenant, cases[i].file,
		    cases[i].host);
		assert_null(parse(FEDERATED, &h));
		if (h.n != 1 || strstr(h.d[0].text, cases[i].says) == NULL ||
		    strstr(h.d[0].text, "PaSs") != NULL)
			fail_msg("%zu: %zu: %s", i, h.n, h.d[0].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_further_grants),
		cmocka_unit_test(takes_identities),
		cmocka_unit_test(takes_service_accounts),
		cmocka_unit_test_teardown(
		    takes_the_environment, clear_variables),
		cmocka_unit_test_teardown(
		    checks_the_environment, clear_variables),
	};

	return cmocka_run_group_tests_name(
	    "config_grants", tests, clear_variables, NULL);
}
