#include "buf.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

/* Nothing was ever behind len, or buf_drop() has overwritten it. */
static void
give_back(struct buf *b)
{
	secret_erase(b->ptr, b->len);
	free(b->ptr);
}

/*
 * Not with realloc(), which gives memory back that nobody has overwritten.
 */
static bool
grow(struct buf *b, size_t n)
{
	size_t cap = b->cap > b->max / 2 ? b->max : 2 * b->cap;
	char *ptr;

	if (b->failed || n > b->max - b->len) {
		b->failed = true;
		return false;
	}
	if (cap < FIRST_CAP)
		cap = b->max < FIRST_CAP ? b->max : FIRST_CAP;
	if (cap < b->len + n)
		cap = b->len + n;
	if ((ptr = malloc(cap)) == NULL) {
		b->failed = true;
		return false;
	}
	if (b->ptr != NULL)
		memcpy(ptr, b->ptr, b->len);
	give_back(b);
	b->ptr = ptr;
	b->cap = cap;
	return true;
}

/* Makes room for n more bytes. */
static inline bool
reserve(struct buf *b, size_t n)
{
	if (!b->failed && b->ptr != NULL && n <= b->cap - b->len)
		return true;
	return grow(b, n);
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0 || !reserve(b, n))
		return;
	memcpy(b->ptr + b->len, bytes, n);
	b->len += n;
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addi(struct buf *b, int64_t n)
{
	uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (n < 0)
		digits[--at] = '-';
	buf_add(b, digits + at, sizeof(digits) - at);
}

char *
buf_room(struct buf *b, size_t n)
{
	return reserve(b, n) ? b->ptr + b->len : NULL;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->ptr, b->ptr + n, b->len);
	secret_erase(b->ptr + b->len, n);
}

void
buf_to_secret(struct buf *b, size_t from, size_t n, struct secret *ret)
{
	memmove(b->ptr, b->ptr + from, n);
	secret_erase(b->ptr + n, b->len - n);
	secret_wipe(ret);
	*ret = (struct secret){ b->ptr, n };
	buf_init(b, b->max);
}

void
buf_wipe(struct buf *b)
{
	give_back(b);
	buf_init(b, b->max);
}
