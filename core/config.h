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

#include <stddef.h>

#include "account.h"
#include "config_data.h"
#include "config_text.h"
#include "diag.h"
#include "secret.h"

#define CONFIG_MAX_BYTES	(64 << 20)
/* How a file becomes readable for the agent and for nobody else. */
#define CONFIG_ACCESS_CURE	\
	"run this as root, or, if it is the agent that cannot, let it belong to " \
	"root and the agent's group, mode 0640"

/*
 * Reads the file.  Returns a config with one reference, or NULL after at
 * least one complaint.
 * Kinds: CONFIG (text starts with "FILE:LINE: " or "FILE: "), NOMEM.
 */
struct config *config_load(const char *path, config_complain *complain,
	void *arg);
/* The same from memory, for tests and the fuzzer; path is for the texts. */
struct config *config_parse(const char *text, size_t len, const char *path,
	config_complain *complain, void *arg);

/*
 * secret_ref_read() for an account: *reterr names file:line of the key and
 * the account, too.
 */
int config_read_secret(const struct account *a, const struct secret_ref *ref,
	struct secret *ret, struct diag *reterr);
/* Puts the same in front of what went wrong with ref.  Returns -1. */
int config_wrap_secret(const struct account *a, const struct secret_ref *ref,
	struct diag *d);

#endif
