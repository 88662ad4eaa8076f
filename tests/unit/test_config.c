/* The configuration: every error with its line and remedy; files; secrets. */
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
#include "wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What was complained about, in order. */
struct heard {
	struct diag d[8];
	size_t n;
};

static void
hear(void *arg, const struct diag *d)
{
	struct heard *h = arg;

	if (h->n < COUNT(h->d))
		h->d[h->n] = *d;
	h->n++;
}

static struct config *
parse(const char *text, struct heard *h)
{
	*h = (struct heard){ .n = 0 };
	return config_parse(text, strlen(text), "m.conf", hear, h);
}

/* Sections to put one more line into. */
#define APP(line)                      \
	"[account a]\n"                \
	"provider = microsoft\n"       \
	"grant = client_credentials\n" \
	"tenant = contoso.example\n"   \
	"client_id = 1111\n"           \
	"client_secret = file:/nonexistent/secret\n" line "\n"
#define CUSTOM(line)              \
	"[account a]\n"           \
	"provider = custom\n"     \
	"grant = refresh_token\n" \
	"client_id = 1111\n" line "\n"

/* Values that must not be quoted begin with PaSs. */
static const struct {
	const char *name, *text;
	const char *says[4]; /* each complaint begins or goes on so */
} bad[] = {
	/* lines */
	{ "no section", "user = x\n",
	    { "m.conf:1: a key before any section" } },
	{ "unknown section", "\n[acount a]\nPaSsx = 1\n",
	    { "m.conf:2: unknown section: write [agent] or [account NAME]" } },
	{ "empty section", "[]\n", { "m.conf:1: unknown section" } },
	{ "open section", "[agent\n",
	    { "m.conf:1: a section's line must end" } },
	{ "trailing words", "[agent] PaSs\n",
	    { "m.conf:1: something stands behind" } },
	{ "no equals sign", "[agent]\nPaSsword\n",
	    { "m.conf:2: neither a section nor key = value" } },
	{ "continued value", "[agent]\nadmin = root\n  daemon\n",
	    { "m.conf:3: neither a section nor key = value; a value cannot" } },
	{ "no key", "[agent]\n= PaSs\n", { "m.conf:2: neither" } },
	{ "control character", "[agent]\nuser = a\001b\n",
	    { "m.conf:2: has a control character" } },
	{ "lone CR", "[agent]\nuser = a\ruser = b\n",
	    { "m.conf:2: has a control character" } },
	{ "unknown key", "[agent]\ncolour = PaSs\n",
	    { "m.conf:2: unknown key 'colour' in [agent]: see "
	      "mailtoken.conf(5)" } },
	{ "unknown key of an account", APP("listen = /PaSs"),
	    { "m.conf:7: unknown key 'listen' in [account]" } },
	{ "base64 is not shown as a key", "[agent]\nPaSsw0rd+/xyz==\n",
	    { "m.conf:2: unknown key: see" } },
	{ "key twice", "[agent]\nuser = a\nstate_dir = /s\nuser = PaSs\n",
	    { "m.conf:4: 'user' is given twice, first in line 2" } },
	{ "no value", "[agent]\nuser =\n",
	    { "m.conf:2: 'user' has no value" } },
	{ "only a comment as value", "[agent]\nuser = ; PaSs\n",
	    { "m.conf:2: 'user' has no value" } },
	/* sections */
	{ "agent twice", "[agent]\n\n[agent]\nuser = PaSs\n",
	    { "m.conf:3: a second [agent]: move its keys to the one in "
	      "line 1" } },
	{ "account twice", APP("") "[account  a]\nprovider = yahoo\n",
	    { "m.conf:8: account a is given twice, first in line 1",
		"m.conf:8: account a: 'client_id': missing",
		"m.conf:9: account a: 'provider': unknown" } },
	{ "account without a name", "[account ]\nPaSs = x\n",
	    { "m.conf:1: an account needs a name" } },
	{ "account with a slash", "[account a/b]\n",
	    { "m.conf:1: account 'a/b': a name has 1 to 200" } },
	{ "account with a blank", "[account a b]\n",
	    { "m.conf:1: account 'a b': a name has" } },
	{ "account begins with a dot", "[account .a]\n",
	    { "m.conf:1: account '.a': a name has" } },
	{ "account not ASCII", "[account \xc3\xa4]\n",
	    { "m.conf:1: account '?\?': a name has" } },
	/* [agent] */
	{ "relative socket", "[agent]\nlisten = /a PaSs\n",
	    { "m.conf:2: 'listen': must be absolute paths" } },
	{ "socket twice", "[agent]\nlisten = /a /b /a\n",
	    { "m.conf:2: 'listen': has a path twice" } },
	{ "socket too long",
	    "[agent]\nlisten = /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	    { "m.conf:2: 'listen': has a path longer than a socket's may be "
	      "(107 bytes)" } },
	{ "relative state_dir", "[agent]\nstate_dir = PaSs\n",
	    { "m.conf:2: 'state_dir': must be an absolute path" } },
	{ "two users", "[agent]\nuser = a b\n",
	    { "m.conf:2: 'user': must be one word" } },
	{ "unknown admin", "[agent]\nadmin = root no-such-user\n",
	    { "m.conf:2: 'admin': there is no user 'no-such-user' on this "
	      "host: create it or correct the name" } },
	{ "unknown group", "[agent]\nadmin = group:no-such-group\n",
	    { "m.conf:2: 'admin': there is no group 'no-such-group'" } },
	{ "group without a name", "[agent]\nadmin = group:\n",
	    { "m.conf:2: 'admin': 'group:' without a name" } },
	{ "commas", "[agent]\nadmin = root, daemon\n",
	    { "names are separated by blanks, not commas" } },
	{ "uid of nobody at all", "[agent]\nadmin = 4294967295\n",
	    { "m.conf:2: 'admin': there is no user '4294967295'" } },
	{ "timeout of zero", "[agent]\nhttp_timeout = 0\n",
	    { "m.conf:2: 'http_timeout': must be from 1 to 120 seconds" } },
	{ "timeout too long", "[agent]\nhttp_timeout = 3min\n",
	    { "m.conf:2: 'http_timeout': must be from 1 to 120 seconds" } },
	{ "negative timeout", "[agent]\nhttp_timeout = -1\n",
	    { "m.conf:2: 'http_timeout': must be" } },
	{ "unknown unit", "[agent]\nhttp_timeout = 5 days\n",
	    { "m.conf:2: 'http_timeout': must be" } },
	{ "no connections", "[agent]\nmax_connections = 0\n",
	    { "m.conf:2: 'max_connections': must be a whole number from 1 to "
	      "65536" } },
	{ "count with a unit", "[agent]\nmax_connections = 5s\n",
	    { "m.conf:2: 'max_connections': must be a whole number" } },
	{ "count of many digits", "[agent]\nmax_connections = 4294967297\n",
	    { "m.conf:2: 'max_connections': must be a whole number" } },
	{ "more for one than for all",
	    "[agent]\nmax_connections_per_uid = 20\nmax_connections = 10\n",
	    { "m.conf:2: 'max_connections_per_uid': more than "
	      "max_connections" } },
	/* [account] */
	{ "nothing in it", "[account a]\n",
	    { "m.conf:1: account a: 'provider': missing" } },
	{ "little in it", "[account a]\nprovider = custom\n",
	    { "m.conf:1: account a: 'client_id': missing",
		"m.conf:1: account a: 'grant': missing: write refresh_token" } },
	{ "unknown provider", "[account a]\nprovider = PaSs\nclient_id = x\n",
	    { "m.conf:2: account a: 'provider': unknown: write microsoft" } },
	{ "two accounts, both wrong",
	    "[account a]\nprovider = google\n[account b]\nclient_id = 1\n",
	    { "m.conf:1: account a: 'client_id': missing",
		"m.conf:1: account a: 'client_secret': missing: this provider "
		"asks even desktop",
		"m.conf:3: account b: 'provider': missing" } },
	{ "no tenant",
	    "[account a]\nprovider = microsoft\ngrant = client_credentials\n"
	    "client_id = 1\n",
	    { "m.conf:1: account a: 'client_secret': missing: grant = "
	      "client_credentials needs it",
		"m.conf:1: account a: 'tenant': missing: write the directory's "
		"GUID or a domain of it, as shown under Entra ID > Overview" } },
	{ "tenant common",
	    "[account a]\nprovider = microsoft\ngrant = client_credentials\n"
	    "client_id = 1\nclient_secret = credential:x\ntenant = common\n",
	    { "m.conf:6: account a: 'tenant': client_credentials needs one "
	      "directory" } },
	{ "no services", "[account a]\nprovider = outlook.com\nclient_id = 1\n",
	    { "m.conf:1: account a: 'services': missing: write what" } },
	{ "bad services say so once",
	    "[account a]\nprovider = outlook.com\nclient_id = 1\n"
	    "services = smtp PaSs\n",
	    { "m.conf:4: 'services': must be one or more of smtp, imap and "
	      "pop" } },
	{ "google, app-only",
	    "[account a]\nprovider = google\nclient_id = 1\n"
	    "client_secret = credential:x\ngrant = client_credentials\n",
	    { "m.conf:5: account a: 'grant': this provider has no "
	      "such grant: see mailtoken.conf(5)" } },
	{ "bad grant",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "[account b]\nprovider = custom\n"
		   "grant = password\nclient_id = 1\n"),
	    { "m.conf:8: 'grant': must be refresh_token, client_credentials, "
	      "workload_identity, managed_identity or jwt_bearer" } },
	{ "cloud", APP("cloud = PaSs"),
	    { "m.conf:7: account a: 'cloud': unknown: write global" } },
	{ "endpoint of a preset", APP("token_endpoint = https://PaSs.example/"),
	    { "m.conf:7: account a: 'token_endpoint': this provider's is "
	      "known" } },
	{ "scope", APP("scope = \"PaSs\""),
	    { "m.conf:7: account a: 'scope': has a character" } },
	{ "custom without an endpoint", CUSTOM(""),
	    { "m.conf:1: account a: 'token_endpoint': missing" } },
	{ "custom with both",
	    CUSTOM("issuer = https://a.example\n"
		   "token_endpoint = https://a.example/t"),
	    { "m.conf:5: account a: 'issuer': given besides "
	      "token_endpoint" } },
	{ "http", CUSTOM("issuer = http://PaSs.example"),
	    { "m.conf:5: account a: 'issuer': http:// would send secrets in "
	      "clear" } },
	{ "http to loopback", CUSTOM("token_endpoint = http://127.0.0.1/PaSs"),
	    { "m.conf:5: account a: 'token_endpoint': http:// to this host "
	      "needs insecure_http = yes" } },
	{ "secret in the file",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_secret = PaSsword"),
	    { "m.conf:6: 'client_secret': a secret does not stand in this "
	      "file: put it into a file of mode 0600 and write "
	      "file:/PATH" } },
	{ "relative secret",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_secret = file:PaSs"),
	    { "m.conf:6: 'client_secret': needs an absolute path" } },
	{ "credential with a slash",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_secret = credential:../PaSs"),
	    { "m.conf:6: 'client_secret': needs a name as in "
	      "LoadCredential" } },
	{ "credential without a name",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_secret = credential:"),
	    { "m.conf:6: 'client_secret': needs a name" } },
	{ "client_auth", APP("client_auth = digest"),
	    { "m.conf:7: 'client_auth': must be post or basic" } },
	{ "basic without a secret",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_auth = basic"),
	    { "m.conf:6: account a: 'client_auth': basic needs a "
	      "client_secret" } },
	{ "relative ca_file", APP("ca_file = ca.pem"),
	    { "m.conf:7: 'ca_file': must be an absolute path" } },
	{ "min_life of zero", APP("min_life = 0"),
	    { "m.conf:7: 'min_life': must be from 60 to 86400 seconds" } },
	{ "min_life too long", APP("min_life = 25h"),
	    { "m.conf:7: 'min_life': must be from 60" } },
	{ "min_life of words", APP("min_life = 15 minutes"),
	    { "m.conf:7: 'min_life': must be from 60" } },
	{ "insecure_http", APP("insecure_http = true"),
	    { "m.conf:7: 'insecure_http': must be yes or no" } },
	{ "unknown user", APP("allow = root no-such-user"),
	    { "m.conf:7: 'allow': there is no user 'no-such-user'" } },
};

