/*
 * cli_provider.h - requests of a command to an account's provider, one after
 * the other, each until its answer or a signal comes.
 */
#ifndef HELPERS_CLI_PROVIDER_H
#define HELPERS_CLI_PROVIDER_H

#include <stdint.h>

#include "account.h"
#include "buf.h"
#include "cli_wait.h"
#include "credential.h"
#include "diag.h"
#include "oauth2.h"

struct http;

struct cli_provider {
	struct cli_wait *wait;
	const struct account *account;
	struct http *http;
	struct oauth2_endpoints found; /* by discovery */
	/* NULL: there is none.  Known after cli_provider_open(). */
	const char *token, *authorization, *device_authorization, *revocation;
};

struct cli_answer {
	long status;
	int64_t retry_after_s;
	struct buf body;
};
#define CLI_ANSWER_INIT { 0, 0, BUF_INIT(OAUTH2_ANSWER_MAX + 1) }
void cli_answer_wipe(struct cli_answer *a);
#define auto_answer __attribute__((cleanup(cli_answer_wipe)))

#define auto_request __attribute__((cleanup(oauth2_request_wipe)))

/*
 * Asks the issuer for endpoints, if the account has one.  All of these
 * return -1 with *reterr; its text is empty if wait->signal says why.
 */
int cli_provider_open(struct cli_provider *p, struct cli_wait *wait,
    const struct account *account, struct diag *reterr);
/* Harmless on a struct of zeros. */
void cli_provider_close(struct cli_provider *p);

/* How the account's application shows who it is: see credential_init(). */
int cli_provider_credential(const struct cli_provider *p,
    struct credential *ret, struct diag *reterr);
/* POST, or GET if there is no request.  Sent once. */
int cli_provider_ask(struct cli_provider *p, const char *url,
    const struct oauth2_request *request, struct cli_answer *ret,
    struct diag *reterr);

#endif
