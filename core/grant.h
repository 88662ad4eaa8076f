/*
 * grant.h - what is kept about an account, and its form on disk: a message of
 * wire.h with version=1, account=NAME, the keys named like the members below,
 * and an empty line.  Pure: no I/O.
 */
#ifndef CORE_GRANT_H
#define CORE_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "secret.h"

#define GRANT_MAX_BYTES	131072	/* of the form on disk */

/* Times are Unix seconds; 0: never. */
struct grant {
	int64_t generation;		/* +1 at each change */
	struct secret refresh_token;	/* empty for client_credentials */
	struct secret previous_refresh_token;	/* before the last rotation */
	struct secret access_token;
	int64_t obtained_at;		/* of the access token */
	int64_t expires_at;
	int64_t refresh_at;		/* the provider's wish; 0: none */
	int64_t login_at;		/* of the last import, login or logout, and
					 * differs from that of the one before */
	int64_t binding;	/* account_binding() when the access token was
				 * asked for; 0: not known */
	int64_t place;		/* login_place() of the refresh token; 0: not
				 * known */
	int64_t previous_place;	/* of the previous one */
	int64_t asked_ms;	/* not on disk: when this process asked for the
				 * access token, by renew_env's now_ms; 0: it
				 * was read */
};
#define GRANT_INIT \
	{ 0, SECRET_INIT, SECRET_INIT, SECRET_INIT, 0, 0, 0, 0, 0, 0, 0, \
		0 }
void grant_wipe(struct grant *g);
/* On false (out of memory) *to is as it was. */
bool grant_copy(struct grant *to, const struct grant *from);
/*
 * A new refresh token comes in (taken over), of that login_place(); the one
 * before it is kept.  The same one again changes nothing but the place.
 */
void grant_rotate(
	struct grant *g, struct secret *refresh_token, int64_t place);
/*
 * As a login, g is to take the place of what is on disk (which may be g): no
 * copy of that is newer.
 */
void grant_succeed(struct grant *g, const struct grant *disk, int64_t login_at);
/*
 * Is what a process has newer than what it finds on disk?  Only after a write
 * had failed; and never newer than a login, or a logout, made since: these
 * alone change login_at, which way is up to the clock.
 */
bool grant_is_newer(const struct grant *known, const struct grant *disk);
/*
 * Of the same access token only the process that asked for it may know the
 * times, if the clock has been set since.
 */
void grant_take_times(struct grant *disk, const struct grant *known);
#define auto_grant __attribute__((cleanup(grant_wipe)))

/*
 * Parses a file's text in place.  Returns 0 and *ret; or -1 with *reterr
 * (CONFIG, NOMEM), a text to be put behind the file's name that quotes
 * nothing from the file, and *ret is untouched.  A newer version is refused,
 * and so is an unknown key: writing the file again would drop it.
 */
int grant_parse(char *text, size_t len, const char *account,
	struct grant *ret, struct diag *reterr);

/* Appends the form on disk.  Kinds: CONFIG (too long), NOMEM. */
int grant_format(struct buf *b, const char *account, const struct grant *g,
	struct diag *reterr);

#endif
