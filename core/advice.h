/*
 * advice.h - what somebody refuses with -> who must act, the cause, and what
 * to do: for the answers of identity providers, and for any text of a log.
 * advice_table.h and advice_texts.h have the rows; no I/O.
 *
 * `error` and `suberror` decide the kind; AADSTS numbers, which Microsoft
 * changes as it likes, choose the advice, except for those that mean "later"
 * under any error.
 */
#ifndef CORE_ADVICE_H
#define CORE_ADVICE_H

#include <stddef.h>
#include <stdint.h>

#include "advice_table.h"
#include "advice_texts.h"
#include "diag.h"

#define ADVICE_RETRY_AFTER_MAX_S 3600

/* From the body of an answer; NULL: not there. */
struct refusal {
	const char *error;		/* RFC 6749 section 5.2 */
	const char *suberror;		/* Microsoft's; Google's error_subtype */
	const char *description;
	const char *trace_id;
	int64_t number;			/* AADSTS; 0: see the description */
};

/*
 * Always sets *reterr (RETRY, REAUTH, CONFIG) and returns -1.  http_status
 * and retry_after_s (0: none) are HTTP's.  Anything in the provider's words
 * that looks like a credential (40 or more characters without a break) is
 * taken out.  The text is "provider says ERROR (AADSTSn): their words: cause:
 * what to do"; their words are cut first, so that the rest is whole even
 * behind "account NAME: ".
 */
int advice_refusal(long http_status, int64_t retry_after_s,
	const struct refusal *r, struct diag *reterr);

/*
 * The same for a body that says nothing: only the status counts.  what is the
 * body in words, "nothing" for one: it comes after "answered with".
 */
int advice_status(long http_status, int64_t retry_after_s, const char *what,
	struct diag *reterr);

/*
 * The row for any text pasted from a log (a bare AADSTS number, an `error`, a
 * mail server's or a program's words); NULL if none is known.  Its kind is
 * what the row has by itself: advice_kind() says what it is in this text.
 */
const struct advice *advice_explain(const char *text);
/* The same from what an SMTP, IMAP or POP3 server said; only such rows. */
const struct advice *advice_mail(const char *text);
/* a's kind, or that of the `error` in the text, which comes first. */
enum diag_kind advice_kind(const struct advice *a, const char *text);

/* All rows, by group, for a list of them; NULL behind the last group. */
const struct advice_rows *advice_group(size_t i);

#endif
