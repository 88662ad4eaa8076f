/*
 * setting.h - one `key = value` of the configuration -> a field of a struct,
 * by a table of keys.  No text shows a value.
 */
#ifndef CORE_SETTING_H
#define CORE_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "rules.h"

#define SETTING_MAX	32	/* rows of a table */

/* What the keys of a section fill in. */
struct setting_into {
	void *object;			/* that the offsets are of */
	struct rules_names **names;	/* for setting_rules() */
};

struct setting {
	const char *key;
	/* Returns -1 with *reterr, which does not name the key. */
	int (*set)(const struct setting_into *into, const struct setting *s,
	    const char *value, struct diag *reterr);
	size_t where;		/* offset of the field */
	int64_t min, max;	/* of numbers */
};

/*
 * Kinds of fields.  A char * gets a copy that belongs to the object, a
 * const char * borrows the text.
 */
int setting_borrowed(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* const char * */
int setting_word(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* char * */
int setting_name(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* char *, see below */
int setting_path(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* char *, absolute */
int setting_seconds(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* int64_t */
int setting_count(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* unsigned */
int setting_date(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* int64_t: when the day
							 * begins, UTC */
int setting_yesno(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* bool */
int setting_rules(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* struct rules */
int setting_sockets(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* char **, see below */
int setting_words(const struct setting_into *into, const struct setting *s,
	const char *value, struct diag *reterr);	/* char **, words_free() */

/*
 * A name that another party gave, an application's ID for one: printable
 * ASCII without blanks, quotes and backslashes, since it is put into requests
 * and into commands to copy.  An apostrophe is taken if a mail address may
 * have it.
 */
int setting_check_name(const char *value, bool apostrophe,
	struct diag *reterr);

/*
 * Paths of sockets, separated by blanks; *ret is a NULL-ended list for
 * words_free().  Returns -1 with *reterr, *ret untouched.
 */
int sockets_parse(const char *text, char ***ret, struct diag *reterr);
void words_free(char ***list);

/* The field of a row, for setters of one's own. */
void *setting_field(const struct setting_into *into, const struct setting *s);

#endif
