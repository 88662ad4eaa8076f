/*
 * advice_name.h - the account's name in the commands of an advice.  Tables
 * say "mailtoken login ACCOUNT"; where the account is known, its name is to be
 * read there, as a shell takes it: in quotes if it has to be.  Others may have
 * chosen the name, and whoever copies the command is often root: whatever
 * writes a name into a command gets it from here.  Pure.
 */
#ifndef CORE_ADVICE_NAME_H
#define CORE_ADVICE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"
#include "wire.h"

#define ADVICE_NAMED_MAX 1024	/* bytes that any todo has at most, named */
#define ADVICE_WORD_MAX	 (WIRE_ACCOUNT_MAX + sizeof("''"))

/*
 * The account as a word of a shell's command: its name, if no shell takes that
 * for more; the same in single quotes; or ACCOUNT, if the name has one of
 * these, or is none, or NULL.  Returns ret.
 */
const char *advice_word(const char *account, char ret[static ADVICE_WORD_MAX]);
/* The same in memory that is there until the end of the block. */
#define ADVICE_WORD(account) \
	advice_word((account), (char[ADVICE_WORD_MAX]){ "" })

/*
 * The text with the name instead of ACCOUNT wherever that is what a command of
 * ours is for.  Returns ret; or text, if it has no such command, or no room
 * is in ret[size].
 */
const char *advice_named(
	const char *text, const char *account, char *ret, size_t size);
/* The same in d, unless "account NAME: " would then not fit in front. */
void advice_name(struct diag *d, const char *account);
/*
 * "account NAME: " in front, unless the text has that name already, and not
 * only in a command.
 */
void advice_name_wrap(struct diag *d, const char *account);
/*
 * Does a sentence of a table stand in the text?  Where it says ACCOUNT, that
 * may have a name.
 */
bool advice_name_is_in(const char *sentence, const char *text);

#endif
