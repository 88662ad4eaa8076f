#include "rules.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* uthash's own choice falls through cases, which clang complains about. */
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#define HASH_NONFATAL_OOM	     1
#include <uthash.h>

#define LOOKUP_MAX (4 << 20) /* bytes of one passwd or group entry */
#define NAME_PLAIN 32	     /* useradd(8) takes no longer ones */
#define WORD_MAX   255

struct rules_names {
	struct rule rule;
	UT_hash_handle hh;
	char word[]; /* as written: "postfix", "group:mail" */
};

void
rules_names_free(struct rules_names **names)
{
	struct rules_names *e = *names, *next;

	HASH_CLEAR(hh, *names); /* the table only */
	for (; e != NULL; e = next) {
		next = e->hh.next;
		free(e);
	}
}

void
rules_free(struct rules *r)
{
	free(r->rule);
	*r = (struct rules){ NULL, 0 };
}

/* Returns 0 and *ret; ENOENT if there is no such name; or another errno. */
static int
lookup_once(bool group, const char *name, char *buf, size_t size, unsigned *ret)
{
	struct passwd pwd, *p = NULL;
	struct group grp, *g = NULL;
	int rc;

	if (group) {
		rc = getgrnam_r(name, &grp, buf, size, &g);
		if (g != NULL)
			*ret = g->gr_gid;
	} else {
		rc = getpwnam_r(name, &pwd, buf, size, &p);
		if (p != NULL)
			*ret = p->pw_uid;
	}
	if (p != NULL || g != NULL)
		return 0;
	/* "Not there" has many faces: getpwnam(3), ERRORS. */
	return rc == 0 || rc == ESRCH || rc == EBADF || rc == EPERM ? ENOENT :
								      rc;
}

/* What is none is not quoted: it may be a secret in the wrong place. */
static bool
is_plain_name(const char *name)
{
	return strlen(name) <= NAME_PLAIN &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789.,_@\\$-") ==
		   strlen(name);
}

static int
lookup(bool group, const char *name, unsigned *ret, struct diag *reterr)
{
	int rc = ERANGE;

	for (size_t size = 4096; rc == ERANGE && size <= LOOKUP_MAX;
	     size *= 4) {
		char *buf = malloc(size);

		if (buf == NULL)
			return diag_nomem(reterr);
		rc = lookup_once(group, name, buf, size, ret);
		free(buf);
	}
	if (rc == ENOENT)
		return diag_set(reterr, DIAG_CONFIG,
		    "there is no %s '%s' on this host: create it or correct "
		    "the name%s",
		    group ? "group" : "user",
		    is_plain_name(name) ? name : "***",
		    strchr(name, ',') != NULL ?
			" (names are separated by blanks, not commas)" :
			"");
	if (rc != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "cannot look up %s '%s': %s; try again, or write its "
		    "number",
		    group ? "group" : "user", name, strerror(rc));
	return 0;
}

/* A number that is no name; the largest means "nobody at all" to the kernel. */
static bool
parse_id(const char *s, unsigned *ret)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9' || s[strspn(s, "0123456789")] != '\0' ||
	    strlen(s) > 10)
		return false;
	v = strtoull(s, &end, 10);
	if (v >= 0xffffffffULL)
		return false;
	*ret = (unsigned)v;
	return true;
}

static int
word_resolve(const char *word, struct rule *ret, struct diag *reterr)
{
	bool group = strncmp(word, "group:", 6) == 0;
	const char *name = group ? word + 6 : word;
	struct rule r = { group, 0 };

	if (*name == '\0')
		return diag_set(reterr, DIAG_CONFIG,
		    "'group:' without a name: write group:NAME");
	if (!parse_id(name, &r.id) && lookup(group, name, &r.id, reterr) < 0)
		return -1;
	*ret = r;
	return 0;
}

static int
word_cached(const char *word, struct rule *ret, struct rules_names **names,
    struct diag *reterr)
{
	struct rules_names *e;
	size_t len = strlen(word);

	HASH_FIND_STR(*names, word, e);
	if (e == NULL) {
		struct rule r;

		if (word_resolve(word, &r, reterr) < 0)
			return -1;
		e = calloc(1, sizeof(*e) + len + 1);
		if (e == NULL)
			return diag_nomem(reterr);
		e->rule = r;
		memcpy(e->word, word, len + 1);
		HASH_ADD_KEYPTR(hh, *names, e->word, len, e);
		if (e->hh.tbl == NULL) {
			free(e);
			return diag_nomem(reterr);
		}
	}
	*ret = e->rule;
	return 0;
}

static int
add_word(const char *s, size_t len, struct rules *r, struct rules_names **names,
    struct diag *reterr)
{
	char word[WORD_MAX + 1];
	struct rule one, *grown;

	if (len > WORD_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "a name of more than %d characters", WORD_MAX);
	memcpy(word, s, len);
	word[len] = '\0';
	if (word_cached(word, &one, names, reterr) < 0)
		return -1;
	grown = reallocarray(r->rule, r->n + 1, sizeof(*grown));
	if (grown == NULL)
		return diag_nomem(reterr);
	r->rule = grown;
	r->rule[r->n++] = one;
	return 0;
}

int
rules_parse(const char *text, struct rules *ret, struct rules_names **names,
    struct diag *reterr)
{
	struct rules r = { NULL, 0 };

	for (const char *s = text + strspn(text, " \t"); *s != '\0';
	     s += strspn(s, " \t")) {
		size_t len = strcspn(s, " \t");

		if (add_word(s, len, &r, names, reterr) < 0) {
			rules_free(&r);
			return -1;
		}
		s += len;
	}
	rules_free(ret);
	*ret = r;
	return 0;
}

bool
rules_allow(const struct rules *r, uid_t uid, const gid_t *gids, size_t n_gids)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!r->rule[i].group) {
			if (r->rule[i].id == uid)
				return true;
			continue;
		}
		for (size_t g = 0; g < n_gids; g++)
			if (r->rule[i].id == gids[g])
				return true;
	}
	return false;
}

bool
rules_have_groups(const struct rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rule[i].group)
			return true;
	return false;
}
