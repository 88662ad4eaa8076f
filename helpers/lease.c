#include "lease.h"

#define SPAN_MAX_S (1000 * 366 * (int64_t)86400) /* what a file may say */

static int64_t
span_ms(int64_t from_s, int64_t to_s)
{
	int64_t s = to_s - from_s;

	if (s > SPAN_MAX_S)
		s = SPAN_MAX_S;
	if (s < -SPAN_MAX_S)
		s = -SPAN_MAX_S;
	return s * 1000;
}

/* When it was obtained; unknown, if by the wall clock it was not yet. */
static int64_t
obtained_ms(
    const struct grant *g, const struct lease_now *now, bool *ret_unsure)
{
	int64_t age;

	*ret_unsure = false;
	if (g->asked_ms != 0)
		return g->asked_ms;
	age =
	    now->wall_ms % 1000 + span_ms(g->obtained_at, now->wall_ms / 1000);
	*ret_unsure = age < 0;
	return *ret_unsure ? now->ms : now->ms - age;
}

static void
judge(
    const struct grant *g, const struct lease_now *now, struct refresh_token *t)
{
	t->obtained_ms = obtained_ms(g, now, &t->unsure);
	t->expires_ms = t->obtained_ms + span_ms(g->obtained_at, g->expires_at);
	t->refresh_ms =
	    g->refresh_at != 0 ?
		t->obtained_ms + span_ms(g->obtained_at, g->refresh_at) :
		0;
}

bool
lease_token(const struct grant *g, const struct lease_now *now,
    struct refresh_token *ret)
{
	if (secret_empty(&g->access_token) ||
	    !secret_copy(&ret->value, &g->access_token))
		return false;
	ret->generation = g->generation;
	judge(g, now, ret);
	return true;
}

void
lease_judge_again(
    const struct grant *g, const struct lease_now *now, struct refresh_token *t)
{
	struct refresh_token is = REFRESH_TOKEN_INIT;

	if (g->asked_ms != 0)
		return;
	judge(g, now, &is);
	if (t->unsure && is.unsure)
		return;
	if (!t->unsure && t->expires_ms > now->ms &&
	    (is.unsure || is.expires_ms <= now->ms)) {
		t->unsure = true;
		return;
	}
	t->obtained_ms = is.obtained_ms;
	t->expires_ms = is.expires_ms;
	t->refresh_ms = is.refresh_ms;
	t->unsure = is.unsure;
}

void
lease_date(struct grant *g, int64_t asked_s)
{
	int64_t by = asked_s - g->obtained_at;

	if (g->asked_ms == 0)
		return;
	g->obtained_at += by;
	g->expires_at += by;
	if (g->refresh_at != 0)
		g->refresh_at += by;
}
