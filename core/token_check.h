/*
 * token_check.h - what is wrong with an access token for mail, as far as its
 * claims tell.  Pure: no I/O, no clock.  For people, as token_facts.h says.
 */
#ifndef CORE_TOKEN_CHECK_H
#define CORE_TOKEN_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "token_facts.h"

struct token_finding {
	const char *key;	/* a literal, for programs */
	enum diag_kind kind;	/* who must act; OK: only worth knowing */
	char cause[256], todo[256];	/* printable ASCII, a line each */
};
#define TOKEN_FINDINGS_MAX	12

/*
 * Compares the token with what the account wants.  a may be NULL: then only
 * what the token says of itself is looked at.  mailbox is what will be
 * logged in to; NULL: not known.  Returns how many there are, the gravest
 * first as far as their order says something.
 */
size_t token_check(const struct token_facts *f, const struct account *a,
	const char *mailbox, int64_t now_s,
	struct token_finding ret[TOKEN_FINDINGS_MAX]);

#endif
