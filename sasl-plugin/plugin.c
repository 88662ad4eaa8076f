/*
 * plugin.c - Cyrus SASL's view of core/: the client mechanisms XOAUTH2 and
 * OAUTHBEARER.
 *
 * Beside ask.c the only file that knows <sasl/saslplug.h>.  It runs inside somebody
 * else's process, which may unload it at any time: no state outside of a
 * connection, no signal, no thread, no descriptor that outlives a call.
 *
 * The first step asks for the names and the password, gets the token and
 * answers SASL_CONTINUE with the response.  Any second step is SASL_OK with
 * nothing to send (^A to OAUTHBEARER's error): if the server sent an error, it
 * then says no in its own protocol, and the host reports the server's words.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "ask.h"
#include "token_source.h"
#include "xoauth2.h"

#define REJECT_TIMEOUT_MS 2000

struct context {
	struct xoauth2 mech;
	struct token_agent agent;
	struct token token; /* its value is gone once it is sent */
	struct token_ref ref;
	struct asking asking;
};

/* Its address says which mechanism is meant. */
static char oauthbearer;

static const int sasl_code[] = {
	[DIAG_OK] = SASL_OK,
	[DIAG_RETRY] = SASL_UNAVAIL,
	[DIAG_REAUTH] = SASL_BADAUTH,
	[DIAG_CONFIG] = SASL_FAIL,
	[DIAG_DENIED] = SASL_FAIL,
	[DIAG_PROTO] = SASL_FAIL,
	[DIAG_NOMEM] = SASL_NOMEM,
};
_Static_assert(sizeof(sasl_code) / sizeof(sasl_code[0]) == DIAG__COUNT,
    "a code for every kind");

/* Where a diag becomes what the host logs, and returns. */
static int
report(const sasl_utils_t *utils, const struct diag *d)
{
	utils->seterror(utils->conn, 0, "mailtoken: %s", d->text);
	return sasl_code[d->kind];
}

static int
report_code(const sasl_utils_t *utils, int code, const char *text)
{
	utils->seterror(utils->conn, 0, "mailtoken: %s", text);
	return code;
}

/* "HOST;PORT", as sasl_client_new() was told, or nothing. */
static unsigned
server_port(const sasl_client_params_t *params)
{
	const char *at = params->ipremoteport != NULL ?
			     strchr(params->ipremoteport, ';') :
			     NULL;
	unsigned long port = at != NULL ? strtoul(at + 1, NULL, 10) : 0;

	return port <= 65535 ? (unsigned)port : 0;
}

/* which is the mechanism's row in plugs[]. */
static int
mech_new(void *which, sasl_client_params_t *params, void **conn_context)
{
	struct context *c;

	if (params == NULL || params->utils == NULL || conn_context == NULL)
		return SASL_BADPARAM;
	c = params->utils->malloc(sizeof(*c));
	if (c == NULL)
		return SASL_NOMEM;
	/* One by one: the whole is large, and most of it texts. */
	c->token = (struct token)TOKEN_INIT;
	c->ref.literal = false;
	c->ref.account[0] = '\0';
	c->asking = (struct asking){ .prompts = NULL };
	if (which == &oauthbearer)
		oauthbearer_init(
		    &c->mech, params->serverFQDN, server_port(params));
	else
		xoauth2_init(&c->mech);
	token_agent_init(&c->agent, NULL, TOKEN_TIMEOUT_MS);
	*conn_context = c;
	return SASL_OK;
}

static int
canon(sasl_client_params_t *params, const struct answer *name, unsigned flags,
    sasl_out_params_t *oparams)
{
	int rc = SASL_BUFOVER;

	if (name->len <= INT_MAX)
		rc = params->canon_user(params->utils->conn, name->ptr,
		    (unsigned)name->len, flags, oparams);
	if (rc == SASL_OK)
		return rc;
	return report_code(params->utils, rc,
	    "the user name is empty, too long or not acceptable to the "
	    "program");
}

/*
 * libsasl2 wants both names, and trims them; from here on its copies in
 * oparams count.
 */
