/*
 * advice.h - an identity provider's refusal -> who must act, the provider's
 * words cut to one line, and what to do.  A table, no I/O.
 *
 * `error` and `suberror` decide; AADSTS numbers, which Microsoft changes as
 * it likes, choose the advice, except for those that mean "later" under any
 * error.
 */
#ifndef CORE_ADVICE_H
#define CORE_ADVICE_H

#include <stdint.h>

#include "diag.h"

#define ADVICE_RETRY_AFTER_MAX_S 3600

/* From the body of an answer; NULL: not there. */
struct refusal {
	const char *error;		/* RFC 6749 section 5.2 */
	const char *suberror;		/* Microsoft's */
	const char *description;
	const char *trace_id;
	int64_t number;			/* AADSTS; 0: see the description */
};

/*
 * Always sets *reterr (RETRY, REAUTH, CONFIG) and returns -1.  http_status
 * and retry_after_s (0: none) are HTTP's.  Anything in the provider's words
 * that looks like a credential (40 or more characters without a break) is
 * taken out.
 */
int advice_refusal(long http_status, int64_t retry_after_s,
	const struct refusal *r, struct diag *reterr);

/*
 * The same for a body that says nothing: only the status counts.  what is the
 * body in words, "nothing" for one: it comes after "answered with".
 */
int advice_status(long http_status, int64_t retry_after_s, const char *what,
	struct diag *reterr);

#endif