static void
refuses(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct heard h;
		struct config *c = parse(bad[i].text, &h);
		size_t n = 0;

		if (c != NULL)
			fail_msg("%s: taken", bad[i].name);
		while (n < COUNT(bad[i].says) && bad[i].says[n] != NULL)
			n++;
		for (size_t k = 0; k < n && k < h.n; k++)
			if (h.d[k].kind != DIAG_CONFIG ||
			    strstr(h.d[k].text, bad[i].says[k]) == NULL ||
			    strstr(h.d[k].text, "PaSs") != NULL)
				fail_msg("%s: %s", bad[i].name, h.d[k].text);
		if (h.n != n)
			fail_msg("%s: %zu complaints, last: %s", bad[i].name,
			    h.n, h.d[h.n > 0 ? h.n - 1 : 0].text);
	}
}

static void
takes_nothing(void **unused)
{
	static const char *const texts[] = { "", "\n\n", "# x\n; y\n",
		"[agent]", "\xef\xbb\xbf[agent]\r\n\r\n" };

	(void)unused;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct heard h;
		struct config *c = parse(texts[i], &h);

		if (c == NULL)
			fail_msg("%zu: %s", i, h.d[0].text);
		assert_int_equal(h.n, 0);
		assert_int_equal(c->n_accounts, 0);
		assert_string_equal(c->path, "m.conf");
		assert_true(c->listen_default);
		assert_string_equal(c->listen[0], "/run/mailtoken/agent.sock");
		assert_string_equal(c->state_dir, "/var/lib/mailtoken");
		assert_string_equal(c->user, "mailtoken");
		assert_int_equal(c->http_timeout_s, 20);
		assert_int_equal(c->max_connections, 1024);
		assert_int_equal(c->max_connections_per_uid, 256);
		assert_int_equal(c->admin.n, 0);
		assert_null(config_account(c, "a"));
		config_unref(&c);
		assert_null(c);
	}
}

