/*
 * quote.h - a stranger's words, to be shown: whatever looks like a credential
 * is taken out, and what is too long is cut.  Pure.
 */
#ifndef CORE_QUOTE_H
#define CORE_QUOTE_H

#include <stddef.h>

#define QUOTE_CREDENTIAL 40 /* characters in a row; a GUID has 36 */

/*
 * The first n bytes of s, or up to a NUL, into ret[size], size > 4: runs of
 * QUOTE_CREDENTIAL or more characters that tokens are made of become "***",
 * and what does not fit ends in "...".  Runs are judged before anything is
 * cut, so that no half of a token is left.
 */
void quote(char *ret, size_t size, const char *s, size_t n);

#endif
