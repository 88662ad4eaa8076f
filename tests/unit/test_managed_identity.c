/* A machine's own identity: whom to ask, and what the answers say. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arc_key.h"
#include "managed_identity.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define NOW	 1790000000
#define SCOPE	 "https://outlook.office365.com/.default"
#define RESOURCE "resource=https%3A%2F%2Foutlook.office365.com"
#define IMDS_	 "http://169.254.169.254/metadata/identity/oauth2/token"
#define HIMDS_	 "http://127.0.0.1:40342/metadata/identity/oauth2/token"

static const struct {
	const char *name;
	struct managed_identity_env env;
	enum identity_kind identity;
	const char *id;
	enum managed_identity_source source;
	const char *url, *header;
} asked[] = {
	{ "a virtual machine", { 0 }, IDENTITY_SYSTEM, NULL,
	    MANAGED_IDENTITY_IMDS, IMDS_ "?api-version=2018-02-01&" RESOURCE,
	    "Metadata: true" },
	{ "one of its users' identities", { 0 }, IDENTITY_CLIENT_ID, "1-2",
	    MANAGED_IDENTITY_IMDS,
	    IMDS_ "?api-version=2018-02-01&" RESOURCE "&client_id=1-2",
	    "Metadata: true" },
	{ "by object", { 0 }, IDENTITY_OBJECT_ID, "a&b=c",
	    MANAGED_IDENTITY_IMDS,
	    IMDS_ "?api-version=2018-02-01&" RESOURCE "&object_id=a%26b%3Dc",
	    "Metadata: true" },
	{ "by resource", { 0 }, IDENTITY_RESOURCE_ID, "/subscriptions/1",
	    MANAGED_IDENTITY_IMDS,
	    IMDS_ "?api-version=2018-02-01&" RESOURCE
		  "&msi_res_id=%2Fsubscriptions%2F1",
	    "Metadata: true" },
	{ "another host", { .authority_host = "http://localhost:2579//" },
	    IDENTITY_SYSTEM, NULL, MANAGED_IDENTITY_IMDS,
	    "http://localhost:2579/metadata/identity/oauth2/token"
	    "?api-version=2018-02-01&" RESOURCE,
	    "Metadata: true" },
	{ "half of App Service is none", { .identity_header = "x" },
	    IDENTITY_SYSTEM, NULL, MANAGED_IDENTITY_IMDS,
	    IMDS_ "?api-version=2018-02-01&" RESOURCE, "Metadata: true" },
	{ "App Service",
	    { .identity_endpoint = "http://127.0.0.1:1/msi/token",
		.identity_header = "h-1",
		.imds_endpoint = "http://169.254.169.254",
		.himds = true },
	    IDENTITY_RESOURCE_ID, "/r", MANAGED_IDENTITY_APP_SERVICE,
	    "http://127.0.0.1:1/msi/token?api-version=2019-08-01&" RESOURCE
	    "&mi_res_id=%2Fr",
	    "X-IDENTITY-HEADER: h-1" },
	{ "Arc", { .himds = true }, IDENTITY_SYSTEM, NULL, MANAGED_IDENTITY_ARC,
	    HIMDS_ "?api-version=2020-06-01&" RESOURCE, "Metadata: true" },
	{ "Arc by its variables",
	    { .identity_endpoint = "http://127.0.0.1:7/t",
		.imds_endpoint = "http://127.0.0.1:7" },
	    IDENTITY_SYSTEM, NULL, MANAGED_IDENTITY_ARC,
	    "http://127.0.0.1:7/t?api-version=2020-06-01&" RESOURCE,
	    "Metadata: true" },
	{ "Arc by half of them",
	    { .identity_endpoint = "http://127.0.0.1:7/t", .himds = true },
	    IDENTITY_SYSTEM, NULL, MANAGED_IDENTITY_ARC,
	    HIMDS_ "?api-version=2020-06-01&" RESOURCE, "Metadata: true" },
};

static struct account
account_of(enum identity_kind kind, const char *id, const char *scope)
{
	return (struct account){ .grant = GRANT_MANAGED_IDENTITY,
		.identity = kind,
		.identity_id = (char *)(uintptr_t)id,
		.scope = (char *)(uintptr_t)scope };
}

static void
asks_the_right_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(asked); i++) {
		struct managed_identity_request r =
		    MANAGED_IDENTITY_REQUEST_INIT;
		struct account a =
		    account_of(asked[i].identity, asked[i].id, SCOPE);
		struct diag d = DIAG_INIT;

		if (managed_identity_request(&asked[i].env, &a, &r, &d) < 0 ||
		    r.source != asked[i].source ||
		    strcmp(r.url, asked[i].url) != 0 ||
		    strcmp(r.header.ptr, asked[i].header) != 0)
			fail_msg("%s: %s %s", asked[i].name,
			    r.url ? r.url : "-", d.text);
		managed_identity_request_wipe(&r);
		managed_identity_request_wipe(&r);
	}
}

static void
says_what_cannot_be_asked(void **state)
{
	static const struct managed_identity_env none = { 0 },
						 arc = { .himds = true };
	static const struct managed_identity_env fabric = {
		.identity_endpoint = "https://127.0.0.1:2377/",
		.identity_header = "x",
		.server_thumbprint = "y"
	};
	static const struct managed_identity_env split = {
		.identity_endpoint = "http://127.0.0.1:1/",
		.identity_header = "x\r\nHost: y"
	};
	static const struct {
		const struct managed_identity_env *env;
		enum identity_kind identity;
		const char *scope, *says;
	} bad[] = {
		{ &fabric, IDENTITY_SYSTEM, SCOPE, "Service Fabric" },
		{ &arc, IDENTITY_CLIENT_ID, SCOPE, "identity = system" },
		{ &split, IDENTITY_SYSTEM, SCOPE, "IDENTITY_HEADER" },
		{ &none, IDENTITY_SYSTEM, NULL, "scope = RESOURCE" },
		{ &none, IDENTITY_SYSTEM, "/.default", "scope = RESOURCE" },
		{ &none, IDENTITY_SYSTEM, "a b", "one resource" },
	};

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		struct managed_identity_request r =
		    MANAGED_IDENTITY_REQUEST_INIT;
		struct account a =
		    account_of(bad[i].identity, "id", bad[i].scope);
		struct diag d = DIAG_INIT;

		if (managed_identity_request(bad[i].env, &a, &r, &d) != -1 ||
		    d.kind != DIAG_CONFIG || r.url != NULL ||
		    strstr(d.text, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].says, d.text);
	}
}

static void
reads_the_environment(void **state)
{
	struct managed_identity_env e;

	(void)state;
	assert_int_equal(setenv("IDENTITY_ENDPOINT", "http://[::1]/", 1), 0);
	assert_int_equal(setenv("IMDS_ENDPOINT", "", 1), 0);
	managed_identity_env_read(&e);
	assert_string_equal(e.identity_endpoint, "http://[::1]/");
	assert_null(e.imds_endpoint); /* empty is not set */
	assert_int_equal(unsetenv("IDENTITY_ENDPOINT"), 0);
	managed_identity_env_read(&e);
	assert_null(e.identity_endpoint);
}