static void
takes_agent(void **unused)
{
	struct heard h;
	struct config *c = parse("[ agent ]\t; ours\r\n"
				 "  listen=/run/a.sock\t/run/b.sock ; two\r\n"
				 "state_dir = /var/lib/a b;c\r\n"
				 "user = mail\r\n"
				 "admin = root 1007 group:daemon group:77\r\n"
				 "http_timeout = 1 min\r\n"
				 "max_connections = 100",
	    &h);

	(void)unused;
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	assert_false(c->listen_default);
	assert_string_equal(c->listen[0], "/run/a.sock");
	assert_string_equal(c->listen[1], "/run/b.sock");
	assert_null(c->listen[2]);
	assert_string_equal(c->state_dir, "/var/lib/a b;c");
	assert_string_equal(c->user, "mail");
	assert_int_equal(c->admin.n, 4);
	assert_int_equal(c->http_timeout_s, 60);
	assert_int_equal(c->max_connections, 100);
	assert_int_equal(c->max_connections_per_uid, 100);
	config_unref(&c);
}

static void
takes_accounts(void **unused)
{
	static const char text[] = APP(
	    "services = smtp\nmin_life = 15 min\nallow = root\n"
	    "client_auth = basic\n") "[account shared@contoso.example]\nprovider = google\n"
				     "client_id = 2\nclient_secret = credential:google\n"
				     "[account c]\nprovider = custom\ngrant = refresh_token\n"
				     "client_id = 3\nissuer = http://localhost:1/\ninsecure_http = yes\n"
				     "ca_file = /etc/ca.pem\nmin_life=1h\nservices = imap pop3\n";
	struct heard h;
	struct config *c = parse(text, &h);
	const struct account *a;

	(void)unused;
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	assert_int_equal(c->n_accounts, 3);
	a = config_account(c, "a");
	assert_ptr_equal(a, c->accounts[0]);
	assert_ptr_equal(a->config, c);
	assert_int_equal(a->line, 1);
	assert_string_equal(a->provider, "microsoft");
	assert_int_equal(a->grant, GRANT_CLIENT_CREDENTIALS);
	assert_int_equal(a->services, SERVICE_SMTP);
	assert_string_equal(a->client_id, "1111");
	assert_int_equal(a->client_secret.kind, SECRET_REF_FILE);
	assert_string_equal(a->client_secret.name, "/nonexistent/secret");
	assert_int_equal(a->client_secret.line, 6);
	assert_int_equal(a->client_auth, CLIENT_AUTH_BASIC);
	assert_string_equal(a->token_endpoint,
	    "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/"
	    "token");
	assert_string_equal(a->scope, "https://outlook.office365.com/.default");
	assert_int_equal(a->min_life_s, 900);
	assert_true(rules_allow(&a->allow, 0, NULL, 0));

	a = config_account(c, "shared@contoso.example");
	assert_non_null(a);
	assert_int_equal(a->grant, GRANT_REFRESH_TOKEN);
	assert_int_equal(a->client_secret.kind, SECRET_REF_CREDENTIAL);
	assert_string_equal(a->client_secret.name, "google");
	assert_int_equal(a->services, 0);
	assert_int_equal(a->allow.n, 0);
	assert_null(a->issuer);

	a = config_account(c, "c");
	assert_non_null(a);
	assert_string_equal(a->issuer, "http://localhost:1/");
	assert_null(a->token_endpoint);
	assert_null(a->scope);
	assert_true(a->insecure_http);
	assert_string_equal(a->ca_file, "/etc/ca.pem");
	assert_int_equal(a->min_life_s, 3600);
	assert_int_equal(a->services, SERVICE_IMAP | SERVICE_POP);
	assert_int_equal(a->client_secret.kind, SECRET_REF_NONE);
	assert_null(config_account(c, "b"));
	config_unref(&c);
}

