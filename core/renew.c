#include "renew.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "advice_name.h"
#include "cleanup.h"
#include "command.h"
#include "credential.h"
#include "login_place.h"
#include "oauth2.h"
#include "refresh.h"
#include "token_request.h"

#define LOCK_POLL_MS 50

/*
 *   LOCK --got it--> read the store --somebody renewed--> done
 *    |  ^ busy: read it first, for a token that will do
 *    +--+               +--> SECRET --> DISCOVER --> ASK --> write --> done
 *                                                   |   ^
 *                                                   +---+ challenged, once
 *
 * Every state waits for exactly one event: the timer, command's done() or
 * http's.  SECRET is passed through unless the secret comes from a command,
 * DISCOVER unless only the issuer is known.  renew_stop() ends it anywhere
 * before ASK.
 */
struct renewal {
	const struct renew_env *env;
	struct config *config; /* one reference, for account */
	const struct account *account;
	renew_done *done;
	void *arg;
	int64_t min_life_s;
	bool force, have_known, stopping;
	struct grant known;
	struct grant grant;  /* what the request is made from */
	int64_t newest;	     /* generation seen: the next is above */
	struct event *timer; /* LOCK; and to stop */
	int64_t waited_ms;
	struct store_lock lock;
	struct command *command;       /* SECRET */
	struct secret secret;	       /* until the request is made */
	struct http_call *call;	       /* DISCOVER, ASK */
	struct oauth2_endpoints found; /* by discovery */
	struct token_request request;
	int64_t asked_ms;
};

static void
unlock(struct renewal *r)
{
	store_unreserve(r->env->store, &r->lock, r->account->name);
	store_unlock(&r->lock);
}

static void
renewal_free(struct renewal *r)
{
	http_cancel(&r->call);
	command_cancel(&r->command);
	unlock(r);
	if (r->timer != NULL)
		event_free(r->timer);
	grant_wipe(&r->known);
	grant_wipe(&r->grant);
	secret_wipe(&r->secret);
	token_request_wipe(&r->request);
	oauth2_endpoints_free(&r->found);
	config_unref(&r->config);
	free(r);
}

/* As done() has it; g is in r.  Whoever hears it may start the next renewal. */
static void
finish(struct renewal *r, const struct grant *g, const struct diag *unsaved,
    const struct diag *why)
{
	unlock(r);
	r->done(r->arg, g, unsaved, why);
	renewal_free(r);
}

/* The provider's doing, or the way's there; but not what this host lacks. */
static void
finish_asked(struct renewal *r, const struct diag *unsaved, struct diag *why)
{
	why->provider = why->kind != DIAG_NOMEM;
	finish(r, unsaved != NULL ? &r->grant : NULL, unsaved, why);
}

/* Twice, with another file: a login may be at stake. */
static int
save(struct renewal *r, struct diag *reterr)
{
	int rc = -1;

	for (int tries = 0; rc < 0 && tries < 2; tries++)
		rc = store_write(r->env->store, &r->lock, r->account->name,
		    &r->grant, reterr);
	return rc;
}

static void
finish_renewed(struct renewal *r)
{
	struct diag unsaved = DIAG_INIT;
	int rc = save(r, &unsaved);

	finish(r, &r->grant, rc < 0 ? &unsaved : NULL, NULL);
}

/* The one that was sent was good there, and so the next one will be. */
static void
take_refresh_token(struct renewal *r, struct secret *next)
{
	r->grant.place = login_place(r->account);
	if (!secret_empty(next))
		grant_rotate(&r->grant, next, r->grant.place);
}

static void
take_tokens(struct renewal *r, struct oauth2_tokens *t)
{
	/* The wall clock may have been set since we asked. */
	int64_t at = r->env->wall_s(r->asked_ms);

	if (r->account->grant == GRANT_REFRESH_TOKEN)
		take_refresh_token(r, &t->refresh_token);
	secret_move(&r->grant.access_token, &t->access_token);
	/* Counted from before the request: its life began no earlier. */
	r->grant.generation = r->newest + 1;
	r->grant.binding = account_binding(r->account);
	r->grant.asked_ms = r->asked_ms;
	r->grant.obtained_at = at;
	r->grant.expires_at = at + t->life_s;
	r->grant.refresh_at = t->refresh_in_s > 0 ? at + t->refresh_in_s : 0;
	oauth2_tokens_wipe(t);
}

/* The access token was no good, but the old refresh token may be used up. */
static void
finish_refused(struct renewal *r, struct oauth2_tokens *t, struct diag *why)
{
	struct diag unsaved = DIAG_INIT;
	bool kept = true;

	if (!secret_empty(&t->refresh_token) &&
	    r->account->grant == GRANT_REFRESH_TOKEN &&
	    !secret_same(&t->refresh_token, &r->grant.refresh_token)) {
		take_refresh_token(r, &t->refresh_token);
		r->grant.generation = r->newest + 1;
		grant_take_times(&r->grant, &r->known);
		kept = save(r, &unsaved) == 0;
	}
	oauth2_tokens_wipe(t);
	finish_asked(r, kept ? NULL : &unsaved, why);
}

