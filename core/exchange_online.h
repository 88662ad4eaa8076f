/*
 * exchange_online.h - the PowerShell that lets an application use a mailbox
 * of Exchange Online.  Pure.
 */
#ifndef CORE_EXCHANGE_ONLINE_H
#define CORE_EXCHANGE_ONLINE_H

#include <stdbool.h>

#include "account.h"
#include "buf.h"
#include "token_facts.h"

/* An address that can be written on a command line as it is, in quotes. */
bool exchange_online_address(const char *s);

/*
 * Appends the commands, a line each, for the application of the token f,
 * which is app_only.  Whatever in the token or mailbox (may be NULL) is not
 * of the right shape is replaced by <WORDS> that say what belongs there.  a
 * may be NULL: all services.
 */
void exchange_online_setup(struct buf *b, const struct token_facts *f,
	const struct account *a, const char *mailbox);

#endif
