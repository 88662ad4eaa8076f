/*
 * fake_host.h - a mail program and the SASL library between it and the
 * plugin, which the including file has included before.
 */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#define OFFERED(n) (1u << (n))

/* What hosts offer, and who logs in. */
#define ALL	 (OFFERED(ASK_USER) | OFFERED(ASK_AUTHNAME) | OFFERED(ASK_PASS))
#define NAME	 OFFERED(ASK_AUTHNAME)
#define POSTFIX_ (OFFERED(ASK_AUTHNAME) | OFFERED(ASK_PASS))
#define RELAY	 "relay@example.com"
#define BOX	 "shared@example.com"

/* A host, its connection and its half of the library in one. */
struct host {
	/* What it offers, as OFFERED(ASK_...), and how. */
	unsigned callbacks, prompts;
	const char *text[ASK__COUNT];
	int callback_rc; /* of all callbacks */
	/* canon_user() */
	int canon_rc[2]; /* of the first and the second call */
	bool canon_forgets;
	int canon_calls;
	char authid[256], user[256];
	/* What happened. */
	char error[1024];
	int errors, asked[ASK__COUNT], allocated;
};

static struct host host;
static sasl_secret_t *host_secret;
static sasl_utils_t utils;
static sasl_client_params_t params;
static sasl_out_params_t oparams;
static sasl_callback_t offered[ASK__COUNT + 1];
static sasl_client_plug_t *plug;

static void *
host_malloc(size_t n)
{
	host.allocated++;
	return malloc(n);
}

static void
host_free(void *p)
{
	host.allocated--;
	free(p);
}

static void __attribute__((format(printf, 3, 4)))
host_seterror(sasl_conn_t *conn, unsigned flags, const char *fmt, ...)
{
	va_list ap;

	(void)flags;
	assert_ptr_equal(conn, &host);
	va_start(ap, fmt);
	(void)vsnprintf(host.error, sizeof(host.error), fmt, ap);
	va_end(ap);
	host.errors++;
}

static void __attribute__((format(printf, 3, 4)))
host_log(sasl_conn_t *conn, int level, const char *fmt, ...)
{
	(void)conn;
	(void)level;
	(void)fmt;
}

/* Writes a size_t where unsigned is declared, as libsasl2's own does. */
static int
host_getsimple(void *arg, int id, const char **result, unsigned *len)
{
	enum ask ask = id == SASL_CB_USER ? ASK_USER : ASK_AUTHNAME;
	size_t n = 0;

	assert_ptr_equal(arg, &host.text);
	host.asked[ask]++;
	*result = host.text[ask];
	if (*result != NULL)
		n = strlen(*result);
	memcpy((void *)len, &n, sizeof(n));
	return host.callback_rc;
}

static int
host_getsecret(sasl_conn_t *conn, void *arg, int id, sasl_secret_t **ret)
{
	size_t n = host.text[ASK_PASS] ? strlen(host.text[ASK_PASS]) : 0;

	assert_ptr_equal(conn, &host);
	assert_ptr_equal(arg, &host.text);
	assert_int_equal(id, SASL_CB_PASS);
	host.asked[ASK_PASS]++;
	free(host_secret);
	host_secret = NULL;
	if (host.text[ASK_PASS] != NULL) {
		host_secret = malloc(sizeof(*host_secret) + n);
		assert_non_null(host_secret);
		host_secret->len = n;
		memcpy(host_secret->data, host.text[ASK_PASS], n);
	}
	*ret = host_secret;
	return host.callback_rc;
}

static int
library_getsimple(void *arg, int id, const char **result, unsigned *len)
{
	(void)arg;
	(void)id;
	(void)result;
	(void)len;
	fail_msg("the library's own AUTHNAME callback was called");
	return SASL_FAIL;
}

