/* The configuration: what is taken, and which account a name leads to. */
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
#include "wire.h"

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
		assert_true(c->state_default);
		assert_null(c->socketmap);
		assert_null(c->notify);
		assert_false(c->socketmap_tokens);
		assert_int_equal(c->idle_exit_s, 0);
		assert_string_equal(c->listen[0], "/run/mailtoken/agent.sock");
		assert_string_equal(c->state_dir, "/var/lib/mailtoken");
		assert_int_equal(c->seal_key.kind, SECRET_REF_FILE);
		assert_string_equal(c->seal_key.name, "seal.key");
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
				 "seal_key = credential:state\n"
				 "user = mail\r\n"
				 "admin = root 1007 group:daemon group:77\r\n"
				 "http_timeout = 1 min\r\n"
				 "socketmap = /run/p.sock /run/q.sock\r\n"
				 "socketmap_answer = token\r\n"
				 "idle_exit = 5 min\r\n"
				 "notify = /usr/bin/tell  -v root\r\n"
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
	assert_int_equal(c->seal_key.kind, SECRET_REF_CREDENTIAL);
	assert_string_equal(c->seal_key.name, "state");
	assert_string_equal(c->user, "mail");
	assert_int_equal(c->admin.n, 4);
	assert_int_equal(c->http_timeout_s, 60);
	assert_false(c->state_default);
	assert_string_equal(c->socketmap[0], "/run/p.sock");
	assert_string_equal(c->socketmap[1], "/run/q.sock");
	assert_null(c->socketmap[2]);
	assert_true(c->socketmap_tokens);
	assert_int_equal(c->idle_exit_s, 300);
	assert_string_equal(c->notify, "/usr/bin/tell  -v root");
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

/* Which account a name or a next hop leads to. */
static void
leads_to_accounts(void **unused)
{
	static const char text[] = PATTERN("client_credentials",
	    "client_secret = file:/s") NAMED("anna@contoso.example", "")
	    NAMED("relay", "relayhost = [smtp.example]:587 smtp.example "
			   "smtp.example\n"
			   "mailbox = bounces@contoso.example");
	static const struct {
		const char *key, *mailbox, *relayhost;
	} rows[] = {
		{ "anna@contoso.example", "anna@contoso.example", NULL },
		{ "otto@contoso.example", "*@contoso.example", NULL },
		{ "Otto@CONTOSO.Example", "*@contoso.example", NULL },
		{ "ANNA@contoso.example", "*@contoso.example", NULL },
		{ "a@b@contoso.example", "*@contoso.example", NULL },
		{ "*@contoso.example", "*@contoso.example", NULL },
		{ "@contoso.example", NULL, NULL },
		{ "contoso.example", NULL, NULL },
		{ "otto@mail.contoso.example", NULL, NULL },
		{ "otto@contoso.example.", NULL, NULL },
		{ "otto@", NULL, NULL },
		{ "@", NULL, NULL },
		{ "", NULL, NULL },
		{ "relay", "relay", NULL },
		{ "[smtp.example]:587", NULL, "relay" },
		{ "smtp.example", NULL, "relay" },
		{ "SMTP.example", NULL, NULL },
		{ "[smtp.example]", NULL, NULL },
	};
	struct heard h;
	struct config *c = parse(text, &h);

	(void)unused;
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct account *m = config_mailbox(c, rows[i].key);
		const struct account *r = config_relayhost(c, rows[i].key);
		const char *want = rows[i].mailbox;

		if ((m == NULL) != (want == NULL) ||
		    (m != NULL && strcmp(m->name, want) != 0))
			fail_msg("mailbox %s: %s", rows[i].key,
			    m != NULL ? m->name : "none");
		want = rows[i].relayhost;
		if ((r == NULL) != (want == NULL) ||
		    (r != NULL && strcmp(r->name, want) != 0))
			fail_msg("next hop %s", rows[i].key);
	}
	assert_string_equal(
	    config_account(c, "relay")->mailbox, "bounces@contoso.example");
	config_unref(&c);
}

/* The longest domain that an account can have, and longer ones. */
static void
leads_long_names(void **unused)
{
	char text[1000], key[1000], name[WIRE_ACCOUNT_MAX + 1] = "*@";
	struct heard h;
	struct config *c;

	(void)unused;
	memset(name + 2, 'd', WIRE_ACCOUNT_MAX - 2);
	(void)snprintf(text, sizeof(text),
	    "[account %s]\nprovider = microsoft\ngrant = managed_identity\n"
	    "services = smtp\n",
	    name);
	c = parse(text, &h);
	if (c == NULL)
		fail_msg("%s", h.d[0].text);
	(void)snprintf(key, sizeof(key), "a%s", name + 1);
	assert_non_null(config_mailbox(c, key));
	(void)snprintf(key, sizeof(key), "%s%s", name + 2, name + 1);
	assert_non_null(config_mailbox(c, key));
	for (int more = 1; more < 400; more++) {
		(void)snprintf(key, sizeof(key), "a%s%0*d", name + 1, more, 0);
		assert_null(config_mailbox(c, key));
	}
	config_unref(&c);

	(void)snprintf(text, sizeof(text), "[account %sd]\n", name);
	assert_null(parse(text, &h));
	assert_non_null(strstr(h.d[0].text, "a name has"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_nothing),
		cmocka_unit_test(takes_agent),
		cmocka_unit_test(takes_accounts),
		cmocka_unit_test(leads_to_accounts),
		cmocka_unit_test(leads_long_names),
		cmocka_unit_test(counts_references),
		cmocka_unit_test(takes_long_lines),
		cmocka_unit_test(follows_rules),
		cmocka_unit_test(takes_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
