#include "ask.h"

#include <string.h>

static const struct {
	unsigned long id;
	const char *prompt;
} asks[] = {
	[ASK_USER] = { SASL_CB_USER, "The mailbox, if it is not your own" },
	[ASK_AUTHNAME] = { SASL_CB_AUTHNAME, "The account's name" },
	[ASK_PASS] = { SASL_CB_PASS,
	    "mailtoken:ACCOUNT or an access token (empty: the agent's)" },
};
_Static_assert(sizeof(asks) / sizeof(asks[0]) == ASK__COUNT, "one row each");

static int
call_getsimple(
    sasl_callback_ft proc, void *arg, enum ask ask, struct answer *ret)
{
	sasl_getsimple_t *get = (sasl_getsimple_t *)(void (*)(void))proc;
	/* libsasl2's own writes a size_t here, whatever the type says. */
	union {
		size_t wide;
		unsigned narrow;
	} len = { .wide = 0 };
	const char *text = NULL;
	int rc = get(arg, (int)asks[ask].id, &text, &len.narrow);

	if (rc == SASL_OK && text != NULL)
		*ret = (struct answer){ text, strlen(text) };
	return rc;
}

static int
call_getsecret(
    sasl_conn_t *conn, sasl_callback_ft proc, void *arg, struct answer *ret)
{
	sasl_getsecret_t *get = (sasl_getsecret_t *)(void (*)(void))proc;
	sasl_secret_t *secret = NULL;
	int rc = get(conn, arg, SASL_CB_PASS, &secret);

	if (rc == SASL_OK && secret != NULL)
		*ret =
		    (struct answer){ (const char *)secret->data, secret->len };
	return rc;
}

/*
 * Asks the host's callback.  SASL_INTERACT means that the host wants to be
 * prompted; SASL_OK without an answer that it has none to give.
 */
static int
ask_callback(const sasl_utils_t *utils, enum ask ask, struct answer *ret)
{
	sasl_callback_ft proc = NULL;
	void *arg = NULL;
	int rc = utils->getcallback(utils->conn, asks[ask].id, &proc, &arg);

	if (rc == SASL_INTERACT)
		return rc;
	if (rc != SASL_OK) {
		/* That left "Unable to find a callback" behind. */
		utils->seterror(utils->conn, SASL_NOLOG, "%s", "");
		return SASL_OK;
	}
	if (proc == NULL)
		return SASL_INTERACT;
	/*
	 * Without a callback of the host, libsasl2 hands out one of its own,
	 * with the connection as its context, that answers with $USER.
	 */
	if (ask == ASK_AUTHNAME && arg == utils->conn)
		return SASL_OK;
	if (ask == ASK_PASS)
		return call_getsecret(utils->conn, proc, arg, ret);
	return call_getsimple(proc, arg, ask, ret);
}

/* The host is back with answers, which are its own memory, or without. */
static void
take_prompted(
    struct asking *k, const sasl_utils_t *utils, struct answer *answers)
{
	if (k->prompts == NULL)
		return;
	for (sasl_interact_t *p = k->prompts; p->id != SASL_CB_LIST_END; p++)
		for (unsigned i = 0; i < ASK__COUNT; i++)
			if (asks[i].id == p->id && p->result != NULL)
				answers[i] =
				    (struct answer){ p->result, p->len };
	/* libsasl2's own mechanisms take a name's length from its NUL. */
	for (unsigned i = 0; i < ASK_PASS; i++)
		if (answers[i].ptr != NULL && answers[i].len == 0)
			answers[i].len = strlen(answers[i].ptr);
	utils->free(k->prompts);
	k->prompts = NULL;
}

/* Everything that is wanted, at once. */
static int
make_prompts(struct asking *k, const sasl_utils_t *utils, const bool *wanted)
{
	size_t size = (ASK__COUNT + 1) * sizeof(*k->prompts), n = 0;
	sasl_interact_t *p = utils->malloc(size);

	if (p == NULL)
		return SASL_NOMEM;
	memset(p, 0, size);
	for (unsigned i = 0; i < ASK__COUNT; i++) {
		if (!wanted[i])
			continue;
		p[n].id = asks[i].id;
		p[n].challenge = "XOAUTH2";
		p[n++].prompt = asks[i].prompt;
	}
	p[n].id = SASL_CB_LIST_END;
	k->prompts = p;
	k->prompted = true;
	return SASL_INTERACT;
}

/*
 * Most hosts have no USER, and libsasl2 would spend more on saying so than
 * we on all else.  A host without a list of its own for the connection has
 * a global one, which we cannot see.
 */
static bool
offers_user(const sasl_client_params_t *params)
{
	const sasl_callback_t *cb = params->prompt_supp;

	if (cb == NULL)
		return true;
	while (cb->id != SASL_CB_LIST_END && cb->id != SASL_CB_USER)
		cb++;
	return cb->id == SASL_CB_USER;
}

/*
 * Collects the names and the password.  After SASL_INTERACT the host comes
 * back with the answers to *prompt_need; nothing is asked twice.
 */
int
ask_host(struct asking *k, const sasl_client_params_t *params,
    sasl_interact_t **prompt_need, struct answer *answers, const char **why)
{
	const sasl_utils_t *utils = params->utils;
	bool wanted[ASK__COUNT] = { false }, any = false;
	int rc = SASL_OK;

	*why = "the program could not tell the user name or the password";
	take_prompted(k, utils, answers);
	if (k->prompted && prompt_need != NULL)
		*prompt_need = NULL;
	for (unsigned i = 0; i < ASK__COUNT; i++) {
		if (answers[i].ptr != NULL ||
		    (i == ASK_USER && !offers_user(params)))
			continue;
		rc = ask_callback(utils, (enum ask)i, &answers[i]);
		wanted[i] = rc == SASL_INTERACT;
		any = any || wanted[i];
		if (rc != SASL_OK && rc != SASL_INTERACT)
			return rc;
	}
	if (k->prompted || prompt_need == NULL || !any)
		return SASL_OK;
	*why = "out of memory";
	rc = make_prompts(k, utils, wanted);
	*prompt_need = k->prompts;
	return rc;
}

void
ask_free(struct asking *k, const sasl_utils_t *utils)
{
	if (k->prompts != NULL)
		utils->free(k->prompts);
	k->prompts = NULL;
}
