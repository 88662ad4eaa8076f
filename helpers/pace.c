#include "pace.h"

#include <stdlib.h>
#include <string.h>

#include "gate.h"

#define AGAIN_MS (10 * 1000) /* in which those who may not yet come again */
#define LOOK_MS	 (30 * 1000) /* and as much at random: is it back? */

struct shared_gate {
	UT_hash_handle hh; /* by url, in the pool */
	struct gate gate;
	char url[];
};

/* A machine's own identity endpoint has no name in the configuration. */
static const char *
url_of(const struct account *a)
{
	if (a->token_endpoint != NULL)
		return a->token_endpoint;
	return a->issuer != NULL ? a->issuer : "the identity endpoint";
}

static struct shared_gate *
gate_new(struct live_pool *pool, const char *url)
{
	size_t len = strlen(url);
	struct shared_gate *g = calloc(1, sizeof(*g) + len + 1);

	if (g == NULL)
		return NULL;
	memcpy(g->url, url, len + 1);
	HASH_ADD_KEYPTR(hh, pool->gates, g->url, len, g);
	if (g->hh.tbl != NULL)
		return g;
	free(g);
	return NULL;
}

static void
free_unused(struct live_pool *pool, struct shared_gate *g)
{
	if (g->gate.accounts > 0 || g->gate.in_flight > 0)
		return;
	HASH_DEL(pool->gates, g);
	free(g);
}

void
pace_join(struct live *l)
{
	const char *url = url_of(l->account);

	HASH_FIND(hh, l->pool->gates, url, strlen(url), l->gate);
	if (l->gate == NULL)
		l->gate = gate_new(l->pool, url);
	if (l->gate != NULL)
		l->gate->gate.accounts++;
}

static void
left(struct live *l, struct shared_gate **g)
{
	if (*g != NULL)
		free_unused(l->pool, *g);
	*g = NULL;
}

void
pace_leave(struct live *l)
{
	if (l->gate != NULL)
		l->gate->gate.accounts--;
	left(l, &l->gate);
}

void
pace_look(struct live *l, int64_t now)
{
	if (l->gate != NULL &&
	    gate_is_back(&l->gate->gate, l->refresh.failed_ms))
		refresh_forgive(&l->refresh, now);
}

/* Long enough to spread all, but not to let a token run out. */
static int64_t
span(const struct live *l, int64_t now)
{
	int64_t half = (l->refresh.token.expires_ms - now) / 2;

	if (!refresh_has_token(&l->refresh, now))
		return GATE_HURRY_MS;
	return half < GATE_SPREAD_MS ? half : GATE_SPREAD_MS;
}

bool
pace_ahead(struct live *l, int64_t now)
{
	struct gate *g = l->gate != NULL ? &l->gate->gate : NULL;
	int64_t again = now;

	if (g == NULL)
		return true;
	if (gate_is_busy(g, now) && l->spread_ms != g->up_ms) {
		l->spread_ms = g->up_ms;
		l->not_before_ms =
		    now + refresh_jitter(&l->refresh, span(l, now));
		return false;
	}
	if (gate_admits(g, now, &again))
		return true;
	/* However long it said it would be away: it may be back before. */
	if (again > now + LOOK_MS)
		again = now + LOOK_MS;
	l->not_before_ms = again + refresh_jitter(&l->refresh, AGAIN_MS);
	return false;
}

int64_t
pace_asker(struct live *l, int64_t now)
{
	struct diag why = DIAG_INIT;
	int64_t at = now;

	if (l->gate == NULL || !refresh_would_start(&l->refresh, now) ||
	    gate_admits_asker(&l->gate->gate, now, &at))
		return at;
	(void)diag_set(&why, DIAG_RETRY, "%s %s", l->gate->url,
	    gate_is_down(&l->gate->gate) ?
		"fails for all accounts at present, as the log of mailtokend "
		"has it; it is tried again and again" :
		"is back after an outage; the accounts have their turn one "
		"after another");
	refresh_away(&l->refresh, at, &why);
	return at;
}

int64_t
pace_due(struct live *l, int64_t now, int64_t due_ms)
{
	int64_t look;

	if (l->gate == NULL || !refresh_is_failing(&l->refresh) ||
	    due_ms - now <= 2 * LOOK_MS)
		return due_ms;
	look = now + LOOK_MS + refresh_jitter(&l->refresh, LOOK_MS);
	return due_ms < look ? due_ms : look;
}

void
pace_started(struct live *l)
{
	l->asked = l->gate;
	if (l->asked != NULL)
		gate_started(&l->asked->gate);
}

static enum gate_end
end_of(const struct diag *why)
{
	if (why == NULL)
		return GATE_ANSWERED;
	if (!why->provider)
		return GATE_NEVER_ASKED;
	switch (why->kind) {
	case DIAG_RETRY:
	case DIAG_PROTO:
		return GATE_FAILED;
	case DIAG_REAUTH:
		return GATE_ANSWERED;
	case DIAG_OK:
	case DIAG_CONFIG:
	case DIAG_DENIED:
	case DIAG_NOMEM:
	case DIAG__COUNT:
		break;
	}
	return GATE_NEVER_ASKED;
}

void
pace_ended(struct live *l, int64_t now, const struct diag *why)
{
	if (l->asked == NULL)
		return;
	gate_ended(&l->asked->gate, now, end_of(why), l,
	    why != NULL ? why->retry_after_s : 0);
	left(l, &l->asked);
}
