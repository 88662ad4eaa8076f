#include "unsaved.h"

#include "announce.h"
#include "clock.h"
#include "lease.h"
#include "log.h"

static bool
save(struct live *l, struct store_lock *lock, struct diag *reterr)
{
	const struct store *s = l->pool->env->store;
	auto_grant struct grant disk = GRANT_INIT;

	if (store_read(s, l->account->name, &disk, reterr) < 0)
		return false;
	/* What somebody else has written since is as good. */
	return !grant_is_newer(&l->grant, &disk) ||
	       store_write(s, lock, l->account->name, &l->grant, reterr) == 0;
}

bool
unsaved_try(struct live *l, struct diag *reterr)
{
	struct store_lock lock = STORE_LOCK_INIT;
	struct log_line line;

	if (store_lock(l->pool->env->store, l->account->name, &lock, reterr) <
	    0)
		return false;
	lease_date(&l->grant, clock_wall_s(l->grant.asked_ms));
	l->unsaved = !save(l, &lock, reterr);
	store_unlock(&lock);
	if (l->unsaved)
		return false;
	line = log_event(LOG_NOTICE, "state-saved");
	log_str(&line, "account", l->account->name);
	log_int(&line, "generation", l->grant.generation);
	log_send(&line);
	return true;
}

void
unsaved_end(struct live *l)
{
	struct diag why = DIAG_INIT, ignored = DIAG_INIT;
	auto_grant struct grant disk = GRANT_INIT;

	if (unsaved_try(l, &why))
		return;
	(void)store_read(
	    l->pool->env->store, l->account->name, &disk, &ignored);
	announce_lost(l, &disk, &why);
}
