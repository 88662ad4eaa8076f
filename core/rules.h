/*
 * rules.h - who may do something: users and groups, by number.
 *
 *     postfix dovecot 1007 group:mailreaders group:8
 *
 * Names are looked up once, when the configuration is read, so that a slow
 * directory service is never asked while a client waits.
 */
#ifndef CORE_RULES_H
#define CORE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "diag.h"

/* One peer that may do something. */
struct rule {
	bool group;
	unsigned id;		/* uid_t or gid_t */
};
struct rules {
	struct rule *rule;
	size_t n;
};

/* Names already looked up: 100,000 accounts name the same few users. */
struct rules_names;
void rules_names_free(struct rules_names **names);

/*
 * Replaces *ret by what text says.  *names starts as NULL.  Returns -1 with
 * *reterr (CONFIG: a name that does not exist; NOMEM), *ret untouched.
 */
int rules_parse(const char *text, struct rules *ret,
	struct rules_names **names, struct diag *reterr);
void rules_free(struct rules *r);

/* uid or one of the gids is in the list. */
bool rules_allow(const struct rules *r, uid_t uid, const gid_t *gids,
	size_t n_gids);
/* A rule about a group exists: then the caller must find the peer's gids. */
bool rules_have_groups(const struct rules *r);

#endif
