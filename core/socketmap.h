/*
 * socketmap.h - Postfix's lookup protocol, server side: socketmap_table(5).
 * A netstring "MAP KEY" comes, a netstring "STATUS TEXT" goes, any number of
 * times on one connection.  Pure: no I/O.
 *
 *     26:sasl relay@contoso.example,
 *     40:OK relay@contoso.example:mailtoken:relay,
 */
#ifndef CORE_SOCKETMAP_H
#define CORE_SOCKETMAP_H

#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "diag.h"

#define SOCKETMAP_REQUEST_MAX	2048	/* bytes between ':' and ',' */
#define SOCKETMAP_ANSWER_MAX	100000	/* more, Postfix would not read */

struct socketmap_request {
	const char *map, *key;	/* NUL-ended, in the buffer */
};

/*
 * Parses the request at the start of buf in place.  Returns the bytes it
 * took; 0 if more must be read first; -1 with *reterr (PROTO): no netstring,
 * too long, no map's name, a NUL inside.  The text quotes nothing.
 */
ssize_t socketmap_parse(char *buf, size_t len, struct socketmap_request *ret,
	struct diag *reterr);

enum socketmap_status {
	SOCKETMAP_OK,		/* text is the value */
	SOCKETMAP_NOTFOUND,	/* text is nothing */
	SOCKETMAP_TEMP,		/* text is the reason: Postfix defers and logs it */
	SOCKETMAP_PERM		/* the same: the table is not set up right */
};
/*
 * Appends an answer.  b->failed if it is longer than SOCKETMAP_ANSWER_MAX or
 * has a NUL.
 */
void socketmap_answer(struct buf *b, enum socketmap_status status,
	const char *text, size_t len);

#endif
