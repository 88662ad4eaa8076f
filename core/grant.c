#include "grant.h"

#include <stddef.h>
#include <string.h>

#include "wire.h"

#define SAME_TIME_S 60 /* logins, and a clock that is being corrected */

/* The keys of a version 1 file, besides version and account. */
static const struct {
	const char *key;
	size_t where;
} times[] = {
	{ "generation", offsetof(struct grant, generation) },
	{ "obtained_at", offsetof(struct grant, obtained_at) },
	{ "expires_at", offsetof(struct grant, expires_at) },
	{ "refresh_at", offsetof(struct grant, refresh_at) },
	{ "login_at", offsetof(struct grant, login_at) },
	{ "binding", offsetof(struct grant, binding) },
	{ "place", offsetof(struct grant, place) },
	{ "previous_place", offsetof(struct grant, previous_place) },
}, secrets[] = {
	{ "refresh_token", offsetof(struct grant, refresh_token) },
	{ "previous_refresh_token",
	    offsetof(struct grant, previous_refresh_token) },
	{ "access_token", offsetof(struct grant, access_token) },
};
#define N(table) (sizeof(table) / sizeof((table)[0]))

static int64_t *
grant_time(struct grant *g, size_t i)
{
	return (int64_t *)(void *)((char *)g + times[i].where);
}

static struct secret *
grant_secret(struct grant *g, size_t i)
{
	return (struct secret *)(void *)((char *)g + secrets[i].where);
}

void
grant_wipe(struct grant *g)
{
	for (size_t i = 0; i < N(secrets); i++)
		secret_wipe(grant_secret(g, i));
	*g = (struct grant)GRANT_INIT;
}

bool
grant_copy(struct grant *to, const struct grant *from)
{
	auto_grant struct grant g = *from;

	g.refresh_token = g.previous_refresh_token = g.access_token =
	    (struct secret)SECRET_INIT;
	if (!secret_copy(&g.refresh_token, &from->refresh_token) ||
	    !secret_copy(
		&g.previous_refresh_token, &from->previous_refresh_token) ||
	    !secret_copy(&g.access_token, &from->access_token))
		return false;
	grant_wipe(to);
	*to = g;
	g = (struct grant)GRANT_INIT;
	return true;
}

void
grant_rotate(struct grant *g, struct secret *refresh_token, int64_t place)
{
	if (!secret_empty(&g->refresh_token) &&
	    !secret_same(&g->refresh_token, refresh_token)) {
		secret_move(&g->previous_refresh_token, &g->refresh_token);
		g->previous_place = g->place;
	}
	secret_move(&g->refresh_token, refresh_token);
	g->place = place;
}

void
grant_succeed(struct grant *g, const struct grant *disk, int64_t login_at)
{
	/* Two within a second are two. */
	if (login_at <= disk->login_at &&
	    disk->login_at - login_at < SAME_TIME_S)
		login_at = disk->login_at + 1;
	if (g->generation < disk->generation)
		g->generation = disk->generation;
	g->generation++;
	g->login_at = login_at;
}

bool
grant_is_newer(const struct grant *known, const struct grant *disk)
{
	return known->generation > disk->generation &&
	       (known->login_at == disk->login_at ||
		   disk->generation == 0); /* there is nothing */
}

void
grant_take_times(struct grant *disk, const struct grant *known)
{
	if (!secret_same(&disk->access_token, &known->access_token))
		return;
	disk->asked_ms = known->asked_ms;
	disk->obtained_at = known->obtained_at;
	disk->expires_at = known->expires_at;
	disk->refresh_at = known->refresh_at;
}

