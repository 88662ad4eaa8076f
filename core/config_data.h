/*
 * config_data.h - what config.h reads the configuration file into: the
 * agent's settings and the accounts, found by name.
 */
#ifndef CORE_CONFIG_DATA_H
#define CORE_CONFIG_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "rules.h"
#include "secret_ref.h"
#include "setting.h"

struct config {
	unsigned refs;
	char *path;
	/* [agent] */
	char **listen;		/* socket paths; NULL-ended; never empty */
	bool listen_default;	/* not given: the defaults */
	char **socketmap;	/* paths of the lookup table; NULL: none */
	bool socketmap_tokens;	/* it answers with tokens, not references */
	int64_t idle_exit_s;	/* 0: never; only if systemd made the sockets */
	char *state_dir;	/* default /var/lib/mailtoken */
	bool state_default;	/* not given: the default */
	struct secret_ref seal_key;	/* of the state; default: seal.key
				 * beside the file; kind NONE: not sealed */
	char *user;		/* to become if started as root; "mailtoken" */
	char *notify;		/* program and arguments; NULL: none */
	struct rules admin;	/* besides root and the agent's own uid */
	int64_t http_timeout_s;	/* of one request; default 20 */
	unsigned max_connections;	/* default 1024 */
	unsigned max_connections_per_uid;	/* default 256 */
	/* [account NAME] */
	struct account **accounts;	/* in the file's order */
	size_t n_accounts;
	size_t cap;
	struct account_index *index;
	struct account_index *by_relayhost;
};

/* With the defaults, but without a socket.  NULL: no memory. */
struct config *config_new(const char *path);
int config_default_sockets(struct config *c, struct diag *reterr);
/* Takes the account over, also on false (no memory).  Its name is new. */
bool config_add(struct config *c, struct account *a);

/* What the agent cannot change while it runs is the same in both. */
bool config_same_fixed(const struct config *a, const struct config *b);

struct config *config_ref(struct config *c);
/* Drops one reference and sets *c to NULL; NULL is fine. */
void config_unref(struct config **c);

/* NULL if there is none. */
const struct account *config_account(const struct config *c, const char *name);
/*
 * The account for a mailbox: the one of that name, else the one that is for
 * every mailbox of its domain ("*@DOMAIN", whatever the case).
 */
const struct account *config_mailbox(const struct config *c, const char *name);
/* The account that has this among its relayhosts. */
const struct account *config_relayhost(const struct config *c,
	const char *word);

/* The keys of [agent]; offsets are of struct config. */
extern const struct setting agent_settings[];
extern const size_t agent_n_settings;

#endif
