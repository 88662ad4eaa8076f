/* secret.h - bytes that must not outlive their use. */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * ptr is NUL-terminated for the convenience of C APIs; len excludes the NUL.
 * There is no printf helper on purpose: a secret has no textual form.
 */
struct secret {
	char *ptr;
	size_t len;
};
#define SECRET_INIT { NULL, 0 }

/* Copies n bytes.  On false (out of memory) *s is left as it was. */
bool secret_set(struct secret *s, const char *bytes, size_t n);
/* Copies from; from may be empty, then *s becomes empty. */
bool secret_copy(struct secret *s, const struct secret *from);
/* Moves: *to takes over what *from held, and *from becomes empty. */
void secret_move(struct secret *to, struct secret *from);
/* Overwrites, frees, and leaves SECRET_INIT; harmless on SECRET_INIT. */
void secret_wipe(struct secret *s);

/* Overwrites memory that held a secret, before it is given back. */
void secret_erase(void *p, size_t n);

/* True for SECRET_INIT and for a secret of no bytes. */
static inline bool
secret_empty(const struct secret *s)
{
	return s->len == 0;
}

/* The same bytes.  Takes longer for what is alike: not for what a peer sent. */
bool secret_same(const struct secret *a, const struct secret *b);

/* `auto_secret struct secret t = SECRET_INIT;` is wiped on every way out. */
#define auto_secret __attribute__((cleanup(secret_wipe)))

#endif
