#include "announce.h"

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

void
announce_expiry(struct live *l)
{
	struct diag ends = DIAG_INIT;

	if (expiry_say(&l->expiry, l->account, clock_now_s(), &ends))
		notify_expires(l->pool->notify, l->account->name, &ends);
}