static void
counts_references(void **unused)
{
	struct heard h;
	struct config *c = parse(APP(""), &h);
	struct config *second = config_ref(c);

	(void)unused;
	config_unref(&c);
	assert_null(c);
	assert_non_null(config_account(second, "a"));
	config_unref(&second);
	config_unref(&second);
}

/* Nothing is cut: neither a long name nor a long value. */
static void
takes_long_lines(void **unused)
{
	char name[WIRE_ACCOUNT_MAX + 1], text[60000] = "";
	struct config *c;
	struct heard h;

	(void)unused;
	memset(name, 'n', WIRE_ACCOUNT_MAX);
	name[WIRE_ACCOUNT_MAX] = '\0';
	(void)snprintf(text, sizeof(text),
	    "[account %s]\nprovider = google\nclient_id = 1\n"
	    "client_secret = credential:g\nallow =",
	    name);
	for (int i = 0; i < 5000; i++)
		(void)snprintf(text + strlen(text), 16, " %d", 100000 + i);
	c = parse(text, &h);
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	assert_non_null(config_account(c, name));
	assert_int_equal(c->accounts[0]->allow.n, 5000);
	config_unref(&c);

	(void)snprintf(text, sizeof(text), "[account %sn]\n", name);
	assert_null(parse(text, &h));
	assert_int_equal(h.n, 1);
}

