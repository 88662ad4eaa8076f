/*
 * inifile.h - the items of an INI file, one by one.  Pure: no I/O.
 *
 *     # a comment, or ; one
 *     [section]
 *     key = value          ; a comment behind a blank and a semicolon
 *
 * Blanks around all parts are dropped; a value is one line and may be empty.
 * A UTF-8 byte order mark and CR LF are taken as what they mean.  Nothing has
 * a limit of length and nothing is cut: an account is chosen by its section's
 * name, so half a name would be another account.
 */
#ifndef CORE_INIFILE_H
#define CORE_INIFILE_H

#include <stddef.h>

enum inifile_item {
	INIFILE_END,
	INIFILE_SECTION,	/* name */
	INIFILE_KEY,		/* name, value */
	INIFILE_BAD		/* why; go on with the next line */
};

struct inifile {
	char *next, *end;
	unsigned line;
};

/* Strings point into the text. */
struct inifile_entry {
	unsigned line;		/* from 1 */
	const char *name, *value;
	const char *why;	/* of BAD: a literal that shows nothing */
};

/* text[len] must be writable.  The text is changed while it is read. */
void inifile_init(struct inifile *f, char *text, size_t len);
enum inifile_item inifile_next(struct inifile *f, struct inifile_entry *ret);

#endif
