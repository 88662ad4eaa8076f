/*
 * peer.h - who is at the other end of a UNIX socket, as the kernel says
 * (SO_PEERCRED, SO_PEERGROUPS), and how many connections each uid has.
 */
#ifndef HELPERS_PEER_H
#define HELPERS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config.h"

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool known; /* known.h; visitor.h says */
};

/* False if the kernel does not say: then nothing may be allowed. */
bool peer_of(int fd, struct peer *ret);

/*
 * The groups that count for it, its primary one first; returns how many.
 * Anybody with subordinate ids can have 65,536, and copying and comparing
 * them is our time: of who has more than this, only the primary one counts.
 */
#define PEER_GROUPS 1025
size_t peer_groups(int fd, const struct peer *p, gid_t ret[PEER_GROUPS]);

/* The peer, or one of its groups, is in the list. */
bool peer_allowed(int fd, const struct peer *p, const struct rules *r);

/* root and the agent's own uid. */
bool peer_is_ours(const struct peer *p);

/* One more connection for uid; false if it has max already, or no memory. */
bool peer_count_in(uid_t uid, unsigned max);
void peer_count_out(uid_t uid);

#endif