static int
host_getcallback(
    sasl_conn_t *conn, unsigned long id, sasl_callback_ft *proc, void **arg)
{
	enum ask ask = id == SASL_CB_USER ? ASK_USER :
		       id == SASL_CB_PASS ? ASK_PASS :
					    ASK_AUTHNAME;

	assert_ptr_equal(conn, &host);
	*proc = NULL;
	*arg = &host.text;
	if (host.prompts & OFFERED(ask))
		return SASL_INTERACT;
	if (host.callbacks & OFFERED(ask)) {
		*proc = ask == ASK_PASS ?
			    (sasl_callback_ft)(void (*)(void))host_getsecret :
			    (sasl_callback_ft)(void (*)(void))host_getsimple;
		return SASL_OK;
	}
	if (ask == ASK_AUTHNAME) {
		*proc = (sasl_callback_ft)(void (*)(void))library_getsimple;
		*arg = conn;
		return SASL_OK;
	}
	host_seterror(conn, SASL_NOLOG, "Unable to find a callback: %lu", id);
	return SASL_FAIL;
}

/* Trims leading blanks, as the library does at both ends. */
static int
host_canon(sasl_conn_t *conn, const char *in, unsigned len, unsigned flags,
    sasl_out_params_t *o)
{
	int rc = host.canon_rc[host.canon_calls++ > 0];

	assert_ptr_equal(conn, &host);
	assert_true(len < 256);
	if (rc != SASL_OK || host.canon_forgets)
		return rc;
	for (; len > 0 && *in == ' '; in++)
		len--;
	if (flags & SASL_CU_AUTHID) {
		(void)snprintf(host.authid, 256, "%.*s", (int)len, in);
		o->authid = host.authid;
		o->alen = len;
	}
	if (flags & SASL_CU_AUTHZID) {
		(void)snprintf(host.user, 256, "%.*s", (int)len, in);
		o->user = host.user;
		o->ulen = len;
	}
	return SASL_OK;
}

/* A host with these callbacks (or prompts), and an agent at path. */
static void
host_init(unsigned callbacks, unsigned prompts, const char *path)
{
	size_t n = 0;

	host = (struct host){ .callbacks = callbacks, .prompts = prompts };
	utils = (sasl_utils_t){ .conn = (sasl_conn_t *)(void *)&host,
		.malloc = host_malloc,
		.free = host_free,
		.getcallback = host_getcallback,
		.log = host_log,
		.seterror = host_seterror };
	for (unsigned i = 0; i < ASK__COUNT; i++)
		if ((callbacks | prompts) & OFFERED(i))
			offered[n++].id = asks[i].id;
	offered[n].id = SASL_CB_LIST_END;
	params = (sasl_client_params_t){ .service = "smtp",
		.serverFQDN = "smtp.example.com",
		.utils = &utils,
		.prompt_supp = offered,
		.canon_user = host_canon };
	oparams = (sasl_out_params_t){ .doneflag = 0 };
	(void)setenv("MAILTOKEN_SOCKET", path, 1);
}

static void
answer_prompts(sasl_interact_t *p)
{
	for (; p->id != SASL_CB_LIST_END; p++)
		for (unsigned i = 0; i < ASK__COUNT; i++)
			if (asks[i].id == p->id && host.text[i] != NULL) {
				assert_non_null(p->prompt);
				host.asked[i]++;
				p->result = host.text[i];
				p->len = (unsigned)strlen(host.text[i]);
			}
}

/* One whole first step; the caller disposes of *c. */
static int
start(void **c, const char **out, unsigned *len)
{
	sasl_interact_t *need = NULL;
	int rc, rounds = 0;

	assert_int_equal(plug->mech_new(plug->glob_context, &params, c), SASL_OK);
	do {
		if (need != NULL)
			answer_prompts(need);
		rc = plug->mech_step(
		    *c, &params, "", 0, &need, out, len, &oparams);
		assert_true(++rounds <= 2);
	} while (rc == SASL_INTERACT);
	assert_null(need);
	return rc;
}

static void
dispose(void *c)
{
	plug->mech_dispose(c, &utils);
	assert_int_equal(host.allocated, 0);
	free(host_secret);
	host_secret = NULL;
}

#endif
