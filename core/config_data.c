#include "config_data.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* uthash's own choice falls through cases, which clang complains about. */
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#define HASH_NONFATAL_OOM	     1
#include <uthash.h>

#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define DEFAULT_SOCKET "/run/mailtoken/agent.sock"
#define POSTFIX_QUEUE  "/var/spool/postfix"
#define DEFAULT_STATE  "/var/lib/mailtoken"
#define DEFAULT_USER   "mailtoken"

struct account_index {
	struct account *account;
	UT_hash_handle hh;
};

#define IN(field) offsetof(struct config, field)

const struct setting agent_settings[] = {
	{ "listen", setting_sockets, IN(listen), 0, 0 },
	{ "state_dir", setting_path, IN(state_dir), 0, 0 },
	{ "user", setting_word, IN(user), 0, 0 },
	{ "admin", setting_rules, IN(admin), 0, 0 },
	{ "http_timeout", setting_seconds, IN(http_timeout_s), 1, 120 },
	{ "max_connections", setting_count, IN(max_connections), 1, 65536 },
	{ "max_connections_per_uid", setting_count, IN(max_connections_per_uid),
	    1, 65536 },
};
const size_t agent_n_settings = COUNT(agent_settings);
_Static_assert(COUNT(agent_settings) <= SETTING_MAX, "room for each line");

/* The system's path, and the one that a chrooted smtp(8) sees under it. */
int
config_default_sockets(struct config *c, struct diag *reterr)
{
	struct stat st;
	bool postfix = stat(POSTFIX_QUEUE, &st) == 0 && S_ISDIR(st.st_mode);

	c->listen_default = true;
	return sockets_parse(postfix ? DEFAULT_SOCKET
				 " " POSTFIX_QUEUE DEFAULT_SOCKET :
				       DEFAULT_SOCKET,
	    &c->listen, reterr);
}

static void
config_free(struct config *c)
{
	struct account_index *e = c->index, *next;

	HASH_CLEAR(hh, c->index); /* the table only */
	for (; e != NULL; e = next) {
		next = e->hh.next;
		free(e);
	}
	for (size_t i = 0; i < c->n_accounts; i++)
		account_free(&c->accounts[i]);
	free(c->accounts);
	sockets_free(&c->listen);
	free(c->path);
	free(c->state_dir);
	free(c->user);
	rules_free(&c->admin);
	free(c);
}

struct config *
config_new(const char *path)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->refs = 1;
	c->http_timeout_s = 20;
	c->max_connections = 1024;
	c->max_connections_per_uid = 256;
	c->path = strdup(path);
	c->state_dir = strdup(DEFAULT_STATE);
	c->user = strdup(DEFAULT_USER);
	if (c->path == NULL || c->state_dir == NULL || c->user == NULL)
		config_unref(&c);
	return c;
}

struct config *
config_ref(struct config *c)
{
	c->refs++;
	return c;
}

void
config_unref(struct config **c)
{
	struct config *old = *c;

	*c = NULL;
	if (old != NULL && --old->refs == 0)
		config_free(old);
}

const struct account *
config_account(const struct config *c, const char *name)
{
	struct account_index *e;

	HASH_FIND_STR(c->index, name, e);
	return e != NULL ? e->account : NULL;
}

bool
config_add(struct config *c, struct account *a)
{
	struct account_index *e = calloc(1, sizeof(*e));

	if (e != NULL && c->n_accounts == c->cap) {
		size_t cap = c->cap > 0 ? 2 * c->cap : 8;
		struct account **grown =
		    reallocarray(c->accounts, cap, sizeof(struct account *));

		if (grown != NULL) {
			c->accounts = grown;
			c->cap = cap;
		}
	}
	if (e != NULL && c->n_accounts < c->cap) {
		e->account = a;
		HASH_ADD_KEYPTR(hh, c->index, a->name, strlen(a->name), e);
		if (e->hh.tbl != NULL) {
			c->accounts[c->n_accounts++] = a;
			return true;
		}
	}
	free(e);
	account_free(&a);
	return false;
}
