/*
 * saslhost.c - a mail program reduced to its logins, on the real libsasl2.
 *
 * saslhost [-m MECH] [-u USER] [-a AUTHNAME] [-w PASS | -W FILE]
 *          [-s SERVICE] [-h HOST] [-i N] [-c TEXT | -e] [-r SSF] [-x SSF]
 *          [-epnTN]
 *
 *   -i N     N logins in this process
 *   -c TEXT  a second step, with TEXT as the server's challenge; -e: empty
 *   -p       prompts (SASL_INTERACT) instead of callbacks
 *   -n       no callback or prompt for the password
 *   -r SSF   no mechanism with less of a security layer than that
 *   -x SSF   what TLS gives, as the host says
 *   -N       no plain text (noplaintext)
 *   -T       print the token as well
 *
 * One line for each event; 0 if every step was OK or CONTINUE.  $SASL_PATH
 * says where the plugins are.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sasl/sasl.h>

struct host {
	const char *mech, *user, *authname, *service, *server, *challenge;
	char *pass;
	size_t pass_len;
	bool prompts, no_pass, show_token;
	sasl_security_properties_t properties;
	sasl_ssf_t external;
	int logins;
	sasl_secret_t *secret;
};

static int
get_simple(void *arg, int id, const char **result, unsigned *len)
{
	const struct host *h = arg;

	*result = id == SASL_CB_USER ? h->user : h->authname;
	if (len != NULL)
		*len = *result != NULL ? (unsigned)strlen(*result) : 0;
	return SASL_OK;
}

static int
get_secret(sasl_conn_t *conn, void *arg, int id, sasl_secret_t **ret)
{
	struct host *h = arg;

	(void)conn;
	(void)id;
	*ret = h->secret;
	return SASL_OK;
}

/* libsasl2 hands every error text to the log, so it is seen there. */
static int
log_line(void *arg, int level, const char *text)
{
	(void)arg;
	if (level <= SASL_LOG_FAIL)
		printf("log: %s\n", text);
	return SASL_OK;
}

static void
answer_prompts(const struct host *h, sasl_interact_t *p)
{
	for (; p->id != SASL_CB_LIST_END; p++) {
		printf("prompt=%s\n", p->prompt);
		p->result = p->id == SASL_CB_USER     ? h->user :
			    p->id == SASL_CB_AUTHNAME ? h->authname :
							h->pass;
		if (p->id == SASL_CB_PASS)
			p->len = (unsigned)h->pass_len;
		else if (p->result != NULL)
			p->len = (unsigned)strlen(p->result);
	}
}

static void
show_response(const struct host *h, const char *out, unsigned len)
{
	static const char bearer[] = "\001auth=Bearer ";
	const char *auth, *end = out + len;

	printf("response_len=%u\n", len);
	if (len < 5 || memcmp(out, "user=", 5) != 0)
		return;
	auth = memmem(out, len, bearer, strlen(bearer));
	if (auth == NULL)
		return;
	printf("response_user=%.*s\n", (int)(auth - out - 5), out + 5);
	auth += strlen(bearer);
	if (end - auth >= 2 && memcmp(end - 2, "\001\001", 2) == 0)
		end -= 2;
	printf("token_len=%d\n", (int)(end - auth));
	if (h->show_token)
		printf("token=%.*s\n", (int)(end - auth), auth);
}

static bool
show_code(const char *what, sasl_conn_t *conn, int rc)
{
	printf("%s rc=%d (%s)\n", what, rc, sasl_errstring(rc, NULL, NULL));
	if (rc == SASL_OK || rc == SASL_CONTINUE)
		return true;
	printf("error: %s\n", sasl_errdetail(conn));
	return false;
}

/* What the host demands of a mechanism, and what it has already. */
static bool
set_properties(const struct host *h, sasl_conn_t *conn)
{
	return sasl_setprop(conn, SASL_SEC_PROPS, &h->properties) == SASL_OK &&
	       sasl_setprop(conn, SASL_SSF_EXTERNAL, &h->external) == SASL_OK;
}

