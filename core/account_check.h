/*
 * account_check.h - do the keys of an account's section make sense together?
 *
 * An account of grant = workload_identity at Microsoft takes what its section
 * leaves out from the environment (secure_getenv), as the webhook of Azure
 * Workload Identity sets it in Kubernetes: AZURE_CLIENT_ID, AZURE_TENANT_ID,
 * AZURE_FEDERATED_TOKEN_FILE, and AZURE_AUTHORITY_HOST for the cloud.  Nothing
 * else here looks there.
 */
#ifndef CORE_ACCOUNT_CHECK_H
#define CORE_ACCOUNT_CHECK_H

#include "account.h"
#include "diag.h"

/* Hears what is wrong with the section; line is where to look. */
typedef void account_complain(void *arg, unsigned line, const struct diag *d);

/*
 * Checks the section as a whole; given[i] is the line of the key in row i of
 * the table, 0 if there was none.  Returns the account, or NULL after at
 * least one complaint or if the draft is spoilt.
 */
struct account *account_finish(struct account_draft *d, const unsigned *given,
	account_complain *complain, void *arg);

#endif
