#include "peer.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM	     1
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#include <uthash.h>

#include "cleanup.h"

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

/*
 * The primary group is not among SO_PEERGROUPS' answer: it is put first.
 * NULL, and only the primary group counts, if there is no memory.
 */
static gid_t *
groups_of(int fd, const struct peer *p, size_t *ret_n)
{
	socklen_t len = 0;
	gid_t *gids;

	/* The first call tells how many there are. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		len = 0;
	if ((gids = malloc(sizeof(*gids) + len)) == NULL)
		return NULL;
	gids[0] = p->gid;
	if (len > 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &len) < 0)
		len = 0;
	*ret_n = 1 + len / sizeof(*gids);
	return gids;
}

bool
peer_allowed(int fd, const struct peer *p, const struct rules *r)
{
	auto_free gid_t *gids = NULL;
	size_t n = 0;

	if (rules_allow(r, p->uid, NULL, 0))
		return true;
	if (!rules_have_groups(r))
		return false;
	if ((gids = groups_of(fd, p, &n)) == NULL)
		return rules_allow(r, p->uid, &p->gid, 1);
	return rules_allow(r, p->uid, gids, n);
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