static void send_request(struct renewal *r);

static void
on_tokens(void *arg, const struct http_answer *a, const struct diag *why)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct renewal *r = arg;
	struct diag d = DIAG_INIT;
	int rc;

	r->call = NULL;
	rc = token_request_answer(
	    &r->request, a, why, r->env->wall_s(r->asked_ms), &t, &d);
	if (rc > 0) {
		send_request(r);
		return;
	}
	token_request_wipe(&r->request);
	if (rc < 0) {
		finish_refused(r, &t, &d);
		return;
	}
	take_tokens(r, &t);
	finish_renewed(r);
}

/* If it is to, and may. */
static bool
stops(struct renewal *r)
{
	struct diag d = DIAG_INIT;

	if (!r->stopping)
		return false;
	(void)diag_set(&d, DIAG_RETRY, "mailtokend is stopping");
	if (!renew_has_asked(r))
		finish(r, NULL, NULL, &d);
	return true;
}

static void
send_request(struct renewal *r)
{
	struct diag d = DIAG_INIT;

	if (stops(r))
		return;
	r->call =
	    token_request_send(&r->request, r->env->http, on_tokens, r, &d);
	if (r->call == NULL)
		finish(r, NULL, NULL, &d);
}

static void
ask(struct renewal *r)
{
	const char *url = r->found.token != NULL ? r->found.token :
						   r->account->token_endpoint;
	struct diag d = DIAG_INIT;
	int rc;

	r->asked_ms = r->env->now_ms();
	rc = token_request_init(&r->request, r->account, url, &r->secret,
	    &r->grant.refresh_token, r->env->wall_s(r->asked_ms), &d);
	secret_wipe(&r->secret);
	if (rc < 0)
		finish(r, NULL, NULL, &d);
	else
		send_request(r);
}

static void
on_discovery(void *arg, const struct http_answer *a, const struct diag *why)
{
	struct renewal *r = arg;
	struct diag d = DIAG_INIT;

	r->call = NULL;
	if (token_request_discovered(r->account, a, why, &r->found, &d) < 0)
		finish_asked(r, NULL, &d);
	else
		ask(r);
}

/* Knows the secret, if there is any. */
static void
discover(struct renewal *r)
{
	struct diag d = DIAG_INIT;

	if (r->account->token_endpoint != NULL || r->account->issuer == NULL) {
		ask(r);
		return;
	}
	r->call = token_request_discover(
	    r->account, r->env->http, on_discovery, r, &d);
	if (r->call == NULL)
		finish(r, NULL, NULL, &d);
}

static void
on_secret(void *arg, const struct secret *output, const struct diag *why)
{
	struct renewal *r = arg;
	struct diag d = DIAG_INIT;

	r->command = NULL;
	if (output == NULL)
		d = *why;
	else if (!secret_copy(&r->secret, output))
		(void)diag_nomem(&d);
	if (d.kind == DIAG_OK) {
		discover(r);
		return;
	}
	(void)config_wrap_secret(r->account, credential_secret(r->account), &d);
	finish(r, NULL, NULL, &d);
}

/* A command may take its time: nobody waits for it but this renewal. */
static void
get_secret(struct renewal *r)
{
	const struct secret_ref *ref = credential_secret(r->account);
	struct diag d = DIAG_INIT;

	if (ref != NULL && ref->kind == SECRET_REF_COMMAND) {
		r->command = command_start(r->env->base, ref->name,
		    COMMAND_TIMEOUT_MS, on_secret, r, &d);
		if (r->command != NULL)
			return;
		(void)config_wrap_secret(r->account, ref, &d);
	} else if (ref == NULL ||
		   config_read_secret(r->account, ref, &r->secret, &d) == 0) {
		discover(r);
		return;
	}
	finish(r, NULL, NULL, &d);
}

/*
 * Has somebody else renewed while we did not look?  Only the wall clock tells
 * the age of what was read: one from the future is none that will do.
 */
static bool
disk_will_do(const struct renewal *r, const struct grant *disk)
{
	int64_t now = r->env->wall_s(r->env->now_ms());
	int64_t fit = refresh_fit_life(
	    r->min_life_s, disk->expires_at - disk->obtained_at);

	if (secret_empty(&disk->access_token) ||
	    disk->binding != account_binding(r->account) ||
	    disk->obtained_at > now || disk->expires_at - now < fit)
		return false;
	if (!r->have_known)
		return !r->force;
	/* The same one may have got another refresh token. */
	return disk->generation > r->known.generation &&
	       !secret_same(&disk->access_token, &r->known.access_token);
}