static int
canon_names(sasl_client_params_t *params, const struct answer *answers,
    sasl_out_params_t *oparams)
{
	const struct answer *user = &answers[ASK_USER];
	const struct answer *authname = &answers[ASK_AUTHNAME];
	int rc;

	if (authname->len == 0)
		return report_code(params->utils, SASL_FAIL,
		    "the program names no user: it must answer "
		    "SASL_CB_AUTHNAME");
	if (user->len == 0) {
		rc = canon(params, authname, SASL_CU_AUTHID | SASL_CU_AUTHZID,
		    oparams);
	} else {
		rc = canon(params, authname, SASL_CU_AUTHID, oparams);
		if (rc == SASL_OK)
			rc = canon(params, user, SASL_CU_AUTHZID, oparams);
	}
	if (rc == SASL_OK && (oparams->authid == NULL || oparams->user == NULL))
		rc = report_code(params->utils, SASL_FAIL,
		    "the SASL library lost the user name");
	return rc;
}

/* The agent's word for the host's service; NULL if it has none. */
static const char *
service_name(const char *service)
{
	static const char *const names[][2] = {
		{ "smtp", "smtp" },
		{ "imap", "imap" },
		{ "pop", "pop" },
		{ "pop3", "pop" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (service != NULL && strcmp(names[i][0], service) == 0)
			return names[i][1];
	return NULL;
}

static struct token_query
query(const struct context *c, const sasl_client_params_t *params,
    const sasl_out_params_t *oparams)
{
	bool same = strcmp(oparams->user, c->ref.account) == 0;

	return (struct token_query){
		.account = c->ref.account,
		.service = service_name(params->service),
		.host = params->serverFQDN,
		.user = same ? NULL : oparams->user,
	};
}

static int
get_token(struct context *c, const sasl_client_params_t *params,
    const struct answer *pass, const sasl_out_params_t *oparams,
    struct diag *reterr)
{
	struct token_source *source = &c->agent.source;
	struct token_query q;

	if (token_ref_parse(
		pass->ptr, pass->len, oparams->authid, &c->ref, reterr) < 0)
		return -1;
	if (c->ref.literal)
		return secret_set(&c->token.value, pass->ptr, pass->len) ?
			   0 :
			   diag_nomem(reterr);
	q = query(c, params, oparams);
	return source->ops->get(source, &q, &c->token, reterr);
}

static int
first_step(struct context *c, sasl_client_params_t *params,
    sasl_interact_t **prompt_need, const char **out, unsigned *outlen,
    sasl_out_params_t *oparams)
{
	struct answer answers[ASK__COUNT] = { { NULL, 0 } };
	struct diag d = DIAG_INIT;
	const char *why = "";
	int rc;

	rc = ask_host(&c->asking, params, prompt_need, answers, &why);
	if (rc != SASL_OK && rc != SASL_INTERACT)
		return report_code(params->utils, rc, why);
	if (rc == SASL_OK)
		rc = canon_names(params, answers, oparams);
	if (rc != SASL_OK)
		return rc;
	if (get_token(c, params, &answers[ASK_PASS], oparams, &d) < 0)
		return report(params->utils, &d);

	rc =
	    xoauth2_step(&c->mech, oparams->user, &c->token.value, NULL, 0, &d);
	secret_wipe(&c->token.value);
	if (rc < 0) {
		(void)diag_wrap(&d, "user %s", oparams->user);
		return report(params->utils, &d);
	}
	*out = c->mech.out.ptr;
	*outlen = (unsigned)c->mech.out.len;
	return SASL_CONTINUE;
}

/* Best effort: the login has failed either way. */
static void
report_refusal(struct context *c, const sasl_client_params_t *params,
    const sasl_out_params_t *oparams)
{
	struct token_source *source = &c->agent.source;
	const char *whose = c->ref.literal ? oparams->user : c->ref.account;
	const char *words = c->mech.verdict.text;
	struct diag d = DIAG_INIT, unheard = DIAG_INIT;
	struct token_query q;

	(void)diag_set(&d, DIAG_REAUTH, "server refused the token for %s: %s%s",
	    whose != NULL ? whose : "?", words,
	    c->ref.literal ? ": a password may have been taken for a token, "
			     "write mailtoken: to have the agent's" :
			     "");
	(void)report(params->utils, &d);
	if (c->ref.literal || oparams->user == NULL)
		return;
	c->agent.timeout_ms = REJECT_TIMEOUT_MS;
	q = query(c, params, oparams);
	(void)source->ops->reject(source, &q, &c->token, words, &unheard);
}

static int
last_step(struct context *c, const sasl_client_params_t *params, const char *in,
    unsigned inlen, const char **out, unsigned *outlen,
    sasl_out_params_t *oparams)
{
	struct diag d = DIAG_INIT;

	if (in == NULL)
		inlen = 0;
	if (xoauth2_step(&c->mech, "", &c->token.value, in, inlen, &d) < 0)
		return report(params->utils, &d);
	if (c->mech.state == XOAUTH2_REFUSED)
		report_refusal(c, params, oparams);
	if (c->mech.out.len > 0) {
		*out = c->mech.out.ptr;
		*outlen = (unsigned)c->mech.out.len;
	}
	oparams->doneflag = 1;
	oparams->mech_ssf = 0;
	oparams->maxoutbuf = 0;
	oparams->encode_context = NULL;
	oparams->encode = NULL;
	oparams->decode_context = NULL;
	oparams->decode = NULL;
	oparams->param_version = 0;
	return SASL_OK;
}

static int
mech_step(void *conn_context, sasl_client_params_t *params, const char *in,
    unsigned inlen, sasl_interact_t **prompt_need, const char **out,
    unsigned *outlen, sasl_out_params_t *oparams)
{
	struct context *c = conn_context;

	if (c == NULL || params == NULL || params->utils == NULL ||
	    params->canon_user == NULL || out == NULL || outlen == NULL ||
	    oparams == NULL)
		return SASL_BADPARAM;
	*out = "";
	*outlen = 0;
	/*
	 * Hosts whose protocol has no initial response step with an empty
	 * greeting first: what the server says before us does not matter.
	 */
	if (c->mech.state == XOAUTH2_START)
		return first_step(c, params, prompt_need, out, outlen, oparams);
	return last_step(c, params, in, inlen, out, outlen, oparams);
}

static void
mech_dispose(void *conn_context, const sasl_utils_t *utils)
{
	struct context *c = conn_context;

	if (c == NULL || utils == NULL)
		return;
	xoauth2_wipe(&c->mech);
	token_wipe(&c->token);
	ask_free(&c->asking, utils);
	utils->free(c);
}

/* Without this, libsasl2 would not use us where no password is given. */
static const unsigned long required_prompts[] = { SASL_CB_AUTHNAME,
	SASL_CB_LIST_END };

/*
 * NODICTIONARY is true, and ranks us before PLAIN, LOGIN and other XOAUTH2
 * mechanisms.  NOPLAINTEXT would be false: a token in clear can be used by
 * whoever reads it.
 */
#define MECHANISM(name, context)                                          \
	{                                                                 \
		.mech_name = (name), .max_ssf = 0,                        \
		.security_flags = SASL_SEC_NOANONYMOUS |                  \
				  SASL_SEC_PASS_CREDENTIALS |             \
				  SASL_SEC_NODICTIONARY,                  \
		.features =                                               \
		    SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_ALLOWS_PROXY, \
		.required_prompts = required_prompts,                     \
		.glob_context = (context), .mech_new = mech_new,          \
		.mech_step = mech_step, .mech_dispose = mech_dispose,     \
	}
static sasl_client_plug_t plugs[] = {
	MECHANISM("XOAUTH2", NULL),
	MECHANISM("OAUTHBEARER", &oauthbearer),
};

/* The one exported name; sasl-plugin/abi pins it. */
extern __attribute__((visibility("default")))
sasl_client_plug_init_t sasl_client_plug_init;

int
sasl_client_plug_init(const sasl_utils_t *utils, int max_version,
    int *out_version, sasl_client_plug_t **list, int *count)
{
	if (out_version == NULL || list == NULL || count == NULL)
		return SASL_BADPARAM;
	if (max_version < SASL_CLIENT_PLUG_VERSION) {
		if (utils != NULL && utils->log != NULL)
			utils->log(NULL, SASL_LOG_ERR,
			    "mailtoken: the SASL library is too old: plugins "
			    "of version %d, not %d",
			    max_version, SASL_CLIENT_PLUG_VERSION);
		return SASL_BADVERS;
	}
	*out_version = SASL_CLIENT_PLUG_VERSION;
	*list = plugs;
	*count = sizeof(plugs) / sizeof(plugs[0]);
	return SASL_OK;
}
