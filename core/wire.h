/*
 * wire.h - the agent's protocol.  docs/PROTOCOL.md is its definition.
 *
 * A message is lines "key=value\n" and an empty line.  Both sides speak it:
 *
 *     version=1                     version=1
 *     op=get                        status=ok
 *     account=relay@contoso.com     expires_at=1790000000
 *     (empty line)                  token=eyJ0...
 *                                   (empty line)
 *
 * State files have the same form (store.h).  Keys are [a-z0-9_]+, values are
 * bytes without control characters (below 0x20, and 0x7f).  Pure: no I/O.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "diag.h"

#define WIRE_VERSION	"1"
#define WIRE_MAX_BYTES	32768	/* a whole message of the agent's protocol */
#define WIRE_MAX_PAIRS	24
#define WIRE_ACCOUNT_MAX 200	/* bytes of an account's name */

struct wire_msg {
	struct {
		const char *key, *value;	/* both end in NUL */
		size_t len;			/* of the value */
	} pair[WIRE_MAX_PAIRS];
	size_t n;
};

/*
 * Parses the message at the start of buf in place: *ret points into buf and
 * is valid as long as buf is.  max is the ceiling for one message, checked
 * while waiting for its end.  A key given twice is an error.
 * Returns the bytes it took; 0 if more must be read first, and buf is
 * unchanged; -1 with *reterr (PROTO; the text never quotes a value).
 */
ssize_t wire_parse(char *buf, size_t len, size_t max, struct wire_msg *ret,
	struct diag *reterr);

/* The value of key, or NULL. */
const char *wire_get(const struct wire_msg *msg, const char *key);
/* The same with its length; *ret_len is untouched if there is none. */
const char *wire_get_bytes(const struct wire_msg *msg, const char *key,
	size_t *ret_len);
/* A whole decimal number; false, and *ret untouched, if absent or not one. */
bool wire_get_int(const struct wire_msg *msg, const char *key, int64_t *ret);

/*
 * Each appends one line; a value that the format forbids sets b->failed.
 * A NULL value appends nothing.  wire_end() appends the empty line.
 */
void wire_put(struct buf *b, const char *key, const char *value);
void wire_put_bytes(struct buf *b, const char *key, const char *value,
	size_t n);
void wire_put_int(struct buf *b, const char *key, int64_t value);
void wire_end(struct buf *b);

/* What the bytes of a value are; no bytes are ASCII. */
enum wire_text {
	WIRE_TEXT_ASCII,	/* printable */
	WIRE_TEXT_HIGH,		/* besides, some above 0x7f */
	WIRE_TEXT_CONTROL	/* some below 0x20, or 0x7f: no value at all */
};
enum wire_text wire_text(const char *s, size_t n);

/*
 * An account's name: 1 to WIRE_ACCOUNT_MAX bytes of printable ASCII without
 * blanks and without / \ " [ ] : ; * and not starting with '.' or '-' (it is
 * also the name of a file, of a section and an argument).
 */
bool wire_account_ok(const char *name);
/*
 * "*@DOMAIN": an account for every mailbox of a domain.  Not a name itself,
 * but as long at most.
 */
bool wire_pattern_ok(const char *name);

#endif