/* Looks at the disk.  0: ask the provider; 1: the disk's grant will do. */
static int
choose_grant(struct renewal *r, struct diag *reterr)
{
	struct diag ignored = DIAG_INIT;
	struct store *s = r->env->store;

	if (store_read(s, r->account->name, &r->grant, reterr) < 0)
		return -1;
	if (disk_will_do(r, &r->grant))
		return 1;
	r->newest = r->grant.generation;
	if (r->have_known && r->known.generation > r->newest)
		r->newest = r->known.generation;
	if (r->have_known && grant_is_newer(&r->known, &r->grant)) {
		/*
		 * Now rather than after the answer: the refresh token on disk
		 * may be a used one.  If it fails again, so will save().
		 */
		(void)store_write(
		    s, &r->lock, r->account->name, &r->known, &ignored);
		grant_wipe(&r->grant);
		r->grant = r->known;
		r->known = (struct grant)GRANT_INIT;
	}
	if (r->account->grant != GRANT_REFRESH_TOKEN)
		return 0;
	if (secret_empty(&r->grant.refresh_token))
		return diag_set(reterr, DIAG_REAUTH,
		    "no refresh token yet: "
		    "run mailtoken login %s",
		    ADVICE_WORD(r->account->name));
	return login_place_check(r->account, r->grant.place, reterr);
}

/*
 * A refresh token that is good for one use is not spent before there is room
 * for the next one, unless the caller can keep that until somebody has made
 * room.  What nobody mends while we run (CONFIG) would end with us.
 */
static int
make_room(struct renewal *r, struct diag *reterr)
{
	const struct provider_info *info = provider_info(r->account->provider);
	struct diag why = DIAG_INIT;

	if (r->account->grant != GRANT_REFRESH_TOKEN ||
	    (info != NULL && info->keeps_used))
		return 0;
	if (store_reserve(r->env->store, &r->lock, r->account->name, &why) ==
		0 ||
	    (r->have_known && why.kind == DIAG_RETRY))
		return 0;
	*reterr = why;
	return diag_wrap(reterr,
	    "no token was asked for, since the login could not be saved "
	    "afterwards");
}

static void
on_lock(struct renewal *r)
{
	struct diag d = DIAG_INIT;
	int rc = choose_grant(r, &d);

	if (rc == 0)
		rc = make_room(r, &d);
	if (rc != 0)
		finish(r, rc > 0 ? &r->grant : NULL, NULL, rc > 0 ? NULL : &d);
	else
		get_secret(r);
}

/*
 * Who holds the lock may take long, or be stopped.  A reader needs none: a
 * token that will do is good without waiting.
 */
static bool
take_without_lock(struct renewal *r)
{
	struct diag ignored = DIAG_INIT;

	if (store_read(r->env->store, r->account->name, &r->grant, &ignored) <=
		0 ||
	    !disk_will_do(r, &r->grant))
		return false;
	finish(r, &r->grant, NULL, NULL);
	return true;
}

static void
try_lock(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { 0, LOCK_POLL_MS * 1000 };
	struct renewal *r = arg;
	struct diag d = DIAG_INIT;

	(void)fd;
	(void)what;
	if (stops(r))
		return;
	if (store_lock(r->env->store, r->account->name, &r->lock, &d) == 0) {
		on_lock(r);
		return;
	}
	if (r->lock.busy && r->waited_ms == 0 && take_without_lock(r))
		return;
	r->waited_ms += LOCK_POLL_MS;
	if (!r->lock.busy || r->waited_ms > RENEW_LOCK_WAIT_MS)
		finish(r, NULL, NULL, &d);
	else if (evtimer_add(r->timer, &again) < 0)
		finish(r, NULL, NULL, (diag_nomem(&d), &d));
}

struct renewal *
renew_start(const struct renew_env *env, const struct account *account,
    const struct grant *known, int64_t min_life_s, bool force, renew_done *done,
    void *arg, struct diag *reterr)
{
	static const struct timeval now = { 0, 0 };
	struct renewal *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		(void)diag_nomem(reterr);
		return NULL;
	}
	*r = (struct renewal){ .env = env,
		.account = account,
		.done = done,
		.arg = arg,
		.min_life_s = min_life_s,
		.force = force,
		.have_known = known != NULL,
		.lock = STORE_LOCK_INIT,
		.request = TOKEN_REQUEST_INIT };
	/* References do not change what the configuration says. */
	r->config = config_ref((struct config *)(uintptr_t)account->config);
	r->timer = evtimer_new(env->base, try_lock, r);
	if (r->timer == NULL || evtimer_add(r->timer, &now) < 0 ||
	    (known != NULL && !grant_copy(&r->known, known))) {
		renewal_free(r);
		(void)diag_nomem(reterr);
		return NULL;
	}
	return r;
}

void
renew_stop(struct renewal *r)
{
	r->stopping = true;
	event_active(r->timer, EV_TIMEOUT, 0);
}

bool
renew_has_asked(const struct renewal *r)
{
	/* There is no request of ours yet while the issuer is asked. */
	return r->call != NULL && r->request.account != NULL &&
	       http_has_asked(r->call);
}

void
renew_cancel(struct renewal **r)
{
	if (*r != NULL)
		renewal_free(*r);
	*r = NULL;
}