static bool
login(const struct host *h, const sasl_callback_t *callbacks)
{
	sasl_interact_t *prompts = NULL;
	const char *out = NULL, *mech = NULL;
	sasl_conn_t *conn = NULL;
	unsigned len = 0;
	bool ok;
	int rc, rounds = 0;

	rc = sasl_client_new(
	    h->service, h->server, NULL, NULL, callbacks, 0, &conn);
	if (rc != SASL_OK || !set_properties(h, conn)) {
		printf("new rc=%d\n", rc);
		return false;
	}
	do {
		if (prompts != NULL)
			answer_prompts(h, prompts);
		rc = sasl_client_start(
		    conn, h->mech, &prompts, &out, &len, &mech);
	} while (rc == SASL_INTERACT && ++rounds < 5);
	ok = show_code("start", conn, rc);
	if (ok) {
		printf("mech=%s\n", mech);
		show_response(h, out, len);
	}
	if (ok && h->challenge != NULL) {
		rc = sasl_client_step(conn, h->challenge,
		    (unsigned)strlen(h->challenge), &prompts, &out, &len);
		ok = show_code("step", conn, rc);
		if (ok)
			printf("answer_len=%u\n", len);
		if (ok && *h->challenge != '\0')
			printf("error: %s\n", sasl_errdetail(conn));
	}
	sasl_dispose(&conn);
	return ok;
}

static sasl_callback_t
callback(const struct host *h, unsigned long id, void *proc)
{
	return (sasl_callback_t){ .id = id,
		.proc = h->prompts ? NULL : (int (*)(void))proc,
		.context = (void *)(unsigned long)h };
}

static void
read_pass(struct host *h, const char *path)
{
	FILE *f = fopen(path, "r");
	size_t cap = 0;
	ssize_t n = f != NULL ? getline(&h->pass, &cap, f) : -1;

	if (n < 0) {
		perror(path);
		exit(2);
	}
	if (n > 0 && h->pass[n - 1] == '\n')
		n--;
	h->pass[n] = '\0';
	h->pass_len = (size_t)n;
	(void)fclose(f);
}

static void
set_pass(struct host *h, const char *text)
{
	free(h->pass);
	h->pass = strdup(text);
	if (h->pass == NULL)
		exit(2);
	h->pass_len = strlen(text);
}

static void
options(struct host *h, int argc, char *argv[])
{
	int c;

	while ((c = getopt(argc, argv, "m:u:a:w:W:s:h:i:c:r:x:epnTN")) != -1)
		switch (c) {
		case 'm':
			h->mech = optarg;
			break;
		case 'u':
			h->user = optarg;
			break;
		case 'a':
			h->authname = optarg;
			break;
		case 'w':
			set_pass(h, optarg);
			break;
		case 'W':
			read_pass(h, optarg);
			break;
		case 's':
			h->service = optarg;
			break;
		case 'h':
			h->server = optarg;
			break;
		case 'i':
			h->logins = atoi(optarg);
			break;
		case 'c':
			h->challenge = optarg;
			break;
		case 'r':
			h->properties.min_ssf = (sasl_ssf_t)atoi(optarg);
			h->properties.maxbufsize = 4096; /* or none may be */
			break;
		case 'x':
			h->external = (sasl_ssf_t)atoi(optarg);
			break;
		case 'N':
			h->properties.security_flags = SASL_SEC_NOPLAINTEXT;
			break;
		case 'e':
			h->challenge = "";
			break;
		case 'p':
			h->prompts = true;
			break;
		case 'n':
			h->no_pass = true;
			break;
		case 'T':
			h->show_token = true;
			break;
		default:
			exit(2);
		}
}

int
main(int argc, char *argv[])
{
	struct host h = { .mech = "XOAUTH2",
		.service = "smtp",
		.server = "smtp.example.com",
		.logins = 1 };
	const sasl_callback_t global[] = {
		{ SASL_CB_LOG, (int (*)(void))(void *)log_line, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	sasl_callback_t cb[4];
	int n = 0, failed = 0;

	options(&h, argc, argv);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	h.secret = calloc(1, sizeof(*h.secret) + h.pass_len + 1);
	if (h.secret == NULL)
		return 2;
	h.secret->len = h.pass_len;
	if (h.pass != NULL)
		memcpy(h.secret->data, h.pass, h.pass_len);

	if (h.user != NULL)
		cb[n++] = callback(&h, SASL_CB_USER, (void *)get_simple);
	if (h.authname != NULL)
		cb[n++] = callback(&h, SASL_CB_AUTHNAME, (void *)get_simple);
	if (!h.no_pass)
		cb[n++] = callback(&h, SASL_CB_PASS, (void *)get_secret);
	cb[n] = (sasl_callback_t){ .id = SASL_CB_LIST_END };

	if (sasl_client_init(global) != SASL_OK)
		return 2;
	for (int i = 0; i < h.logins; i++)
		failed += !login(&h, cb);
	sasl_client_done();
	free(h.secret);
	free(h.pass);
	return failed > 0;
}
