#include "config_data.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* uthash's own choice falls through cases, which clang complains about. */
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#define HASH_NONFATAL_OOM	     1
#include <uthash.h>

#include "command.h"
#include "wire.h"

#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define DEFAULT_SOCKET "/run/mailtoken/agent.sock"
#define POSTFIX_QUEUE  "/var/spool/postfix"
#define DEFAULT_STATE  "/var/lib/mailtoken"
#define DEFAULT_USER   "mailtoken"
#define SEAL_KEY       "seal.key"

struct account_index {
	struct account *account;
	const char *key; /* the account's */
	UT_hash_handle hh;
};

static int
set_state_dir(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	((struct config *)into->object)->state_default = false;
	return setting_path(into, s, value, reterr);
}

/* A command is for secrets that are read once in a while, not this one. */
static int
set_seal_key(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	struct secret_ref *slot = setting_field(into, s);
	struct secret_ref ref = { SECRET_REF_NONE, NULL, 0 };

	if (strcmp(value, "none") != 0 &&
	    (strncmp(value, "command:", 8) == 0 ||
		secret_ref_parse(value, &ref, reterr) < 0))
		return reterr->kind == DIAG_NOMEM ?
			   -1 :
			   diag_set(reterr, DIAG_CONFIG,
			       "must be file:/PATH, credential:NAME or none");
	secret_ref_free(slot);
	*slot = ref;
	return 0;
}

static int
set_notify(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	char **slot = setting_field(into, s), *copy;

	if (command_check(value, reterr) < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "must be the absolute path of a program, with at most %d "
		    "arguments",
		    COMMAND_ARGUMENTS_MAX - 1);
	if ((copy = strdup(value)) == NULL)
		return diag_nomem(reterr);
	free(*slot);
	*slot = copy;
	return 0;
}

static int
set_answer(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	bool *slot = setting_field(into, s);

	if (strcmp(value, "reference") != 0 && strcmp(value, "token") != 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "must be reference or token");
	*slot = strcmp(value, "token") == 0;
	return 0;
}

#define IN(field) offsetof(struct config, field)

const struct setting agent_settings[] = {
	{ "listen", setting_sockets, IN(listen), 0, 0 },
	{ "socketmap", setting_sockets, IN(socketmap), 0, 0 },
	{ "socketmap_answer", set_answer, IN(socketmap_tokens), 0, 0 },
	{ "idle_exit", setting_seconds, IN(idle_exit_s), 1, 86400 },
	{ "state_dir", set_state_dir, IN(state_dir), 0, 0 },
	{ "seal_key", set_seal_key, IN(seal_key), 0, 0 },
	{ "user", setting_word, IN(user), 0, 0 },
	{ "notify", set_notify, IN(notify), 0, 0 },
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
index_free(struct account_index **index)
{
	struct account_index *e = *index, *next;

	HASH_CLEAR(hh, *index); /* the table only */
	for (; e != NULL; e = next) {
		next = e->hh.next;
		free(e);
	}
}

static void
config_free(struct config *c)
{
	index_free(&c->index);
	index_free(&c->by_relayhost);
	for (size_t i = 0; i < c->n_accounts; i++)
		account_free(&c->accounts[i]);
	free(c->accounts);
	words_free(&c->listen);
	words_free(&c->socketmap);
	free(c->path);
	free(c->state_dir);
	secret_ref_free(&c->seal_key);
	free(c->user);
	free(c->notify);
	rules_free(&c->admin);
	free(c);
}

/* Beside the configuration: a user's own is in the user's folder. */
static char *
default_seal_key(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *key;
	int n = asprintf(&key, "%.*s" SEAL_KEY,
	    slash != NULL ? (int)(slash + 1 - path) : 0, path);

	return n < 0 ? NULL : key;
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
	c->state_default = true;
	c->user = strdup(DEFAULT_USER);
	c->seal_key =
	    (struct secret_ref){ SECRET_REF_FILE, default_seal_key(path), 0 };
	if (c->path == NULL || c->state_dir == NULL || c->user == NULL ||
	    c->seal_key.name == NULL)
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

static const struct account *
find(struct account_index *index, const char *key)
{
	struct account_index *e;

	HASH_FIND_STR(index, key, e);
	return e != NULL ? e->account : NULL;
}

const struct account *
config_account(const struct config *c, const char *name)
{
	return find(c->index, name);
}

const struct account *
config_mailbox(const struct config *c, const char *name)
{
	const struct account *a = find(c->index, name);
	const char *at = strrchr(name, '@');
	char pattern[WIRE_ACCOUNT_MAX + 2] = "*";

	if (a != NULL || at == NULL || at == name ||
	    strlen(at) > WIRE_ACCOUNT_MAX)
		return a;
	for (size_t i = 0; at[i] != '\0'; i++)
		pattern[i + 1] = (char)tolower((unsigned char)at[i]);
	return find(c->index, pattern);
}

const struct account *
config_relayhost(const struct config *c, const char *word)
{
	return find(c->by_relayhost, word);
}

/* False: no memory.  The first of a key stays. */
static bool
enter(struct account_index **index, struct account *a, const char *key)
{
	struct account_index *e;

	if (find(*index, key) != NULL)
		return true;
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return false;
	e->account = a;
	e->key = key;
	HASH_ADD_KEYPTR(hh, *index, e->key, strlen(e->key), e);
	if (e->hh.tbl != NULL)
		return true;
	free(e);
	return false;
}

/* Room for one more. */
static bool
grow(struct config *c)
{
	size_t cap = c->cap > 0 ? 2 * c->cap : 8;
	struct account **grown;

	if (c->n_accounts < c->cap)
		return true;
	grown = reallocarray(c->accounts, cap, sizeof(struct account *));
	if (grown == NULL)
		return false;
	c->accounts = grown;
	c->cap = cap;
	return true;
}

bool
config_add(struct config *c, struct account *a)
{
	if (!grow(c)) {
		account_free(&a);
		return false;
	}
	/* From here on it is the configuration's, whatever happens. */
	c->accounts[c->n_accounts++] = a;
	if (!enter(&c->index, a, a->name))
		return false;
	for (char **w = a->relayhost; w != NULL && *w != NULL; w++)
		if (!enter(&c->by_relayhost, a, *w))
			return false;
	return true;
}

/* Lists that end in NULL; a list may be NULL itself. */
static bool
same_words(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool
config_same_fixed(const struct config *a, const struct config *b)
{
	return strcmp(a->state_dir, b->state_dir) == 0 &&
	       strcmp(a->user, b->user) == 0 &&
	       same_words(a->listen, b->listen) &&
	       same_words(a->socketmap, b->socketmap) &&
	       a->idle_exit_s == b->idle_exit_s;
}
