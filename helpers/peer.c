#include "peer.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM	     1
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#include <uthash.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

bool
peer_of(int fd, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    len != sizeof(cred) || cred.uid == (uid_t)-1)
		return false;
	*ret =
	    (struct peer){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid };
	return true;
}

size_t
peer_groups(int fd, const struct peer *p, gid_t ret[PEER_GROUPS])
{
	socklen_t len = (PEER_GROUPS - 1) * sizeof(ret[0]);

	ret[0] = p->gid;
	/* With more than that it fails before it has copied any. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret + 1, &len) < 0)
		len = 0;
	return 1 + len / sizeof(ret[0]);
}

bool
peer_allowed(int fd, const struct peer *p, const struct rules *r)
{
	gid_t gids[PEER_GROUPS];

	if (rules_allow(r, p->uid, NULL, 0))
		return true;
	return rules_have_groups(r) &&
	       rules_allow(r, p->uid, gids, peer_groups(fd, p, gids));
}

bool
peer_is_ours(const struct peer *p)
{
	/* Nobody comes before it is what it stays. */
	static uid_t own = (uid_t)-1;

	if (own == (uid_t)-1)
		own = geteuid();
	return p->uid == 0 || p->uid == own;
}

struct usage {
	uid_t uid;
	unsigned n;
	UT_hash_handle hh;
};

static struct usage *usage; /* only uids that have a connection */

bool
peer_count_in(uid_t uid, unsigned max)
{
	struct usage *u;

	if (max == 0)
		return false;
	HASH_FIND(hh, usage, &uid, sizeof(uid), u);
	if (u == NULL) {
		if ((u = calloc(1, sizeof(*u))) == NULL)
			return false;
		u->uid = uid;
		HASH_ADD(hh, usage, uid, sizeof(u->uid), u);
		if (u->hh.tbl == NULL) {
			free(u);
			return false;
		}
	}
	if (u->n >= max)
		return false;
	u->n++;
	return true;
}

void
peer_count_out(uid_t uid)
{
	struct usage *u;

	HASH_FIND(hh, usage, &uid, sizeof(uid), u);
	if (u == NULL || --u->n > 0)
		return;
	HASH_DEL(usage, u);
	free(u);
}