/* Numbers are never negative; an access token has an end. */
static int
parse_pairs(const struct wire_msg *msg, struct grant *g, struct diag *reterr)
{
	for (size_t i = 0; i < N(times); i++) {
		const char *key = times[i].key;

		if (wire_get(msg, key) != NULL &&
		    (!wire_get_int(msg, key, grant_time(g, i)) ||
			*grant_time(g, i) < 0))
			return diag_set(reterr, DIAG_CONFIG,
			    "is damaged: '%s' is no number", key);
	}
	for (size_t i = 0; i < N(secrets); i++) {
		const char *v = wire_get(msg, secrets[i].key);

		if (v != NULL && *v != '\0' &&
		    !secret_set(grant_secret(g, i), v, strlen(v)))
			return diag_nomem(reterr);
	}
	if (wire_get(msg, "generation") == NULL ||
	    (!secret_empty(&g->access_token) && g->expires_at == 0))
		return diag_set(reterr, DIAG_CONFIG,
		    "is damaged: '%s' is "
		    "missing",
		    wire_get(msg, "generation") == NULL ? "generation" :
							  "expires_at");
	return 0;
}

static bool
key_known(const char *key)
{
	for (size_t i = 0; i < N(times); i++)
		if (strcmp(key, times[i].key) == 0)
			return true;
	for (size_t i = 0; i < N(secrets); i++)
		if (strcmp(key, secrets[i].key) == 0)
			return true;
	return strcmp(key, "version") == 0 || strcmp(key, "account") == 0;
}

static int
newer(struct diag *reterr, const char *what)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "was written by a newer mailtoken "
	    "(%s); upgrade this one, nothing was changed",
	    what);
}

int
grant_parse(char *text, size_t len, const char *account, struct grant *ret,
    struct diag *reterr)
{
	auto_grant struct grant g = GRANT_INIT;
	struct wire_msg msg;
	ssize_t n;
	const char *v;

	if (len == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "is empty; put a copy "
		    "back, or remove it and import the account again");
	/* First of all, since a newer format may be no message to us. */
	if (len > 8 && memcmp(text, "version=", 8) == 0 &&
	    memchr(text, '\n', len) != NULL &&
	    memcmp(text + 8, WIRE_VERSION "\n", len - 8 < 2 ? len - 8 : 2) != 0)
		return newer(reterr, "another version");
	n = wire_parse(text, len, GRANT_MAX_BYTES, &msg, reterr);
	if (n <= 0 || (size_t)n != len)
		return diag_set(reterr, DIAG_CONFIG,
		    "is %s; put a copy back, "
		    "or remove it and import the account again",
		    n == 0 ? "cut short" : "damaged");
	v = wire_get(&msg, "version");
	if (v == NULL || strcmp(v, WIRE_VERSION) != 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "is damaged: 'version' is missing");
	/* Rewriting the file would drop what we do not understand. */
	for (size_t i = 0; i < msg.n; i++)
		if (!key_known(msg.pair[i].key))
			return newer(reterr, "it has a key that is not known");
	v = wire_get(&msg, "account");
	if (v == NULL || strcmp(v, account) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "belongs to another "
		    "account; was it copied or renamed?");
	if (parse_pairs(&msg, &g, reterr) < 0)
		return -1;
	grant_wipe(ret);
	*ret = g;
	g = (struct grant)GRANT_INIT;
	return 0;
}

int
grant_format(struct buf *b, const char *account, const struct grant *g,
    struct diag *reterr)
{
	struct grant *r = (struct grant *)(uintptr_t)g; /* only read */
	size_t total = 4096;

	for (size_t i = 0; i < N(secrets); i++)
		total += grant_secret(r, i)->len;
	if (total > GRANT_MAX_BYTES)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: its tokens are too long to be stored", account);
	wire_put(b, "version", WIRE_VERSION);
	wire_put(b, "account", account);
	for (size_t i = 0; i < N(times); i++)
		wire_put_int(b, times[i].key, *grant_time(r, i));
	for (size_t i = 0; i < N(secrets); i++) {
		const struct secret *v = grant_secret(r, i);

		if (!secret_empty(v))
			wire_put_bytes(b, secrets[i].key, v->ptr, v->len);
	}
	wire_end(b);
	if (b->failed)
		return diag_set(reterr, DIAG_NOMEM,
		    "%s: no memory, or a token "
		    "with control characters: not stored",
		    account);
	return 0;
}
