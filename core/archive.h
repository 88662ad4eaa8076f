/*
 * archive.h - a backup: the configuration, the files it refers to and the
 * logins, sealed with a passphrase.  No I/O.
 *
 * The file: a line that says what it is, a salt, and what seal.h makes of the
 * text.  The text: a message of wire.h for the whole (version=1, host=,
 * created_at=), then for each item one (kind=, name=, owner=, group=, mode=,
 * bytes=) with that many bytes behind it.
 */
#ifndef CORE_ARCHIVE_H
#define CORE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "secret.h"

#define ARCHIVE_MAX_BYTES	(256 << 20)
#define ARCHIVE_PASSPHRASE_MIN	12	/* bytes; for new archives */

enum archive_kind {
	ARCHIVE_CONFIG,		/* the configuration's text */
	ARCHIVE_FILE,		/* a secret, a certificate, a key */
	ARCHIVE_GRANT,		/* as grant_format() writes it */
	ARCHIVE__COUNT
};

/* Borrowed; of what is read, it points into the text. */
struct archive_item {
	enum archive_kind kind;
	const char *name;	/* a path; of a grant, the account's name */
	const char *owner, *group;	/* of a file; NULL: not said */
	int64_t mode;		/* of a file: permissions */
	const char *bytes;
	size_t len;
};

/* What cannot be written sets b->failed. */
void archive_begin(struct buf *b, const char *host, int64_t created_at);
void archive_add(struct buf *b, const struct archive_item *item);

struct archive_reader {
	char *next, *end;
	const char *host;	/* it was made on; NULL: not said */
	int64_t created_at;	/* Unix time; 0: not said */
};
/*
 * The text is changed while it is read.  Return -1 with *reterr (CONFIG), a
 * text to be put behind the file's name that quotes nothing from it.
 */
int archive_open(struct archive_reader *r, char *text, size_t len,
	struct diag *reterr);
/* 1 and *ret, or 0 at the end. */
int archive_next(struct archive_reader *r, struct archive_item *ret,
	struct diag *reterr);

/* Appends the file to *ret.  Kinds: NOMEM, CONFIG (empty passphrase). */
int archive_seal(const struct buf *text, const struct secret *passphrase,
	struct buf *ret, struct diag *reterr);
/*
 * Appends the text to *ret: all of it or nothing.  Returns -1 with *reterr
 * (CONFIG: no archive, cut short, another passphrase or altered; NOMEM).
 */
int archive_unseal(const char *file, size_t len,
	const struct secret *passphrase, struct buf *ret,
	struct diag *reterr);

#endif
