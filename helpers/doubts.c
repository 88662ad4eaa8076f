#include "doubts.h"

#include <stdlib.h>

uint64_t
doubts_hash(const char *s)
{
	uint64_t h = 14695981039346656037u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

bool
doubts_again(struct doubt **table, const char *user, int64_t generation,
    int64_t now_ms, int64_t within_ms)
{
	uint64_t h = doubts_hash(user) | 1;
	struct doubt *d;
	bool again;

	if (*table == NULL)
		*table = calloc(DOUBTS_N, sizeof(**table));
	if (*table == NULL)
		return false;
	d = &(*table)[h / 2 % DOUBTS_N];
	again = d->user == h && d->generation < generation &&
		now_ms - d->at_ms < within_ms;
	if (!again)
		*d = (struct doubt){ h, generation, now_ms };
	return again;
}
