/*
 * config.h - the configuration file -> struct config.
 *
 *     [agent]
 *     admin = root group:mailadmin
 *
 *     [account relay@contoso.com]
 *     provider = microsoft
 *     tenant = contoso.com
 *     grant = client_credentials
 *     client_id = 11111111-2222-3333-4444-555555555555
 *     client_secret = file:/etc/mailtoken/relay.secret
 *     allow = postfix
 *
 * mailtoken.conf(5) is the definition.  Unknown and repeated keys and
 * sections are errors; every error is reported, not only the first; no text
 * ever shows a value.  Secrets are references, read when they are used.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag.h"
#include "provider.h"
#include "secret.h"

#define CONFIG_MAX_BYTES	(64 << 20)
#define CONFIG_SECRET_MAX	16384	/* bytes of a secret's file */

/* RFC 6749 section 2.3.1. */
enum client_auth { CLIENT_AUTH_POST, CLIENT_AUTH_BASIC };

/* Where a secret is. */
struct secret_ref {
	enum { SECRET_REF_NONE, SECRET_REF_FILE, SECRET_REF_CREDENTIAL } kind;
	char *name;		/* a path, or a systemd credential's name */
	unsigned line;		/* in the configuration */
};

/* One peer that may do something: resolved when the file is read. */
struct rule {
	bool group;
	unsigned id;		/* uid_t or gid_t */
};
struct rules {
	struct rule *rule;
	size_t n;
};

struct account {
	const struct config *config;	/* it belongs to */
	char *name;
	unsigned line;		/* of its section */
	char *provider;		/* the word in the file */
	enum grant_type grant;
	unsigned services;	/* of enum service; 0: any */
	char *client_id;
	struct secret_ref client_secret;
	enum client_auth client_auth;
	char *token_endpoint;	/* resolved; NULL: ask the issuer */
	char *issuer;		/* custom with discovery; else NULL */
	char *scope;		/* resolved; NULL: send none */
	char *ca_file;		/* NULL: the system's */
	int64_t min_life_s;	/* default 900 */
	bool insecure_http;	/* http to loopback allowed: tests */
	struct rules allow;	/* nobody but root and the agent if empty */
};

struct config {
	unsigned refs;
	char *path;
	/* [agent] */
	char **listen;		/* socket paths; NULL-ended; never empty */
	bool listen_default;	/* not given: the defaults */
	char *state_dir;	/* default /var/lib/mailtoken */
	char *user;		/* to become if started as root; "mailtoken" */
	struct rules admin;	/* besides root and the agent's own uid */
	int64_t http_timeout_s;	/* of one request; default 20 */
	unsigned max_connections;	/* default 1024 */
	unsigned max_connections_per_uid;	/* default 256 */
	/* [account NAME] */
	struct account **accounts;	/* in the file's order */
	size_t n_accounts;
	struct account_index *index;
};

/* Called once per error, in the file's order. */
typedef void config_complain(void *arg, const struct diag *d);

/*
 * Reads the file.  Returns a config with one reference, or NULL after at
 * least one complaint.  A warning (see below) is no complaint.
 * Kinds: CONFIG (text starts with "FILE:LINE: " or "FILE: "), NOMEM.
 */
struct config *config_load(const char *path, config_complain *complain,
	void *arg);
/* The same from memory, for tests and the fuzzer; path is for the texts. */
struct config *config_parse(const char *text, size_t len, const char *path,
	config_complain *complain, void *arg);

struct config *config_ref(struct config *c);
/* Drops one reference and sets *c to NULL; NULL is fine. */
void config_unref(struct config **c);

/* NULL if there is none. */
const struct account *config_account(const struct config *c, const char *name);

/* uid or one of the gids is in the list. */
bool rules_allow(const struct rules *r, uid_t uid, const gid_t *gids,
	size_t n_gids);
/* A rule about a group exists: then the caller must find the peer's gids. */
bool rules_have_groups(const struct rules *r);

/*
 * Reads a secret: the whole file without one trailing newline.  Refuses one
 * that is not a regular file, that group or others can use, that is empty or
 * larger than CONFIG_SECRET_MAX.  "credential:NAME" is NAME in
 * $CREDENTIALS_DIRECTORY, whose modes are systemd's business.
 * Returns -1 with *reterr (CONFIG, NOMEM): names file:line of the key, the
 * secret's file, and the remedy.
 */
int config_read_secret(const struct account *a, const struct secret_ref *ref,
	struct secret *ret, struct diag *reterr);

/*
 * For `mailtoken check`: the configuration's own owner and mode, and every
 * secret's file, complained about one by one.  Returns the number of
 * complaints.
 */
size_t config_check_files(const struct config *c, config_complain *complain,
	void *arg);

#endif
