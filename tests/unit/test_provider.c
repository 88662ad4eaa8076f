/* What each provider makes of an account, and which URLs may be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "provider.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RT	 GRANT_REFRESH_TOKEN
#define CC	 GRANT_CLIENT_CREDENTIALS
#define WI	 GRANT_WORKLOAD_IDENTITY
#define MI	 GRANT_MANAGED_IDENTITY
#define GUID	 "11111111-2222-3333-4444-555555555555"
#define GLOBAL	 "https://login.microsoftonline.com/"
#define US	 "https://login.microsoftonline.us/"
#define CHINA	 "https://login.partner.microsoftonline.cn/"
#define TOKEN	 "/oauth2/v2.0/token"

static const struct {
	const char *name;
	struct provider_query q;
	const char *endpoint, *scope; /* NULL endpoint: the issuer says */
	const char *badkey, *says;    /* if it is refused */
} cases[] = {
	{ .name = "microsoft, app-only",
	    .q = { .provider = "microsoft",
		.tenant = "contoso.example",
		.grant = CC },
	    .endpoint = GLOBAL "contoso.example" TOKEN,
	    .scope = "https://outlook.office365.com/.default" },
	{ .name = "microsoft, app-only, named cloud and GUID",
	    .q = { .provider = "microsoft",
		.cloud = "global",
		.tenant = GUID,
		.grant = CC,
		.services = SERVICE_SMTP },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://outlook.office365.com/.default" },
	{ .name = "microsoft, smtp only",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_SMTP },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://outlook.office.com/SMTP.Send offline_access" },
	{ .name = "microsoft, imap only",
	    .q = { .provider = "microsoft",
		.tenant = "common",
		.grant = RT,
		.services = SERVICE_IMAP },
	    .endpoint = GLOBAL "common" TOKEN,
	    .scope = "https://outlook.office.com/IMAP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "microsoft, pop only",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_POP },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://outlook.office.com/POP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "microsoft, all services",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_POP | SERVICE_SMTP | SERVICE_IMAP },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://outlook.office.com/SMTP.Send "
		     "https://outlook.office.com/IMAP.AccessAsUser.All "
		     "https://outlook.office.com/POP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "gcc-high, app-only",
	    .q = { .provider = "microsoft",
		.cloud = "gcc-high",
		.tenant = GUID,
		.grant = CC },
	    .endpoint = US GUID TOKEN,
	    .scope = "https://outlook.office365.us/.default" },
	{ .name = "gcc-high, delegated",
	    .q = { .provider = "microsoft",
		.cloud = "gcc-high",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_SMTP },
	    .endpoint = US GUID TOKEN,
	    .scope = "https://outlook.office365.us/SMTP.Send offline_access" },
	{ .name = "dod, app-only",
	    .q = { .provider = "microsoft",
		.cloud = "dod",
		.tenant = GUID,
		.grant = CC },
	    .endpoint = US GUID TOKEN,
	    .scope = "https://outlook-dod.office365.us/.default" },
	{ .name = "dod, delegated",
	    .q = { .provider = "microsoft",
		.cloud = "dod",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_IMAP },
	    .endpoint = US GUID TOKEN,
	    .scope = "https://outlook-dod.office365.us/IMAP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "china, app-only",
	    .q = { .provider = "microsoft",
		.cloud = "china",
		.tenant = GUID,
		.grant = CC },
	    .endpoint = CHINA GUID TOKEN,
	    .scope = "https://partner.outlook.cn/.default" },
	{ .name = "china, delegated",
	    .q = { .provider = "microsoft",
		.cloud = "china",
		.tenant = GUID,
		.grant = RT,
		.services = SERVICE_POP },
	    .endpoint = CHINA GUID TOKEN,
	    .scope = "https://partner.outlook.cn/POP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "microsoft, scope given",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = RT,
		.scope = "https://x.example/a b" },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://x.example/a b" },
	{ .name = "microsoft, app-only, scope given",
	    .q = { .provider = "microsoft",
		.cloud = "dod",
		.tenant = GUID,
		.grant = CC,
		.scope = "https://outlook.office365.us/.default" },
	    .endpoint = US GUID TOKEN,
	    .scope = "https://outlook.office365.us/.default" },
	{ .name = "outlook.com",
	    .q = { .provider = "outlook.com",
		.grant = RT,
		.services = SERVICE_IMAP },
	    .endpoint = GLOBAL "consumers" TOKEN,
	    .scope = "https://outlook.office.com/IMAP.AccessAsUser.All "
		     "offline_access" },
	{ .name = "google",
	    .q = { .provider = "google", .grant = RT },
	    .endpoint = "https://oauth2.googleapis.com/token",
	    .scope = "https://mail.google.com/" },
	{ .name = "google, scope given",
	    .q = { .provider = "google", .grant = RT, .scope = "a:b" },
	    .endpoint = "https://oauth2.googleapis.com/token",
	    .scope = "a:b" },
	{ .name = "custom, endpoint",
	    .q = { .provider = "custom",
		.grant = CC,
		.token_endpoint = "https://idp.example.com/token" },
	    .endpoint = "https://idp.example.com/token" },
	{ .name = "custom, issuer",
	    .q = { .provider = "custom",
		.grant = RT,
		.scope = "mail",
		.issuer = "https://idp.example.com" },
	    .scope = "mail" },

	{ .name = "microsoft, federated",
	    .q = { .provider = "microsoft", .tenant = GUID, .grant = WI },
	    .endpoint = GLOBAL GUID TOKEN,
	    .scope = "https://outlook.office365.com/.default" },
	{ .name = "managed identity has no endpoint",
	    .q = { .provider = "microsoft", .grant = MI },
	    .scope = "https://outlook.office365.com/.default" },
	{ .name = "managed identity, china",
	    .q = { .provider = "microsoft", .cloud = "china", .grant = MI },
	    .scope = "https://partner.outlook.cn/.default" },
	{ .name = "custom managed identity",
	    .q = { .provider = "custom",
		.grant = MI,
		.scope = "https://x.example/.default" },
	    .scope = "https://x.example/.default" },
	{ .name = "google, service account",
	    .q = { .provider = "google", .grant = GRANT_JWT_BEARER },
	    .endpoint = "https://oauth2.googleapis.com/token",
	    .scope = "https://mail.google.com/" },

	{ .name = "no provider",
	    .q = { .provider = NULL },
	    .badkey = "provider",
	    .says = "write microsoft, outlook.com, google or custom" },
	{ .name = "unknown provider",
	    .q = { .provider = "yahoo" },
	    .badkey = "provider",
	    .says = "write microsoft" },
	{ .name = "microsoft without tenant",
	    .q = { .provider = "microsoft", .grant = CC },
	    .badkey = "tenant",
	    .says = "write the directory's GUID or a domain of it, as shown "
		    "under Entra ID > Overview" },
	{ .name = "unknown cloud",
	    .q = { .provider = "microsoft",
		.cloud = "germany",
		.tenant = GUID,
		.grant = CC },
	    .badkey = "cloud",
	    .says = "global, gcc-high, dod or china" },
	{ .name = "tenant climbs",
	    .q = { .provider = "microsoft", .tenant = "..", .grant = CC },
	    .badkey = "tenant",
	    .says = "neither a GUID nor a domain" },
	{ .name = "tenant climbs later",
	    .q = { .provider = "microsoft", .tenant = "a..b", .grant = CC },
	    .badkey = "tenant",
	    .says = "neither" },
	{ .name = "tenant with a slash",
	    .q = { .provider = "microsoft", .tenant = "a/b", .grant = CC },
	    .badkey = "tenant",
	    .says = "neither" },
	{ .name = "tenant with a query",
	    .q = { .provider = "microsoft", .tenant = "a?b", .grant = CC },
	    .badkey = "tenant",
	    .says = "neither" },
	{ .name = "tenant not ASCII",
	    .q = { .provider = "microsoft",
		.tenant = "m\xc3\xbcnchen.example",
		.grant = CC },
	    .badkey = "tenant",
	    .says = "neither" },
	{ .name = "tenant empty",
	    .q = { .provider = "microsoft", .tenant = "", .grant = CC },
	    .badkey = "tenant",
	    .says = "neither" },
	{ .name = "app-only, common",
	    .q = { .provider = "microsoft", .tenant = "common", .grant = CC },
	    .badkey = "tenant",
	    .says = "one directory" },
	{ .name = "app-only, organizations",
	    .q = { .provider = "microsoft",
		.tenant = "organizations",
		.grant = CC },
	    .badkey = "tenant",
	    .says = "one directory" },
	{ .name = "app-only, consumers",
	    .q = { .provider = "microsoft",
		.tenant = "Consumers",
		.grant = CC },
	    .badkey = "tenant",
	    .says = "one directory" },
	{ .name = "delegated without services",
	    .q = { .provider = "microsoft", .tenant = GUID, .grant = RT },
	    .badkey = "services",
	    .says = "services = smtp" },
	{ .name = "outlook.com without services",
	    .q = { .provider = "outlook.com", .grant = RT },
	    .badkey = "services",
	    .says = "services = smtp" },
	{ .name = "outlook.com, app-only",
	    .q = { .provider = "outlook.com", .grant = CC },
	    .badkey = "grant",
	    .says = "this provider takes grant = refresh_token" },
	{ .name = "google, app-only",
	    .q = { .provider = "google", .grant = CC },
	    .badkey = "grant",
	    .says = "this provider takes grant = refresh_token or "
		    "jwt_bearer" },
	{ .name = "microsoft, service account",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = GRANT_JWT_BEARER },
	    .badkey = "grant",
	    .says = "takes grant = refresh_token, client_credentials, "
		    "workload_identity or managed_identity" },
	{ .name = "federated, common",
	    .q = { .provider = "microsoft", .tenant = "common", .grant = WI },
	    .badkey = "tenant",
	    .says = "workload_identity needs one directory" },
	{ .name = "federated without tenant",
	    .q = { .provider = "microsoft", .grant = WI },
	    .badkey = "tenant",
	    .says = "missing" },
	{ .name = "managed identity, two resources",
	    .q = { .provider = "microsoft", .grant = MI, .scope = "a b" },
	    .badkey = "scope",
	    .says = "takes one resource" },
	{ .name = "managed identity, unknown cloud",
	    .q = { .provider = "microsoft", .cloud = "mars", .grant = MI },
	    .badkey = "cloud",
	    .says = "unknown" },
	{ .name = "custom managed identity without a resource",
	    .q = { .provider = "custom", .grant = MI },
	    .badkey = "scope",
	    .says = "scope = https://HOST/.default" },
	{ .name = "custom service account without an endpoint",
	    .q = { .provider = "custom", .grant = GRANT_JWT_BEARER },
	    .badkey = "token_endpoint",
	    .says = "or issuer" },
	{ .name = "google with a revocation endpoint",
	    .q = { .provider = "google",
		.grant = RT,
		.revocation_endpoint = "https://a.example/" },
	    .badkey = "revocation_endpoint",
	    .says = "provider = custom" },
	{ .name = "microsoft with a device endpoint",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = RT,
		.device_authorization_endpoint = "https://a.example/" },
	    .badkey = "device_authorization_endpoint",
	    .says = "provider = custom" },
	{ .name = "google with a tenant",
	    .q = { .provider = "google", .tenant = GUID, .grant = RT },
	    .badkey = "tenant",
	    .says = "take it out" },
	{ .name = "outlook.com with a cloud",
	    .q = { .provider = "outlook.com",
		.cloud = "global",
		.grant = RT,
		.services = SERVICE_SMTP },
	    .badkey = "cloud",
	    .says = "take it out" },
	{ .name = "custom with a tenant",
	    .q = { .provider = "custom",
		.tenant = GUID,
		.grant = RT,
		.token_endpoint = "https://a.example/" },
	    .badkey = "tenant",
	    .says = "take it out" },
	{ .name = "microsoft with an endpoint",
	    .q = { .provider = "microsoft",
		.tenant = GUID,
		.grant = CC,
		.token_endpoint = "https://a.example/" },
	    .badkey = "token_endpoint",
	    .says = "provider = custom" },
	{ .name = "google with an issuer",
	    .q = { .provider = "google",
		.grant = RT,
		.issuer = "https://a.example/" },
	    .badkey = "issuer",
	    .says = "provider = custom" },
	{ .name = "custom with neither",
	    .q = { .provider = "custom", .grant = RT },
	    .badkey = "token_endpoint",
	    .says = "or issuer" },
	{ .name = "custom with both",
	    .q = { .provider = "custom",
		.grant = RT,
		.token_endpoint = "https://a.example/",
		.issuer = "https://b.example/" },
	    .badkey = "issuer",
	    .says = "take one of them out" },
	{ .name = "scope in quotes",
	    .q = { .provider = "google", .grant = RT, .scope = "\"mail\"" },
	    .badkey = "scope",
	    .says = "without quotes" },
};

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
resolves(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct provider_preset p = PROVIDER_PRESET_INIT;
		struct diag d = DIAG_INIT;
		const char *key = NULL;
		int rc = provider_resolve(&cases[i].q, &p, &key, &d);

		if (rc != (cases[i].says != NULL ? -1 : 0))
			fail_msg("%s: %s", cases[i].name, d.text);
		if (!same(p.token_endpoint, cases[i].endpoint) ||
		    !same(p.scope, cases[i].scope))
			fail_msg("%s: %s, %s", cases[i].name, p.token_endpoint,
			    p.scope);
		if (!same(key, cases[i].badkey))
			fail_msg("%s: blames %s", cases[i].name, key);
		if (rc < 0 && (d.kind != DIAG_CONFIG ||
				  strstr(d.text, cases[i].says) == NULL))
			fail_msg("%s: says %s", cases[i].name, d.text);
		provider_preset_free(&p);
	}
}

