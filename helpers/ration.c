#include "ration.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM	     1
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#include <uthash.h>

#define A_DAY_MS (24 * 3600 * 1000LL)

struct ration_of {
	UT_hash_handle hh;
	uint32_t id;
	struct ration ration;
};

/* What has come back by now. */
static void
refill(struct ration *r, int64_t now_ms, unsigned per_s)
{
	int64_t passed = now_ms - r->at_ms;

	/* A clock that was set is no reason to keep silent, or to overflow. */
	if (passed < 0 || passed > A_DAY_MS)
		passed = A_DAY_MS;
	r->at_ms = now_ms;
	r->spent -= passed * per_s;
	if (r->spent < 0)
		r->spent = 0;
}

bool
ration_take(struct ration *r, int64_t now_ms, unsigned most, unsigned per_s,
    uint64_t *ret_refused)
{
	refill(r, now_ms, per_s);
	if (r->spent + 1000 > (int64_t)most * 1000) {
		r->refused++;
		return false;
	}
	r->spent += 1000;
	*ret_refused = r->refused;
	r->refused = 0;
	return true;
}

/* One that is full again is as good as none. */
static void
drop_full(struct rations *all, int64_t now_ms, unsigned per_s)
{
	struct ration_of *next;

	for (struct ration_of *r = all->by_id; r != NULL; r = next) {
		next = r->hh.next;
		refill(&r->ration, now_ms, per_s);
		if (r->ration.spent > 0)
			continue;
		HASH_DEL(all->by_id, r);
		free(r);
	}
}

struct ration *
rations_find(struct rations *all, uint32_t id, int64_t now_ms, unsigned per_s)
{
	struct ration_of *r;

	HASH_FIND(hh, all->by_id, &id, sizeof(id), r);
	if (r != NULL)
		return &r->ration;
	if (HASH_COUNT(all->by_id) >= RATIONS_MAX)
		drop_full(all, now_ms, per_s);
	if (HASH_COUNT(all->by_id) >= RATIONS_MAX ||
	    (r = calloc(1, sizeof(*r))) == NULL)
		return &all->rest;
	r->id = id;
	HASH_ADD(hh, all->by_id, id, sizeof(r->id), r);
	if (r->hh.tbl == NULL) {
		free(r);
		return &all->rest;
	}
	return &r->ration;
}

void
rations_wipe(struct rations *all)
{
	struct ration_of *r, *next;

	HASH_ITER(hh, all->by_id, r, next)
	{
		HASH_DEL(all->by_id, r);
		free(r);
	}
	*all = (struct rations){ 0 };
}
