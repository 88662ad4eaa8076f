/*
 * unsaved.h - a grant that is in memory only, since it could not be written: it
 * is tried again on its own, without a request to the provider.
 */
#ifndef HELPERS_UNSAVED_H
#define HELPERS_UNSAVED_H

#include <stdbool.h>

#include "diag.h"
#include "live.h"

/* l->unsaved stays true with *reterr, for another try. */
bool unsaved_try(struct live *l, struct diag *reterr);
/* Nobody tries again: what is lost now is logged. */
void unsaved_end(struct live *l);

#endif
