/* The configuration's errors, each with its line and remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "parse_config.h"

/* Values that must not be quoted begin with PaSs. */
static const struct {
	const char *name, *text;
	const char *says[5]; /* each complaint begins or goes on so */
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
	/* domains' accounts, and next hops */
	{ "a star alone", "[account *]\n",
	    { "m.conf:1: account '*': a name has 1 to 200" } },
	{ "a star without a domain", "[account *@]\n",
	    { "m.conf:1: account '*@': a name has" } },
	{ "a star in a name", "[account a*@contoso.example]\n",
	    { "m.conf:1: account 'a*@contoso.example': a name has" } },
	{ "two domains", "[account *@a@b]\n",
	    { "m.conf:1: account '*@a@b': a name has" } },
	{ "a domain in upper case", "[account *@Contoso.example]\n",
	    { "m.conf:1: account '*@Contoso.example': a name has 1 to 200 "
	      "printable ASCII characters, no blank, none of / \\ \" [ ] : ; "
	      "*, and does not begin with . or -; *@domain, in lower case" } },
	{ "somebody's login for a domain", PATTERN("refresh_token", ""),
	    { "m.conf:4: account *@contoso.example: 'grant': this grant's "
	      "token is for one mailbox" } },
	{ "one mailbox's service account for a domain",
	    "[account *@example.com]\nprovider = google\n"
	    "grant = jwt_bearer\nservice_account_key = credential:sa\n"
	    "subject = a@example.com\n",
	    { "m.conf:3: account *@example.com: 'grant': this grant's" } },
	{ "a next hop of a domain's account",
	    PATTERN("client_credentials",
		"client_secret = file:/s\nrelayhost = [PaSs]:587"),
	    { "m.conf:8: account *@contoso.example: 'relayhost': does not go "
	      "with" } },
	{ "a mailbox of a domain's account",
	    PATTERN("client_credentials",
		"client_secret = file:/s\nmailbox = PaSs@contoso.example"),
	    { "m.conf:8: account *@contoso.example: 'mailbox': does not go "
	      "with" } },
	{ "one next hop of two accounts",
	    NAMED("a", "relayhost = [x]:25 [PaSs]:587")
		NAMED("b", "relayhost = [PaSs]:587"),
	    { "m.conf:7: account b: 'relayhost': names a next hop that is "
	      "account a's already, in line 1: take it out of one" } },
	{ "more next hops than any relay has",
	    NAMED("a",
		"relayhost = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
		"20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 "
		"40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 "
		"60 61 62 63 64 65"),
	    { "m.conf:6: 'relayhost': has more than 64 words" } },
	{ "a mailbox with a colon", APP("mailbox = PaSs:word"),
	    { "m.conf:7: 'mailbox': has a colon" } },
	{ "a mailbox with a blank", APP("mailbox = PaSs word"),
	    { "m.conf:7: 'mailbox':" } },
	/* [agent] */
	{ "lookups answered otherwise", "[agent]\nsocketmap_answer = PaSs\n",
	    { "m.conf:2: 'socketmap_answer': must be reference or token" } },
	{ "relative lookup socket", "[agent]\nsocketmap = PaSs\n",
	    { "m.conf:2: 'socketmap': must be absolute paths" } },
	{ "a program that is no path", "[agent]\nnotify = PaSs root\n",
	    { "m.conf:2: 'notify': must be the absolute path of a program" } },
	{ "no idle time", "[agent]\nidle_exit = 0\n",
	    { "m.conf:2: 'idle_exit': must be" } },
	{ "more than a day idle", "[agent]\nidle_exit = 86401\n",
	    { "m.conf:2: 'idle_exit': must be" } },
	{ "relative socket", "[agent]\nlisten = /a PaSs\n",
	    { "m.conf:2: 'listen': must be absolute paths" } },
	{ "socket twice", "[agent]\nlisten = /a /b /a\n",
	    { "m.conf:2: 'listen': has a path twice" } },
	{ "socket too long",
	    "[agent]\nlisten = /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	    { "m.conf:2: 'listen': has a path longer than a socket's may be "
	      "(107 bytes)" } },
	{ "seal key in the file", "[agent]\nseal_key = PaSs\n",
	    { "m.conf:2: 'seal_key': must be file:/PATH, credential:NAME or "
	      "none" } },
	{ "seal key of a program", "[agent]\nseal_key = command:/PaSs\n",
	    { "m.conf:2: 'seal_key': must be file:/PATH" } },
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
	    { "m.conf:5: account a: 'grant': this provider takes grant = "
	      "refresh_token or jwt_bearer" } },
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
	/* of some grants only */
	{ "secret and certificate", APP("client_certificate = /PaSs"),
	    { "m.conf:7: account a: 'client_certificate': given besides "
	      "client_secret" } },
	{ "neither",
	    "[account a]\nprovider = custom\ngrant = client_credentials\n"
	    "client_id = 1\ntoken_endpoint = https://a.example/\n"
	    "client_key = /PaSs\nassertion_algorithm = RS256\n"
	    "client_key_passphrase = file:/PaSs\n"
	    "client_secret_expires = 2027-01-01\n",
	    { "m.conf:1: account a: 'client_secret': missing: grant = "
	      "client_credentials needs it or a client_certificate",
		"m.conf:9: account a: 'client_secret_expires': goes with "
		"client_secret only",
		"m.conf:6: account a: 'client_key': goes with "
		"client_certificate only",
		"m.conf:8: account a: 'client_key_passphrase': goes",
		"m.conf:7: account a: 'assertion_algorithm': goes" } },
	{ "both, somebody logged in",
	    CUSTOM("token_endpoint = https://a.example/\n"
		   "client_secret = credential:x\nclient_certificate = /PaSs"),
	    { "m.conf:7: account a: 'client_certificate': given besides" } },
	{ "basic with a certificate", CERT("client_auth = basic"),
	    { "m.conf:7: account a: 'client_auth': basic needs a "
	      "client_secret" } },
	{ "relative certificate",
	    CUSTOM("issuer = https://a.example\nclient_certificate = PaSs"),
	    { "m.conf:6: 'client_certificate': must be an absolute path" } },
	{ "relative key", CERT("client_key = PaSs.pem"),
	    { "m.conf:7: 'client_key': must be an absolute path, or a URI" } },
	{ "one letter is no scheme", CERT("client_key = c:PaSs"),
	    { "m.conf:7: 'client_key': must be an absolute path" } },
	{ "a PIN", CERT("client_key = pkcs11:object=k?Pin-Value=PaSs"),
	    { "m.conf:7: 'client_key': a PIN does not stand in this file" } },
	{ "passphrase in the file", CERT("client_key_passphrase = PaSs"),
	    { "m.conf:7: 'client_key_passphrase': a secret does not stand" } },
	{ "algorithm", CERT("assertion_algorithm = HS256"),
	    { "m.conf:7: 'assertion_algorithm': must be PS256 or RS256" } },
	{ "no such day", APP("client_secret_expires = 2027-02-30"),
	    { "m.conf:7: 'client_secret_expires': must be a day: write "
	      "YYYY-MM-DD" } },
	{ "day the other way", APP("client_secret_expires = 31.03.2027"),
	    { "m.conf:7: 'client_secret_expires': must be a day" } },
	{ "half a day", APP("client_secret_expires = 2027-1-011"),
	    { "m.conf:7: 'client_secret_expires': must be a day" } },
	{ "month of a minus", APP("client_secret_expires = 2027--1-01"),
	    { "m.conf:7: 'client_secret_expires': must be a day" } },
	{ "quotes in an ID",
	    CUSTOM("issuer = https://a.example\n"
		   "[account b]\nprovider = google\n"
		   "client_id = \"PaSs\"\n"
		   "client_secret = credential:x"),
	    { "m.conf:8: 'client_id': must be printable ASCII without blanks, "
	      "quotes and backslashes" } },
	{ "apostrophe in an ID",
	    "[account a]\nprovider = google\nclient_id = a'b\n"
	    "client_secret = credential:x",
	    { "m.conf:3: 'client_id': must be printable ASCII" } },
	{ "federation's file",
	    CUSTOM("issuer = https://a.example\n"
		   "client_assertion_file = /PaSs"),
	    { "m.conf:6: account a: 'client_assertion_file': does not go with "
	      "grant = refresh_token, only with workload_identity: take it "
	      "out" } },
	{ "federated, all missing", FEDERATED,
	    { "m.conf:1: account a: 'client_id': missing: write it, or set "
	      "AZURE_CLIENT_ID in the environment",
		"m.conf:1: account a: 'tenant': missing: write it, or set "
		"AZURE_TENANT_ID in",
		"m.conf:1: account a: 'client_assertion_file': missing: write "
		"it, or set AZURE_FEDERATED_TOKEN_FILE in" } },
	{ "federated, a secret",
	    FEDERATED "client_id = 1\ntenant = a.example\n"
		      "client_assertion_file = /x\n"
		      "client_secret = credential:PaSs",
	    { "m.conf:7: account a: 'client_secret': does not go with grant = "
	      "workload_identity, only with refresh_token or "
	      "client_credentials" } },
	{ "federated elsewhere",
	    "[account a]\nprovider = custom\ngrant = workload_identity\n"
	    "token_endpoint = https://a.example/\n",
	    { "m.conf:1: account a: 'client_id': missing: write the appl",
		"m.conf:1: account a: 'client_assertion_file': missing: write "
		"the path" } },
	{ "managed identity's client_id", MANAGED("client_id = PaSs"),
	    { "m.conf:5: account a: 'client_id': does not go with grant = "
	      "managed_identity, only with refresh_token, client_credentials "
	      "or workload_identity: take it out; a managed identity is "
	      "chosen by identity = client_id:ID" } },
	{ "managed identity's tenant", MANAGED("tenant = PaSs.example"),
	    { "m.conf:5: account a: 'tenant': does not go with" } },
	{ "said once", MANAGED("token_endpoint = http://PaSs.example"),
	    { "m.conf:5: account a: 'token_endpoint': does not go with" } },
	{ "identity", MANAGED("identity = PaSs"),
	    { "m.conf:5: 'identity': must be system, client_id:ID" } },
	{ "identity of nobody", MANAGED("identity = client_id:"),
	    { "m.conf:5: 'identity': must be system, client_id:ID" } },
	{ "identity in quotes", MANAGED("identity = object_id:\"PaSs\""),
	    { "m.conf:5: 'identity': must be printable ASCII" } },
	{ "identity of no machine", APP("identity = system"),
	    { "m.conf:7: account a: 'identity': does not go with" } },
	{ "managed identity elsewhere",
	    "[account a]\nprovider = custom\ngrant = managed_identity\n",
	    { "m.conf:1: account a: 'scope': missing: write the resource" } },
	{ "service account's client_id", GOOGLE("client_id = PaSs"),
	    { "m.conf:6: account a: 'client_id': does not go with grant = "
	      "jwt_bearer" } },
	{ "service account, all missing",
	    "[account a]\nprovider = google\ngrant = jwt_bearer\n",
	    { "m.conf:1: account a: 'service_account_key': missing: write "
	      "service_account_key = file:/PATH",
		"m.conf:1: account a: 'subject': missing: write the "
		"mailbox" } },
	{ "service account without its grant",
	    "[account a]\nprovider = google\nclient_id = 1\n"
	    "client_secret = credential:x\nservice_account_key = file:/PaSs\n",
	    { "m.conf:5: account a: 'service_account_key': does not go with "
	      "grant = refresh_token, only with jwt_bearer" } },
	{ "subject in quotes",
	    "[account a]\nprovider = google\ngrant = jwt_bearer\n"
	    "service_account_key = file:/x\nsubject = \"PaSs\"\n",
	    { "m.conf:5: 'subject': must be printable ASCII" } },
	{ "service account's tenant", GOOGLE("tenant = PaSs"),
	    { "m.conf:6: account a: 'tenant': does not go with" } },
	{ "login of an application",
	    "[account a]\nprovider = custom\ngrant = client_credentials\n"
	    "client_id = 1\nclient_secret = credential:x\n"
	    "issuer = https://a.example\n"
	    "authorization_endpoint = https://a.example/PaSs\n",
	    { "m.conf:7: account a: 'authorization_endpoint': does not go "
	      "with grant = client_credentials" } },
	{ "endpoint of a preset's login",
	    "[account a]\nprovider = google\nclient_id = 1\n"
	    "client_secret = credential:x\n"
	    "revocation_endpoint = https://PaSs.example/\n",
	    { "m.conf:5: account a: 'revocation_endpoint': this provider's is "
	      "known" } },
	{ "device endpoint over http",
	    CUSTOM("issuer = https://a.example\n"
		   "device_authorization_endpoint = http://PaSs.example/"),
	    { "m.conf:6: account a: 'device_authorization_endpoint': http:// "
	      "would send" } },
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(stops_complaining),
		cmocka_unit_test(takes_nul_as_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
