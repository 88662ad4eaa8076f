/* buf.h - a byte buffer with a ceiling, and one check at the end. */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "secret.h"

/*
 * Appends never fail one by one: the first that would pass `max` or finds no
 * memory sets `failed`, later ones do nothing, and the caller looks once.
 * Every byte ever held is overwritten before its memory is given back.
 * ptr is NULL until the first append, and is not NUL-terminated.
 */
struct buf {
	char *ptr;
	size_t len, cap, max;
	bool failed;
};
/* The largest the buffer may grow to, in bytes. */
#define BUF_INIT(max_) { NULL, 0, 0, (max_), false }

void buf_init(struct buf *b, size_t max);
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *s);
/* Decimal. */
void buf_addi(struct buf *b, int64_t n);
/*
 * Room for n more bytes behind what is there, for read(2) and the like: fill
 * it, then add what came to b->len: only that is overwritten in the end.
 * NULL, and b->failed, if there is none.
 */
char *buf_room(struct buf *b, size_t n);
/* Forgets the first n bytes (n <= len) and overwrites what they were. */
void buf_drop(struct buf *b, size_t n);
/*
 * Keeps only n bytes from an offset on, and hands its memory over to *ret
 * with them: a secret that was received need not be copied.  At least one
 * byte must follow them.
 */
void buf_to_secret(struct buf *b, size_t from, size_t n, struct secret *ret);
/* Wipes and empties; the ceiling stays, so the buffer can be used again. */
void buf_wipe(struct buf *b);

#define auto_buf __attribute__((cleanup(buf_wipe)))

#endif
