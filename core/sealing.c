#include "sealing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "state_dir.h"
#include "wire.h"

#define SAMPLE	     16 /* grants that are looked at in the beginning */
#define LOCK_POLL_MS 50
#define PASSES_MAX   16

static void
ring_free(struct keyring **k)
{
	if (*k != NULL)
		keyring_close(*k);
	free(*k);
	*k = NULL;
}

/* What a look at the grants has shown. */
struct look {
	const struct store *s;
	const struct keyring *k;
	size_t seen, sealed, known;
	size_t enough; /* of those that were seen */
	char id[SEAL_ID_LEN + 1];
	char account[WIRE_ACCOUNT_MAX + 1];
};

static int
look_at(void *arg, const char *account)
{
	struct look *l = arg;
	struct diag ignored = DIAG_INIT; /* who reads it will say so */
	char id[SEAL_ID_LEN + 1];

	l->seen++;
	if (store_key_of(l->s, account, id, &ignored) > 0 && *id != '\0') {
		l->sealed++;
		memcpy(l->id, id, sizeof(id));
		if (keyring_find(l->k, id) != NULL)
			l->known++;
	}
	/* Without keys one that is sealed is enough, but all are looked at. */
	if (l->k->n == 0)
		return l->sealed > 0;
	return l->known > 0 || l->seen >= SAMPLE;
}

static int
no_key_for(const struct look *l, struct diag *reterr)
{
	if (l->k->path == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the state is sealed, with key %s, but seal_key is "
		    "none; set it to that key's file",
		    l->s->dir, l->id);
	if (l->k->credential && l->k->n == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: the state in %s is sealed, with key %s, and this "
		    "credential is not there; let the unit load it, and run "
		    "this as root while the agent runs",
		    l->k->path, l->s->dir, l->id);
	return diag_set(reterr, DIAG_CONFIG,
	    "%s: %s key %s, with which the state in %s is sealed; put that key "
	    "back from a backup, or move the state away and log in again; "
	    "nothing was changed",
	    l->k->path, l->k->n == 0 ? "is missing, and" : "has not the", l->id,
	    l->s->dir);
}

/* One at a time: nobody else changes the keys. */
static int
lock_keys(const struct store *s, struct diag *reterr)
{
	static const struct timespec again = { 0, LOCK_POLL_MS * 1000000L };

	for (int ms = 0; flock(s->dirfd, LOCK_EX | LOCK_NB) < 0;
	     ms += LOCK_POLL_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return diag_set(reterr, DIAG_RETRY,
			    "%s: cannot lock it: %s", s->dir, strerror(errno));
		if (ms >= SEALING_LOCK_WAIT_MS)
			return diag_set(reterr, DIAG_RETRY,
			    "%s: another mailtoken rekey is at work", s->dir);
		(void)nanosleep(&again, NULL);
	}
	return 0;
}

static void
unlock_keys(const struct store *s)
{
	(void)flock(s->dirfd, LOCK_UN);
}

static int
make_first(struct store *s, struct keyring *k, struct diag *reterr)
{
	int rc = lock_keys(s, reterr);

	if (rc < 0)
		return -1;
	rc = keyring_follow(k, reterr);
	if (rc == 0)
		rc = keyring_create(k, s->gid, reterr);
	unlock_keys(s);
	return rc < 0 ? -1 : 0;
}

/* Are these the keys of that state?  If there are none: is it without? */
static int
check_keys(struct store *s, struct keyring *k, bool make, struct diag *reterr)
{
	struct look l;
	int changed = 0;

	/* Again if the keys were changed while we looked. */
	for (int tries = 0; tries == 0 || (changed > 0 && tries < 10);
	     tries++) {
		l = (struct look){ .s = s, .k = k };
		if (state_dir_each(
			s->dir, s->dirfd, ".grant", look_at, &l, reterr) < 0)
			return -1;
		if (l.sealed == 0 || l.known > 0)
			break;
		if ((changed = keyring_follow(k, reterr)) < 0)
			return -1;
	}
	if (l.sealed > 0 && l.known == 0)
		return no_key_for(&l, reterr);
	if (k->path == NULL || k->n > 0 || !make)
		return 0;
	if (k->given)
		return diag_set(reterr, DIAG_CONFIG, "%s: there is no such %s",
		    k->path,
		    k->credential ?
			"credential; let the unit load it" :
			"file; let what starts the agent put the seal key "
			"there");
	return make_first(s, k, reterr);
}

static int
take_keys(struct store *s, const struct secret_ref *key, bool make,
    struct diag *reterr)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return diag_nomem(reterr);
	if (keyring_open(k, key, s->uid, reterr) < 0 ||
	    check_keys(s, k, make, reterr) < 0) {
		ring_free(&k);
		return -1;
	}
	ring_free(&s->ring);
	s->ring = k;
	return 0;
}