static void
stops_complaining(void **unused)
{
	char text[4096] = "[agent]\n";
	struct heard h;

	(void)unused;
	for (int i = 0; i < 500; i++)
		strcat(text, "x = y\n");
	assert_null(parse(text, &h));
	assert_int_equal(h.n, CONFIG_MAX_COMPLAINTS + 1);
}

static void
takes_nul_as_an_error(void **unused)
{
	static const char text[] = "[agent]\nuser = a\0b\n";
	struct heard h = { .n = 0 };

	(void)unused;
	assert_null(config_parse(text, sizeof(text) - 1, "m.conf", hear, &h));
	assert_int_equal(h.n, 1);
	assert_non_null(strstr(h.d[0].text, "m.conf:2: has a control"));
}

static void
follows_rules(void **unused)
{
	static const gid_t gids[] = { 8, 100 };
	struct rules_names *names = NULL;
	struct rules r = { NULL, 0 };
	struct diag d = DIAG_INIT;

	(void)unused;
	assert_false(rules_allow(&r, 0, gids, 2)); /* empty: nobody */
	assert_int_equal(rules_parse("1007 0", &r, &names, &d), 0);
	assert_true(rules_allow(&r, 1007, NULL, 0));
	assert_true(rules_allow(&r, 0, NULL, 0));
	assert_false(rules_allow(&r, 8, gids, 2)); /* a uid is no gid */
	assert_false(rules_have_groups(&r));
	assert_int_equal(rules_parse("group:100 root root", &r, &names, &d), 0);
	assert_int_equal(r.n, 3);
	assert_true(rules_have_groups(&r));
	assert_true(rules_allow(&r, 5, gids, 2));
	assert_false(rules_allow(&r, 100, gids, 1)); /* a gid is no uid */
	assert_int_equal(rules_parse("group:root", &r, &names, &d), 0);
	assert_false(rules_allow(&r, 0, gids, 2));
	assert_int_equal(rules_parse("root nobody-here", &r, &names, &d), -1);
	assert_int_equal(r.n, 1); /* as it was */
	rules_free(&r);
	rules_names_free(&names);
}

