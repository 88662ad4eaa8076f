/*
 * pace.h - accounts that share a token endpoint ask it as gate.h has it.
 */
#ifndef HELPERS_PACE_H
#define HELPERS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "diag.h"
#include "live.h"

/*
 * The gate of the account's endpoint is shared from now on.  Without memory
 * there is none, and the account goes unpaced.
 */
void pace_join(struct live *l);
void pace_leave(struct live *l);

/* If an outage has ended since the account failed, that is forgiven. */
void pace_look(struct live *l, int64_t now);
/*
 * A renewal is due that nobody waits for: may it start?  If not, it is put
 * off (l->not_before_ms).
 */
bool pace_ahead(struct live *l, int64_t now);
/*
 * Somebody asks: if that starts a renewal, then not before what this returns.
 * If it must not start any, then the account is as if that had failed.
 */
int64_t pace_asker(struct live *l, int64_t now);
/* When to wake for what is due then: earlier, to look. */
int64_t pace_due(struct live *l, int64_t now, int64_t due_ms);

void pace_started(struct live *l);
/* why: NULL if a token came. */
void pace_ended(struct live *l, int64_t now, const struct diag *why);

#endif
