/*
 * known.h - whom the configuration names: root, the agent's own uid, admin,
 * and everybody whom some account allows.  All others are strangers, who can
 * be given nothing, and must not keep the known from what is theirs.
 */
#ifndef HELPERS_KNOWN_H
#define HELPERS_KNOWN_H

#include <stdbool.h>

#include "config.h"
#include "peer.h"

struct known;

/*
 * Makes *k one of c (referenced), unless it is that already; NULL is fine.
 * False: no memory, and *k is as it was.
 */
bool known_set(struct known **k, struct config *c);
void known_free(struct known **k);

bool known_peer(const struct known *k, int fd, const struct peer *p);

#endif