/* 100,000 accounts: a few seconds at most, even under sanitizers. */
static void
takes_many(void **unused)
{
	size_t n = 100000, room = n * 200, len = 0;
	char *text = malloc(room);
	struct timespec t0, t1;
	struct config *c;
	struct heard h = { .n = 0 };

	(void)unused;
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, room - len,
		    "[account user%zu@contoso.example]\nprovider = microsoft\n"
		    "tenant = contoso.example\ngrant = refresh_token\n"
		    "services = smtp imap\nclient_id = 1\nallow = daemon\n",
		    i);
	(void)clock_gettime(CLOCK_MONOTONIC, &t0);
	c = config_parse(text, len, "m.conf", hear, &h);
	(void)clock_gettime(CLOCK_MONOTONIC, &t1);
	free(text);
	assert_non_null(c);
	assert_int_equal(c->n_accounts, n);
	assert_non_null(config_account(c, "user99999@contoso.example"));
	config_unref(&c);
	assert_in_range(t1.tv_sec - t0.tv_sec, 0, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(takes_nothing),
		cmocka_unit_test(takes_agent),
		cmocka_unit_test(takes_accounts),
		cmocka_unit_test(counts_references),
		cmocka_unit_test(takes_long_lines),
		cmocka_unit_test(stops_complaining),
		cmocka_unit_test(takes_nul_as_an_error),
		cmocka_unit_test(follows_rules),
		cmocka_unit_test(takes_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
