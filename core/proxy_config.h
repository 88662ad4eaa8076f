/*
 * proxy_config.h - one mailbox's login in the configuration of
 * email-oauth2-proxy, an INI file with a section for each.  Pure: no I/O.
 */
#ifndef CORE_PROXY_CONFIG_H
#define CORE_PROXY_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "diag.h"

/* Strings point into the text; NULL: not there. */
struct proxy_login {
	const char *mailbox, *client_id, *token_url;
	const char *refresh_token;	/* sealed: fernet.h */
	const char *salt;		/* base64 */
	int64_t iterations;		/* 0: not said */
};

/*
 * mailbox (in any case) chooses the section; NULL: the only one with a login.
 * text[len] must be writable; the text is changed.  Returns -1 with *reterr
 * (CONFIG).
 */
int proxy_config_find(char *text, size_t len, const char *mailbox,
	struct proxy_login *ret, struct diag *reterr);

#endif