#define T_ "{\"access_token\":\"at\",\"token_type\":\"Bearer\","

/* What the endpoints send: numbers as strings, and members missing. */
static const struct {
	const char *body;
	int64_t life, refresh_in;
} good[] = {
	{ T_ "\"expires_in\":\"3599\",\"expires_on\":\"1790003599\","
	     "\"not_before\":\"1789999700\",\"resource\":\"r\"}",
	    3599, 0 },
	{ T_ "\"expires_in\":\"86399\",\"expires_on\":\"1790086399\"}", 86399,
	    43199 },
	{ T_ "\"expires_in\":7200}", 7200, 3600 },
	{ T_ "\"expires_in\":7199}", 7199, 0 },
	{ T_ "\"expires_in\":86400,\"refresh_in\":\"80000\"}", 86400, 80000 },
	/* App Service. */
	{ T_ "\"expires_on\":\"1790028800\"}", 28800, 14400 },
	{ T_ "\"expires_on\":1790000060}", 60, 0 },
	/* Kept for hours at the endpoint. */
	{ T_ "\"expires_in\":86400,\"expires_on\":1790010000}", 10000, 5000 },
	{ T_ "\"expires_in\":86400,\"refresh_in\":43200,"
	     "\"expires_on\":1790010000}",
	    10000, 5000 },
	/* Our clock is a day ahead, and a day behind. */
	{ T_ "\"expires_in\":3600,\"expires_on\":1789917200}", 3600, 0 },
	{ T_ "\"expires_in\":3600,\"expires_on\":1790090000}", 3600, 0 },
	{ T_ "\"expires_on\":9223372036854775807}", 7776000, 3888000 },
	{ T_ "\"expires_on\":\"soon\"}", OAUTH2_DEFAULT_LIFE_S, 0 },
};