static const struct {
	const char *url;
	bool insecure, ok;
} urls[] = {
	{ "https://login.example.com/token", false, true },
	{ "HTTPS://login.example.com", false, true },
	{ "https://login.example.com:8443/t?a=b%20c", false, true },
	{ "https://127.0.0.1/", false, true },
	{ "https://[2001:db8::1]:443/", false, true },
	{ "http://127.0.0.1:8080/token", true, true },
	{ "http://[::1]/token", true, true },
	{ "http://localhost:1/", true, true },
	{ "http://127.0.0.1:8080/token", false, false },
	{ "http://login.example.com/", true, false },
	{ "http://127.0.0.1.example.com/", true, false },
	{ "http://127.0.0.1@example.com/", true, false },
	{ "http://localhost.example.com/", true, false },
	{ "http://[::1].example.com/", true, false },
	{ "http://0x7f.1/", true, false },
	{ "https://user:pw@login.example.com/", false, false },
	{ "https://login.example.com#x", false, false },
	{ "https://login.example.com/#x", false, false },
	{ "https://login.example.com\\@evil.example/", false, false },
	{ "https://login.example.com/a b", false, false },
	{ "https://login.example.com/\r\nHost: x", false, false },
	{ "https://login.example.com/\xc3\xa4", false, false },
	{ "https://", false, false },
	{ "https:///token", false, false },
	{ "https://:443/", false, false },
	{ "https://a.example:/", false, false },
	{ "https://a.example:0/", false, false },
	{ "https://a.example:65536/", false, false },
	{ "https://a.example:443x/", false, false },
	{ "https://[]/", false, false },
	{ "https://[::1/", false, false },
	{ "https://[::1]x/", false, false },
	{ "ftp://a.example/", true, false },
	{ "file:///etc/passwd", true, false },
	{ "login.example.com", true, false },
	{ "", true, false },
};

