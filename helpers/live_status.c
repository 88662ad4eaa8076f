#include "clock.h"
#include "lease.h"
#include "live.h"

#define DAY_S (24 * 3600)

/* A refresh token that nobody uses dies at some providers; 0: not known. */
static int64_t
login_idle_at(const struct live *l)
{
	const struct provider_info *info = provider_info(l->account->provider);
	int64_t used = l->grant.obtained_at;

	if (l->account->grant != GRANT_REFRESH_TOKEN || info == NULL ||
	    info->idle_days == 0 || secret_empty(&l->grant.refresh_token))
		return 0;
	if (used < l->grant.login_at)
		used = l->grant.login_at;
	return used != 0 ? used + (int64_t)info->idle_days * DAY_S : 0;
}

void
live_status(struct live *l, struct live_status *ret)
{
	const struct refresh *r = &l->refresh;
	int64_t due = refresh_due_ms(&l->refresh, clock_now_ms());

	if (due < l->not_before_ms)
		due = l->not_before_ms;
	/* As the wall clock is set now. */
	lease_date(&l->grant, clock_wall_s(l->grant.asked_ms));
	*ret = (struct live_status){
		.account = l->account,
		.generation = l->grant.generation,
		.expires_at = l->grant.expires_at,
		.renewed_at = r->ok_ms != 0 ? clock_wall_s(r->ok_ms) : 0,
		.next_at = due == INT64_MAX ? 0 : clock_wall_s(due),
		.login_at = l->grant.login_at,
		.credential_expires_at = l->expiry.at,
		.login_idle_at = login_idle_at(l),
		.failures = r->failures,
		.text = r->why.text,
	};
	for (const struct waiter *w = r->waiters.next; w != &r->waiters;
	     w = w->next)
		ret->waiting++;
	if (r->why.kind != DIAG_OK)
		ret->state = diag_kind_name(r->why.kind);
	else
		ret->state = secret_empty(&r->token.value) ? "new" : "ok";
}
