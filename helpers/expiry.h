/*
 * expiry.h - when what an application shows to the provider ends (its
 * certificate, its client secret), said in the log in time: nothing tells an
 * administrator but mail that does not go out any more.
 */
#ifndef HELPERS_EXPIRY_H
#define HELPERS_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"

struct expiry {
	int64_t at;    /* Unix time; 0: not known */
	unsigned said; /* how many of the warnings */
};

/* "certificate" or "client_secret"; NULL if the account has neither. */
const char *expiry_what(const struct account *a);

/*
 * What certificates' files have said, for as long as many accounts are looked
 * at together.  All zero is nothing yet.
 */
#define EXPIRY_FILES_MAX 16 /* that are read, each for a millisecond or so */
struct expiry_file;
struct expiry_files {
	struct expiry_file *by_path;
};
void expiry_files_wipe(struct expiry_files *files);

/*
 * Looks at it anew: reads the certificate's file, unless it is among files,
 * which may be NULL.  False, and *e is as it was: these were enough for now.
 */
bool expiry_look(
    struct expiry *e, const struct account *a, struct expiry_files *files);
/*
 * event=expires, once for each of 30, 7, 1 and 0 days that are left: then
 * true, and *ret (CONFIG) is the same in a sentence.
 */
bool expiry_say(struct expiry *e, const struct account *a, int64_t now_s,
    struct diag *ret);

#endif