static void
checks_urls(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct diag d = DIAG_INIT;
		int rc = provider_check_url(urls[i].url, urls[i].insecure, &d);

		if (rc != (urls[i].ok ? 0 : -1))
			fail_msg("'%s': %s", urls[i].url, d.text);
		assert_int_equal(d.kind, urls[i].ok ? DIAG_OK : DIAG_CONFIG);
	}
}

static void
knows_words(void **unused)
{
	(void)unused;
	assert_int_equal(service_parse("smtp"), SERVICE_SMTP);
	assert_int_equal(service_parse("submission"), SERVICE_SMTP);
	assert_int_equal(service_parse("imap"), SERVICE_IMAP);
	assert_int_equal(service_parse("pop"), SERVICE_POP);
	assert_int_equal(service_parse("pop3"), SERVICE_POP);
	assert_int_equal(service_parse("imaps"), 0);
	assert_int_equal(service_parse(""), 0);
	assert_string_equal(service_name(SERVICE_SMTP), "smtp");
	assert_string_equal(service_name(SERVICE_IMAP), "imap");
	assert_string_equal(service_name(SERVICE_POP), "pop");

	assert_null(provider_info("yahoo"));
	assert_int_equal(provider_info("microsoft")->idle_days, 90);
	assert_false(provider_info("custom")->needs_secret);
	assert_int_equal(
	    provider_info("outlook.com")->grants, 1U << GRANT_REFRESH_TOKEN);
	assert_false(provider_info("outlook.com")->needs_secret);
	assert_int_equal(provider_info("google")->idle_days, 180);
	assert_true(provider_info("google")->needs_secret);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves),
		cmocka_unit_test(checks_urls),
		cmocka_unit_test(knows_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
