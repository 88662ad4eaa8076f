/*
 * metrics.h - what the agent counts: results, never words of a provider.
 * Counts begin at its start, and wrap around as a restart would.
 */
#ifndef HELPERS_METRICS_H
#define HELPERS_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "listener.h"

#define TALLY_KINDS    (DIAG_DENIED + 1) /* PROTO and NOMEM count as RETRY */
#define METRICS_LIMITS 8

struct tally {
	uint32_t n[TALLY_KINDS];
};
void tally_add(struct tally *t, enum diag_kind kind);

/* Of one account. */
struct account_metrics {
	struct tally renewals, gets;
	uint32_t rejects; /* tokens that servers refused */
};

struct metrics {
	struct account_metrics all; /* also those that are no account's */
	struct tally lookups;
	uint32_t accepted[LISTENER__COUNT], refused[LISTENER__COUNT];
	uint32_t times[METRICS_LIMITS]; /* renewals that took so long */
	uint32_t timed;			/* all of them */
	int64_t time_ms;		/* together */
};
/* A renewal took so long, however it ended. */
void metrics_time(struct metrics *m, int64_t ms);

/* As PROTOCOL.md has them: keys of an account's message, and of the last. */
void metrics_put_account(struct buf *b, const struct account_metrics *m);
void metrics_put(struct buf *b, const struct metrics *m);

#endif
