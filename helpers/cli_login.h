/*
 * cli_login.h - mailtoken login: what its ways share.  Each returns 0 with
 * the provider's tokens; or -1 with *reterr, whose text is empty if
 * wait.signal says why.
 */
#ifndef HELPERS_CLI_LOGIN_H
#define HELPERS_CLI_LOGIN_H

#include "authorization.h"
#include "cli.h"
#include "cli_provider.h"
#include "cli_wait.h"
#include "oauth2.h"

#define LOGIN_WAIT_MS (10 * 60 * 1000) /* for a person in a browser */

struct redirect;

struct login {
	struct cli *cli;
	const struct account *account;
	unsigned port; /* of the redirect; 0: not given */
	struct cli_wait wait;
	struct cli_provider provider;
	struct authorization authorization;
	struct secret url;	   /* where the browser goes */
	struct redirect *redirect; /* shows how it ended, if there is one */
};

/* RFC 8628. */
int login_by_device(
    struct login *l, struct oauth2_tokens *ret, struct diag *reterr);
/* A redirect to a listener of ours. */
int login_by_browser(
    struct login *l, struct oauth2_tokens *ret, struct diag *reterr);
/* A redirect to nowhere, whose URL a person copies. */
int login_by_paste(
    struct login *l, struct oauth2_tokens *ret, struct diag *reterr);

/* There is a program here that opens a browser, and a screen for it. */
bool login_browser_found(void);

/* l->url for l->authorization; -1 with *reterr (CONFIG: there is none). */
int login_url(struct login *l, const char *redirect_uri, struct diag *reterr);
/* The code for tokens. */
int login_redeem(struct login *l, const struct secret *code,
    const char *redirect_uri, struct oauth2_tokens *ret, struct diag *reterr);

#endif
