/*
 * advice_table.h - what identity providers refuse with -> who must act, the
 * cause, what to do.  Data only; advice.h looks things up.
 *
 * Texts are printable ASCII on one line, without a full stop; ACCOUNT,
 * MAILBOX and the like stand for the names (advice_name.h).  Cause and todo
 * of a row here have 200 bytes at most together, so that they fit in any diag.
 */
#ifndef CORE_ADVICE_TABLE_H
#define CORE_ADVICE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"

struct advice {
	const char *key;	/* what is looked for, by the group */
	enum diag_kind kind;	/* what it usually is */
	bool stale;		/* a fresh token may cure it: renew once */
	const char *cause, *todo;	/* a line each; todo has the commands */
};

/*
 * A pattern is texts with " ... " between them: all must occur, in any order
 * and case; a blank is any white space.  The first row that matches counts,
 * so the special stand before the general.
 */
struct advice_rows {
	const char *title;	/* of the group, for people */
	const struct advice *row;
	size_t n;
};
#define ADVICE_ROWS(title_, rows_) \
	{ (title_), (rows_), sizeof(rows_) / sizeof((rows_)[0]) }

/* Key: the word of `error`, RFC 6749 section 5.2 and its kin. */
extern const struct advice_rows advice_errors;
/* Key: the word of `suberror`, or of Google's error_subtype. */
extern const struct advice_rows advice_suberrors;
/* Key: AADSTS and the number, ascending. */
extern const struct advice_rows advice_numbers;
/* Key: a pattern, for a description without a number. */
extern const struct advice_rows advice_descriptions;

#endif