static void
reads_tokens(void **state)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	for (size_t i = 0; i < N(good); i++)
		if (managed_identity_parse(MANAGED_IDENTITY_IMDS, 200, 0,
			good[i].body, strlen(good[i].body), NOW, &t, &d) < 0 ||
		    strcmp(t.access_token.ptr, "at") != 0 ||
		    t.life_s != good[i].life ||
		    t.refresh_in_s != good[i].refresh_in)
			fail_msg("%s: %lld %lld %s", good[i].body,
			    (long long)t.life_s, (long long)t.refresh_in_s,
			    d.text);
	oauth2_tokens_wipe(&t);
}

#define RUN40 "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1"

static const struct {
	enum managed_identity_source source;
	long status;
	const char *body;
	enum diag_kind kind;
	const char *says;
} refused[] = {
	{ MANAGED_IDENTITY_IMDS, 400,
	    "{\"error\":\"invalid_request\",\"error_description\":"
	    "\"Identity not found\"}",
	    DIAG_CONFIG,
	    "IMDS answered with status 400, invalid_request: Identity not "
	    "found: does this machine have that identity?" },
	{ MANAGED_IDENTITY_IMDS, 404, "", DIAG_RETRY, "IMDS answered with" },
	{ MANAGED_IDENTITY_IMDS, 408, "x", DIAG_RETRY, "status 408: it will" },
	{ MANAGED_IDENTITY_IMDS, 410, "{}", DIAG_RETRY, "status 410: it will" },
	{ MANAGED_IDENTITY_IMDS, 429, "{\"error\":\"too_many_requests\"}",
	    DIAG_RETRY, "too_many_requests" },
	{ MANAGED_IDENTITY_IMDS, 500, "{\"error\":\"unknown\"}", DIAG_RETRY,
	    "unknown" },
	{ MANAGED_IDENTITY_IMDS, 503, "", DIAG_RETRY, "503" },
	{ MANAGED_IDENTITY_IMDS, 405, "", DIAG_CONFIG, "405" },
	{ MANAGED_IDENTITY_APP_SERVICE, 400,
	    "{\"statusCode\":400,\"message\":\"No User Assigned or Delegated "
	    "Managed Identity found\\r\\nfor x\"}",
	    DIAG_CONFIG,
	    "App Service answered with status 400: No User Assigned or "
	    "Delegated Managed Identity found" },
	{ MANAGED_IDENTITY_APP_SERVICE, 500,
	    "{\"statusCode\":500,\"message\":\"An unexpected error\"}",
	    DIAG_RETRY, "An unexpected error: it will" },
	{ MANAGED_IDENTITY_ARC, 401, "", DIAG_CONFIG, "Azure Arc" },
	{ MANAGED_IDENTITY_ARC, 403,
	    "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Go away\"}}",
	    DIAG_CONFIG, "403, Forbidden: Go away" },
	{ MANAGED_IDENTITY_IMDS, 400,
	    "{\"error\":\"" RUN40 "\",\"error_description\":\"it was " RUN40
	    " there\"}",
	    DIAG_CONFIG, "400, ***: it was *** there" },
	/* A captive portal, half an answer, and tokens that are none. */
	{ MANAGED_IDENTITY_IMDS, 200, "<html>", DIAG_RETRY, "status 200" },
	{ MANAGED_IDENTITY_IMDS, 200, "", DIAG_RETRY, "status 200" },
	{ MANAGED_IDENTITY_IMDS, 200, "{\"access_token\":7}", DIAG_RETRY,
	    "status 200" },
	{ MANAGED_IDENTITY_IMDS, 200, "{\"access_token\":\"a b\"}", DIAG_CONFIG,
	    "IMDS: provider answered with a token" },
	{ MANAGED_IDENTITY_IMDS, 200, T_ "\"expires_in\":\"0\"}", DIAG_RETRY,
	    "expired" },
	{ MANAGED_IDENTITY_IMDS, 200, T_ "\"expires_on\":\"1789999999\"}",
	    DIAG_RETRY, "check the clock" },
};

static void
says_who_must_act(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(refused); i++) {
		struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
		struct diag d = DIAG_INIT;

		if (managed_identity_parse(refused[i].source, refused[i].status,
			17, refused[i].body, strlen(refused[i].body), NOW, &t,
			&d) != -1 ||
		    d.kind != refused[i].kind ||
		    strstr(d.text, refused[i].says) == NULL ||
		    strstr(d.text, RUN40) != NULL ||
		    !secret_empty(&t.access_token))
			fail_msg("%s: %s", refused[i].body, d.text);
		if (refused[i].status == 429)
			assert_int_equal(d.retry_after_s, 17);
	}
}

static void
cuts_long_words(void **state)
{
	char body[4096] = "{\"error_description\":\"";
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;

	(void)state;
	for (int i = 0; i < 300; i++)
		strcat(body, "much ado ");
	strcat(body, "\"}");
	assert_int_equal(managed_identity_parse(MANAGED_IDENTITY_IMDS, 400, 0,
			     body, strlen(body), NOW, &t, &d),
	    -1);
	assert_non_null(strstr(d.text, "..."));
	assert_non_null(strstr(d.text, "check 'identity' and 'scope'"));
}

