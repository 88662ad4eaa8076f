#include "renew_login.h"

#include "login_place.h"
#include "renew.h"

/* new is NULL: nobody is logged in any more. */
static int
replace_login(const struct store *s, struct store_lock *l, const char *account,
    struct secret *new, int64_t place, int64_t now_s, struct diag *reterr)
{
	auto_grant struct grant g = GRANT_INIT;

	if (store_read(s, account, &g, reterr) < 0)
		return -1;
	if (new != NULL)
		grant_rotate(&g, new, place);
	else {
		secret_wipe(&g.refresh_token);
		secret_wipe(&g.previous_refresh_token);
		g.place = g.previous_place = 0;
	}
	secret_wipe(&g.access_token);
	g.obtained_at = g.expires_at = g.refresh_at = g.binding = 0;
	grant_succeed(&g, &g, now_s);
	return store_write(s, l, account, &g, reterr);
}

static int
lock_and_replace(const struct store *s, const char *account, struct secret *new,
    int64_t place, int64_t now_s, struct diag *reterr)
{
	struct store_lock lock = STORE_LOCK_INIT;
	int rc;

	if (store_lock_wait(s, account, RENEW_LOGIN_WAIT_MS, &lock, reterr) < 0)
		return -1;
	rc = replace_login(s, &lock, account, new, place, now_s, reterr);
	store_unlock(&lock);
	return rc;
}

int
renew_login(const struct store *s, const struct account *account,
    const struct secret *refresh_token, int64_t now_s, struct diag *reterr)
{
	auto_secret struct secret new = SECRET_INIT;

	if (secret_empty(refresh_token))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the refresh token is empty", account->name);
	if (!secret_copy(&new, refresh_token))
		return diag_nomem(reterr);
	return lock_and_replace(
	    s, account->name, &new, login_place(account), now_s, reterr);
}

int
renew_logout(const struct store *s, const char *account, int64_t now_s,
    struct diag *reterr)
{
	return lock_and_replace(s, account, NULL, 0, now_s, reterr);
}

int
renew_logout_locked(const struct store *s, struct store_lock *l,
    const char *account, int64_t now_s, struct diag *reterr)
{
	return replace_login(s, l, account, NULL, 0, now_s, reterr);
}
