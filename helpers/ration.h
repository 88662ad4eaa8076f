/*
 * ration.h - how much somebody may do: a supply that is used up one by one
 * and refilled at a steady rate.  Time is milliseconds, a parameter.
 */
#ifndef HELPERS_RATION_H
#define HELPERS_RATION_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is one that is full. */
struct ration {
	int64_t spent;	/* in thousandths */
	int64_t at_ms;	/* when that was so */
	uint64_t refused;
};

/*
 * One of at most most at once, and per_s in a second.  True, and *ret_refused
 * is how often it was false since it was true.
 */
bool ration_take(struct ration *r, int64_t now_ms, unsigned most,
    unsigned per_s, uint64_t *ret_refused);

/*
 * One for each of many, as long as there is anything to know of it: of no more
 * than RATIONS_MAX, all others share one.  All zero is none yet.
 */
#define RATIONS_MAX 1024
struct ration_of;
struct rations {
	struct ration_of *by_id;
	struct ration rest;
};

/* That of id; valid until the next call. */
struct ration *rations_find(struct rations *all, uint32_t id, int64_t now_ms,
    unsigned per_s);
void rations_wipe(struct rations *all);

#endif
