#include "announce.h"

#include "advice_name.h"
#include "clock.h"
#include "log.h"

static void
say(const struct live *l, int priority, const char *event, enum diag_kind kind,
    const char *text)
{
	struct log_line line = log_event(priority, event);

	log_str(&line, "account", l->account->name);
	if (kind != DIAG_OK)
		log_str(&line, "result", diag_kind_name(kind));
	log_str(&line, "text", text);
	log_send(&line);
}

/* One line per renewal. */
static void
say_renewal(const struct live *l, const struct grant *g, const struct diag *why)
{
	struct log_line line;

	if (g == NULL) {
		say(l, LOG_WARNING, "renewal", why->kind, why->text);
		return;
	}
	line = log_event(LOG_INFO, "renewal");
	log_str(&line, "account", l->account->name);
	log_str(&line, "result", diag_kind_name(DIAG_OK));
	log_int(&line, "generation", g->generation);
	log_int(&line, "life", g->expires_at - g->obtained_at);
	log_send(&line);
}

void
announce_renewal(struct live *l, const struct grant *g,
    const struct diag *unsaved, const struct diag *why)
{
	struct diag state = g == NULL ? *why : (struct diag)DIAG_INIT;

	say_renewal(l, g, why);
	if (unsaved != NULL)
		say(l, LOG_ERR, "state-not-saved", DIAG_OK, unsaved->text);
	/* When a person is needed, a louder line. */
	if (state.kind != l->logged && state.kind == DIAG_REAUTH)
		say(l, LOG_ERR, "login-needed", state.kind, state.text);
	if (state.kind != l->logged && state.kind == DIAG_CONFIG)
		say(l, LOG_ERR, "change-needed", state.kind, state.text);
	l->logged = state.kind;
	notify_state(l->pool->notify, &l->notified, l->account->name, &state,
	    clock_now_ms());
}

void
announce_unreadable(struct live *l, const struct diag *why)
{
	say(l, LOG_ERR, "state-unreadable", DIAG_OK, why->text);
	l->logged = why->kind;
	notify_state(l->pool->notify, &l->notified, l->account->name, why,
	    clock_now_ms());
}

void
announce_nothing(struct live *l, enum diag_kind kind)
{
	l->logged = kind;
	l->notified = (struct notified){ kind, clock_now_ms() };
}

/* May a refresh token be dead after its use? */
static bool
spends(const struct account *a)
{
	const struct provider_info *info = provider_info(a->provider);

	return a->grant == GRANT_REFRESH_TOKEN &&
	       (info == NULL || !info->keeps_used);
}

static bool
loses_login(const struct live *l, const struct grant *disk)
{
	const struct secret *here = &l->grant.refresh_token;

	return l->account->grant == GRANT_REFRESH_TOKEN &&
	       !secret_empty(here) &&
	       !secret_same(here, &disk->refresh_token) &&
	       (spends(l->account) || secret_empty(&disk->refresh_token));
}

void
announce_lost(
    const struct live *l, const struct grant *disk, const struct diag *why)
{
	struct diag d = DIAG_INIT;

	if (!loses_login(l, disk)) {
		(void)diag_set(&d, DIAG_RETRY,
		    "the last token could not be saved, and another one will "
		    "be asked for: %s",
		    why->text);
		say(l, LOG_WARNING, "token-lost", DIAG_OK, d.text);
		return;
	}
	/* The remedy must be in it, however long the reason is. */
	(void)diag_set(&d, DIAG_REAUTH,
	    "the last refresh token could not be saved (%.250s), and the one "
	    "before may be good no more: run mailtoken login %s",
	    why->text, ADVICE_WORD(l->account->name));
	say(l, LOG_ERR, "login-lost", DIAG_OK, d.text);
}

void
announce_cut_off(const struct live *l)
{
	struct diag d = DIAG_INIT;

	if (!spends(l->account))
		return;
	(void)diag_set(&d, DIAG_REAUTH,
	    "the agent ends before the provider has answered, and the refresh "
	    "token that it was given may be good no more: if the next renewal "
	    "fails, run mailtoken login %s",
	    ADVICE_WORD(l->account->name));
	say(l, LOG_ERR, "renewal-cut-off", DIAG_OK, d.text);
}

void
announce_expiry(struct live *l)
{
	struct diag ends = DIAG_INIT;

	if (expiry_say(&l->expiry, l->account, clock_now_s(), &ends))
		notify_expires(l->pool->notify, l->account->name, &ends);
}