int
sealing_reload(
    struct store *s, const struct secret_ref *key, struct diag *reterr)
{
	return take_keys(s, key, true, reterr);
}

int
sealing_open(struct store *s, const char *dir, const struct secret_ref *key,
    bool make, struct diag *reterr)
{
	struct store new = STORE_INIT;

	if (store_open(&new, dir, reterr) < 0)
		return -1;
	if (take_keys(&new, key, make, reterr) < 0) {
		store_close(&new);
		return -1;
	}
	*s = new;
	return 0;
}

/* What sealing_rekey() is busy with. */
struct reseal {
	struct store *s;
	struct sealing_result *result;
	struct diag *reterr;
	bool all; /* this pass has found nothing to do */
};

static int
note_bad(struct reseal *r, const struct diag *d)
{
	if (d->kind == DIAG_NOMEM || d->kind == DIAG_RETRY) {
		*r->reterr = *d;
		return -1;
	}
	if (r->result->bad++ == 0)
		r->result->first = *d;
	return 0;
}

/* Under the account's lock: afterwards nobody writes it with an older key. */
static int
reseal_locked(struct reseal *r, struct store_lock *lock, const char *account)
{
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	int rc = store_read(r->s, account, &g, &d);

	if (rc < 0)
		return note_bad(r, &d);
	if (rc == 0)
		return 0;
	if (store_write(r->s, lock, account, &g, r->reterr) < 0)
		return -1;
	r->result->resealed++;
	r->all = false;
	return 0;
}

/*
 * An account without a grant, too: somebody who has taken its lock while the
 * older key was the first may be about to write one.
 */
static int
reseal(void *arg, const char *account)
{
	struct reseal *r = arg;
	struct store_lock lock = STORE_LOCK_INIT;
	char id[SEAL_ID_LEN + 1];
	struct diag d = DIAG_INIT;
	int rc = store_key_of(r->s, account, id, &d);

	if (rc < 0)
		return note_bad(r, &d);
	if (rc > 0 && strcmp(id, r->s->ring->item[0].id) == 0)
		return 0;
	if (store_lock_wait(
		r->s, account, SEALING_LOCK_WAIT_MS, &lock, r->reterr) < 0)
		return -1;
	rc = reseal_locked(r, &lock, account);
	store_unlock(&lock);
	return rc;
}

/*
 * Until a whole pass finds every grant that can be read sealed anew.  Who
 * writes one has an account's lock before he looks for the newest key, and
 * that lock's file stays: who is not found by it has the newest.
 */
static int
reseal_all(struct store *s, struct sealing_result *ret, struct diag *reterr)
{
	struct reseal r = { .s = s, .result = ret, .reterr = reterr };

	for (int pass = 0; !r.all; pass++) {
		if (pass == PASSES_MAX)
			return diag_set(reterr, DIAG_RETRY,
			    "%s: grants come faster than they can be sealed",
			    s->dir);
		r.all = true;
		if (state_dir_each(
			s->dir, s->dirfd, ".lock", reseal, &r, reterr) < 0)
			return -1;
		ret->bad = 0; /* these are among all grants */
		if (state_dir_each(
			s->dir, s->dirfd, ".grant", reseal, &r, reterr) < 0)
			return -1;
	}
	return 0;
}

/* Every grant has the first key: nobody needs the others. */
static int
drop_old(struct store *s, struct sealing_result *ret, struct diag *reterr)
{
	if (reseal_all(s, ret, reterr) < 0)
		return -1;
	if (ret->given || s->ring->n == 1)
		return 0;
	ret->kept = ret->bad > 0;
	return ret->kept ? 0 : keyring_drop(s->ring, reterr);
}

/* The new key is known to everybody before it is used by anybody. */
static int
rekey(struct store *s, struct sealing_result *ret, struct diag *reterr)
{
	if (keyring_follow(s->ring, reterr) < 0)
		return -1;
	ret->given = s->ring->given;
	/* Many that were killed before, or grants that nobody can read. */
	if (!ret->given && s->ring->n == KEYRING_MAX &&
	    drop_old(s, ret, reterr) < 0)
		return -1;
	if (!ret->given && (keyring_add(s->ring, reterr) < 0 ||
			       keyring_turn(s->ring, reterr) < 0))
		return -1;
	return drop_old(s, ret, reterr);
}

int
sealing_rekey(struct store *s, struct sealing_result *ret, struct diag *reterr)
{
	int rc;

	*ret = (struct sealing_result){ .first = DIAG_INIT };
	if (s->ring == NULL || s->ring->path == NULL)
		return diag_set(
		    reterr, DIAG_CONFIG, "seal_key is none: nothing is sealed");
	if (lock_keys(s, reterr) < 0)
		return -1;
	rc = rekey(s, ret, reterr);
	unlock_keys(s);
	return rc;
}
