#include "accounts.h"

#include <stdlib.h>
#include <string.h>

#include "clock_watch.h"
#include "wire.h"

#define START_PER_S 50 /* first renewals, after a start with no tokens */

struct accounts {
	struct live_pool pool;
	struct config *config;
	struct live *by_name;
	struct clock_watch *watch;
};

static void
on_clock(void *arg, bool stepped, bool woke)
{
	struct accounts *a = arg;
	struct live *l, *next;

	if (woke)
		http_woke(a->pool.env->http);
	HASH_ITER(hh, a->by_name, l, next)
	{
		live_clock_set(l, stepped);
	}
}

struct accounts *
accounts_new(const struct renew_env *env)
{
	struct accounts *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->pool.env = env;
	a->pool.notify = notify_new(env->base);
	a->watch = clock_watch_new(env->base, on_clock, a);
	if (a->pool.notify == NULL || a->watch == NULL)
		accounts_free(&a);
	return a;
}

void
accounts_free(struct accounts **ap)
{
	struct accounts *a = *ap;
	struct live *l, *next;

	if (a == NULL)
		return;
	HASH_ITER(hh, a->by_name, l, next)
	{
		HASH_DEL(a->by_name, l);
		live_free(l);
	}
	for (l = a->pool.gone; l != NULL; l = next) {
		next = l->next_gone;
		live_free(l);
	}
	notify_free(&a->pool.notify);
	clock_watch_free(&a->watch);
	config_unref(&a->config);
	free(a);
	*ap = NULL;
}

/* The key is the name in the configuration that the account belongs to. */
static bool
enter(struct accounts *a, struct live *l)
{
	l->hh.tbl = NULL;
	HASH_ADD_KEYPTR(
	    hh, a->by_name, l->account->name, strlen(l->account->name), l);
	return l->hh.tbl != NULL;
}

static struct live *
find(struct accounts *a, const char *name)
{
	struct live *l;

	HASH_FIND(hh, a->by_name, name, strlen(name), l);
	return l;
}

/* The accounts that c has and we have not; they do nothing yet. */
static bool
make_new(struct accounts *a, struct config *c, struct live **fresh, size_t *n)
{
	for (size_t i = 0; i < c->n_accounts; i++) {
		struct live *l;

		if (find(a, c->accounts[i]->name) != NULL)
			continue;
		l = live_new(&a->pool, c, c->accounts[i]);
		if (l == NULL)
			return false;
		fresh[(*n)++] = l;
		if (!enter(a, l))
			return false;
	}
	return true;
}

static bool
add_new(struct accounts *a, struct config *c)
{
	struct live **fresh = calloc(c->n_accounts + 1, sizeof(struct live *));
	size_t n = 0;
	bool ok = fresh != NULL && make_new(a, c, fresh, &n);

	for (size_t i = 0; i < n; i++) {
		if (ok) {
			live_begin(fresh[i], (int64_t)(i * 1000 / START_PER_S));
			continue;
		}
		if (fresh[i]->hh.tbl != NULL)
			HASH_DEL(a->by_name, fresh[i]); /* NOLINT */
		live_free(fresh[i]);
	}
	free(fresh);
	return ok;
}

static bool
apply(struct accounts *a, struct config *c)
{
	struct live *l, *next;

	notify_program(a->pool.notify, c->notify);
	if (!add_new(a, c)) {
		notify_program(a->pool.notify,
		    a->config != NULL ? a->config->notify : NULL);
		return false;
	}
	HASH_ITER(hh, a->by_name, l, next)
	{
		const struct account *account =
		    config_account(c, l->account->name);

		if (l->config == c)
			continue;
		HASH_DEL(a->by_name, l);
		if (account != NULL)
			live_adopt(l, c, account);
		/* One went, so there is memory for one. */
		if (account == NULL || !enter(a, l))
			live_retire(l);
	}
	config_unref(&a->config);
	a->config = config_ref(c);
	return true;
}

bool
accounts_apply(struct accounts *a, struct config *c)
{
	struct expiry_files files = { NULL };
	bool ok;

	a->pool.files = &files;
	ok = apply(a, c);
	a->pool.files = NULL;
	expiry_files_wipe(&files);
	return ok;
}

static void
stop_each(struct accounts *a, bool all)
{
	struct live *l, *next;

	HASH_ITER(hh, a->by_name, l, next)
	{
		live_stop(l, all);
	}
	for (l = a->pool.gone; l != NULL; l = l->next_gone)
		live_stop(l, all);
}

void
accounts_quiesce(struct accounts *a)
{
	a->pool.quiet = true;
	notify_program(a->pool.notify, NULL);
	stop_each(a, false);
}

void
accounts_stop(struct accounts *a)
{
	a->pool.stopping = true;
	stop_each(a, true);
}

size_t
accounts_in_flight(const struct accounts *a)
{
	return a->pool.in_flight;
}

bool
accounts_unsaved(const struct accounts *a)
{
	const struct live *l = a->by_name;

	while (l != NULL && !l->unsaved)
		l = l->hh.next;
	return l != NULL;
}

struct live *
accounts_find(struct accounts *a, const char *name)
{
	const struct account *account =
	    a->config != NULL ? config_mailbox(a->config, name) : NULL;

	return account != NULL ? find(a, account->name) : NULL;
}

bool
accounts_by_key(struct accounts *a, const char *key, struct accounts_key *ret)
{
	const struct account *account = NULL;

	if (a->config == NULL)
		return false;
	if (wire_account_ok(key))
		account = config_mailbox(a->config, key);
	ret->user = key;
	if (account == NULL) {
		account = config_relayhost(a->config, key);
		ret->user = account != NULL ? account->name : NULL;
	}
	if (account == NULL)
		return false;
	if (account->mailbox != NULL)
		ret->user = account->mailbox;
	ret->live = find(a, account->name);
	return ret->live != NULL;
}

struct live *
accounts_named(struct accounts *a, const char *name)
{
	return find(a, name);
}

size_t
accounts_count(const struct accounts *a)
{
	return HASH_COUNT(a->by_name);
}

struct metrics *
accounts_metrics(struct accounts *a)
{
	return &a->pool.metrics;
}

const struct notify *
accounts_notify(const struct accounts *a)
{
	return a->pool.notify;
}