#define DIR_ "/var/opt/azcmagent/tokens/"

static void
takes_no_other_file(void **state)
{
	static const struct {
		const char *header, *path; /* NULL: refused */
	} table[] = {
		{ "Basic realm=" DIR_ "a-1_B.key", DIR_ "a-1_B.key" },
		{ "basic  Realm=\"" DIR_ "a.key\"", DIR_ "a.key" },
		{ "Basic realm=" DIR_ "a.key, charset=\"UTF-8\"",
		    DIR_ "a.key" },
		{ NULL, NULL },
		{ "", NULL },
		{ "Basic", NULL },
		{ "Basic realm=", NULL },
		{ "Basicrealm=" DIR_ "a.key", NULL },
		{ "Bearer realm=" DIR_ "a.key", NULL },
		{ "Basic realm=\"" DIR_ "a.key", NULL },
		{ "Basic realm=" DIR_, NULL },
		{ "Basic realm=" DIR_ ".key", NULL },
		{ "Basic realm=" DIR_ ".a.key", NULL },
		{ "Basic realm=" DIR_ "a.pem", NULL },
		{ "Basic realm=" DIR_ "a.key.", NULL },
		{ "Basic realm=" DIR_ "a/b.key", NULL },
		{ "Basic realm=" DIR_ "../tokens/a.key", NULL },
		{ "Basic realm=" DIR_ "..key", NULL },
		{ "Basic realm=/etc/shadow", NULL },
		{ "Basic realm=/var/opt/azcmagent/a.key", NULL },
		{ "Basic realm=" DIR_ "/a.key", NULL },
		{ "Basic realm=var/opt/azcmagent/tokens/a.key", NULL },
		{ "Basic realm=" DIR_ "a\x01.key", NULL },
		{ "Basic realm=\"" DIR_ "a b.key\"", NULL },
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		char *path = NULL;
		struct diag d = DIAG_INIT;
		int rc = arc_key_path(table[i].header, &path, &d);

		if (rc != (table[i].path != NULL ? 0 : -1) ||
		    (rc == 0 && strcmp(path, table[i].path) != 0) ||
		    (rc < 0 && (d.kind != DIAG_CONFIG || path != NULL)))
			fail_msg("%s: %s %s", table[i].header, path, d.text);
		free(path);
	}
}

static void
put(int dir, const char *name, const char *bytes, size_t n)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(close(fd), 0);
}

static void
reads_the_key(void **state)
{
	static const char *const names[] = { "good", "crlf", "empty", "lines",
		"large", "most", "link", "pipe", "none" };
	char dir[] = "/tmp/test_arc.XXXXXX", path[64];
	static char many[ARC_KEY_MAX + 1];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	memset(many, 'k', sizeof(many));
	put(fd, "good", "k3y=", 4);
	put(fd, "crlf", "k3y=\r\n", 6);
	put(fd, "empty", "\n", 1);
	put(fd, "lines", "a\nHost: b", 9);
	put(fd, "large", many, sizeof(many));
	put(fd, "most", many, sizeof(many) - 1);
	assert_int_equal(symlinkat("good", fd, "link"), 0);
	assert_int_equal(mkfifoat(fd, "pipe", 0600), 0);
	for (size_t i = 0; i < N(names); i++) {
		auto_secret struct secret s = SECRET_INIT;
		struct diag d = DIAG_INIT;
		int rc;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		rc = arc_key_authorization(path, "mailtoken", &s, &d);
		if (i < 2)
			assert_string_equal(s.ptr, "Basic k3y=");
		else if (strcmp(names[i], "most") == 0)
			assert_int_equal(s.len, 6 + ARC_KEY_MAX);
		else if (rc != -1 || d.kind != DIAG_CONFIG ||
			 strstr(d.text, path) == NULL)
			fail_msg("%s: %d %s", names[i], rc, d.text);
		(void)unlinkat(fd, names[i], 0);
	}
	(void)close(fd);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_the_right_one),
		cmocka_unit_test(says_what_cannot_be_asked),
		cmocka_unit_test(reads_the_environment),
		cmocka_unit_test(reads_tokens),
		cmocka_unit_test(says_who_must_act),
		cmocka_unit_test(cuts_long_words),
		cmocka_unit_test(takes_no_other_file),
		cmocka_unit_test(reads_the_key),
	};

	return cmocka_run_group_tests_name(
	    "managed identity", tests, NULL, NULL);
}
