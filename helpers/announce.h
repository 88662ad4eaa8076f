/*
 * announce.h - what is said of an account while it is served: the log's lines,
 * and what the `notify` program is told.  Everything once, not at every try.
 */
#ifndef HELPERS_ANNOUNCE_H
#define HELPERS_ANNOUNCE_H

#include "diag.h"
#include "grant.h"
#include "live.h"

/*
 * A renewal has ended, with g or with *why; unsaved: why g could not be
 * written, NULL if it was.
 */
void announce_renewal(struct live *l, const struct grant *g,
    const struct diag *unsaved, const struct diag *why);
/* What an earlier run left cannot be read. */
void announce_unreadable(struct live *l, const struct diag *why);
/* Somebody has logged out, and knows that a login will be needed. */
void announce_nothing(struct live *l, enum diag_kind kind);
/*
 * The agent ends, or the account is not served any more.  The grant that is in
 * memory could not be saved, and *why says why; disk is the one that is there.
 */
void announce_lost(
    const struct live *l, const struct grant *disk, const struct diag *why);
/* The same, before the provider had answered. */
void announce_cut_off(const struct live *l);
/* What the application shows ends: said when the time for a warning comes. */
void announce_expiry(struct live *l);

#endif
