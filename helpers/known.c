#include "known.h"

#include <stdlib.h>
#include <string.h>

/* Each once; the users in order, then the groups. */
struct known {
	struct config *config;
	struct rules users, groups; /* both point into rule */
	struct rule rule[];
};

static int
by_kind_and_id(const void *left, const void *right)
{
	const struct rule *a = left, *b = right;

	if (a->group != b->group)
		return a->group ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

static size_t
sort_once(struct rule *r, size_t n)
{
	size_t kept = 0;

	qsort(r, n, sizeof(*r), by_kind_and_id);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || by_kind_and_id(&r[kept - 1], &r[i]) != 0)
			r[kept++] = r[i];
	return kept;
}

static size_t
add(struct rule *to, size_t n, const struct rules *from)
{
	if (from->n > 0)
		memcpy(to + n, from->rule, from->n * sizeof(*to));
	return n + from->n;
}

static struct known *
known_new(struct config *c)
{
	size_t n = c->admin.n, users = 0;
	struct known *k;

	for (size_t i = 0; i < c->n_accounts; i++)
		n += c->accounts[i]->allow.n;
	if ((k = calloc(1, sizeof(*k) + n * sizeof(k->rule[0]))) == NULL)
		return NULL;
	n = add(k->rule, 0, &c->admin);
	for (size_t i = 0; i < c->n_accounts; i++)
		n = add(k->rule, n, &c->accounts[i]->allow);
	if (n > 0)
		n = sort_once(k->rule, n);
	while (users < n && !k->rule[users].group)
		users++;
	k->users = (struct rules){ k->rule, users };
	k->groups = (struct rules){ k->rule + users, n - users };
	k->config = config_ref(c);
	return k;
}

bool
known_set(struct known **k, struct config *c)
{
	struct known *made;

	/* Its reference keeps another one from having the same address. */
	if (*k != NULL && (*k)->config == c)
		return true;
	if ((made = known_new(c)) == NULL)
		return false;
	known_free(k);
	*k = made;
	return true;
}

void
known_free(struct known **k)
{
	if (*k != NULL)
		config_unref(&(*k)->config);
	free(*k);
	*k = NULL;
}

static bool
has(const struct rules *r, bool group, unsigned id)
{
	const struct rule rule = { .group = group, .id = id };

	return r->n > 0 && bsearch(&rule, r->rule, r->n, sizeof(rule),
			       by_kind_and_id) != NULL;
}

bool
known_peer(const struct known *k, int fd, const struct peer *p)
{
	gid_t gids[PEER_GROUPS];
	size_t n = 0;

	if (peer_is_ours(p) || has(&k->users, false, p->uid))
		return true;
	if (k->groups.n > 0)
		n = peer_groups(fd, p, gids);
	for (size_t i = 0; i < n; i++)
		if (has(&k->groups, true, gids[i]))
			return true;
	return false;
}
