#include "secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void
secret_erase(void *p, size_t n)
{
	/* In pieces: for large ones memset() has a slow way to start. */
	const size_t piece = 2048;
	char *at = p;

	for (; n > piece; at += piece, n -= piece)
		explicit_bzero(at, piece);
	if (n > 0)
		explicit_bzero(at, n);
}

bool
secret_set(struct secret *s, const char *bytes, size_t n)
{
	char *copy = n < SIZE_MAX ? malloc(n + 1) : NULL;

	if (copy == NULL)
		return false;
	if (n > 0)
		memcpy(copy, bytes, n);
	copy[n] = '\0';
	secret_wipe(s); /* only now: bytes may have been part of it */
	s->ptr = copy;
	s->len = n;
	return true;
}

bool
secret_copy(struct secret *s, const struct secret *from)
{
	if (s == from)
		return true;
	if (from->ptr != NULL)
		return secret_set(s, from->ptr, from->len);
	secret_wipe(s);
	return true;
}

bool
secret_same(const struct secret *a, const struct secret *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->ptr, b->ptr, a->len) == 0);
}

void
secret_move(struct secret *to, struct secret *from)
{
	struct secret moved = *from;

	*from = (struct secret)SECRET_INIT;
	secret_wipe(to);
	*to = moved;
}

void
secret_wipe(struct secret *s)
{
	secret_erase(s->ptr, s->len);
	free(s->ptr);
	*s = (struct secret)SECRET_INIT;
}
