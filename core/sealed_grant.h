/*
 * sealed_grant.h - a grant's file, sealed: a line that can be read,
 *
 *     version=2 key=0123456789abcdef generation=42
 *
 * and behind it what seal.h makes of the text of grant.h.  The line and the
 * account's name are bound to it: no other account's file, and no other
 * generation's line, opens.  A file of version 1 is the text itself.  Pure.
 */
#ifndef CORE_SEALED_GRANT_H
#define CORE_SEALED_GRANT_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "grant.h"
#include "seal.h"
#include "secret.h"

#define SEALED_LINE_MAX	 128
#define SEALED_MAX_BYTES (GRANT_MAX_BYTES + SEALED_LINE_MAX + SEAL_OVERHEAD)

struct sealed_line {
	size_t len;		/* with its newline */
	int64_t generation;
	char key[SEAL_ID_LEN + 1];	/* seal_key_id() of its key */
};

/*
 * 1 and *ret: sealed; 0: a text that is not (a grant of version 1, or what
 * grant_parse() will refuse); or -1 with *reterr (CONFIG: the line is damaged,
 * or of a newer version), a text to be put behind the file's name.  The first
 * SEALED_LINE_MAX bytes of a file will do.
 */
int sealed_grant_line(const char *text, size_t len, struct sealed_line *ret,
	struct diag *reterr);

/*
 * Opens a file that begins with that line.  -1 with *reterr (CONFIG, NOMEM),
 * as grant_parse() does, and *ret is untouched.
 */
int sealed_grant_parse(const struct secret *key, const struct sealed_line *line,
	const char *text, size_t len, const char *account, struct grant *ret,
	struct diag *reterr);

/* Appends the whole file.  Kinds: CONFIG (too long), NOMEM. */
int sealed_grant_format(const struct secret *key, const char *key_id,
	struct buf *b, const char *account, const struct grant *g,
	struct diag *reterr);

#endif
