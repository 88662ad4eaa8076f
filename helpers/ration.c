#include "ration.h"

#define A_DAY_MS (24 * 3600 * 1000LL)

bool
ration_take(struct ration *r, int64_t now_ms, unsigned most, unsigned per_s,
    uint64_t *ret_refused)
{
	int64_t passed = now_ms - r->at_ms;

	/* A clock that was set is no reason to keep silent, or to overflow. */
	if (passed < 0 || passed > A_DAY_MS)
		passed = A_DAY_MS;
	r->at_ms = now_ms;
	r->spent -= passed * per_s;
	if (r->spent < 0)
		r->spent = 0;
	if (r->spent + 1000 > (int64_t)most * 1000) {
		r->refused++;
		return false;
	}
	r->spent += 1000;
	*ret_refused = r->refused;
	r->refused = 0;
	return true;
}
