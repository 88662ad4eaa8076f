#include "form.h"

#include <string.h>

/* RFC 6749 appendix B; what is left alone here, every reader understands. */
void
form_encode(struct buf *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._";

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char esc[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (c != '\0' && strchr(plain, c) != NULL)
			buf_add(b, s + i, 1);
		else if (c == ' ')
			buf_add(b, "+", 1);
		else
			buf_add(b, esc, sizeof(esc));
	}
}

void
form_add(struct buf *b, const char *key, const char *value, size_t n)
{
	if (b->len > 0)
		buf_add(b, "&", 1);
	buf_adds(b, key);
	buf_add(b, "=", 1);
	form_encode(b, value, n);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* False: a broken escape, or a NUL. */
static bool
form_decode(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i] == '+' ? ' ' : s[i];

		if (c == '%') {
			int high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
			int low = i + 2 < n ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return false;
		buf_add(b, &c, 1);
	}
	return !b->failed;
}

int
form_get(const char *form, size_t len, const char *key, struct secret *ret)
{
	const char *end = form + len, *next, *value = NULL, *eq;
	size_t key_len = strlen(key), value_len = 0;

	for (; form < end; form = next + (next < end)) {
		next = memchr(form, '&', (size_t)(end - form));
		if (next == NULL)
			next = end;
		eq = memchr(form, '=', (size_t)(next - form));
		if (eq == NULL || (size_t)(eq - form) != key_len ||
		    memcmp(form, key, key_len) != 0)
			continue;
		if (value != NULL)
			return -1;
		value = eq + 1;
		value_len = (size_t)(next - value);
	}
	if (value == NULL)
		return 0;

	auto_buf struct buf b = BUF_INIT(value_len + 1);

	if (!form_decode(&b, value, value_len) ||
	    !secret_set(ret, b.len > 0 ? b.ptr : "", b.len))
		return -1;
	return 1;
}

static void
base64_encode(
    struct buf *b, const char *s, size_t n, const char *digit, bool pad)
{
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)(unsigned char)s[i] << 16;
		size_t left = n - i;
		char out[4];

		if (left > 1)
			v |= (unsigned)(unsigned char)s[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)s[i + 2];
		out[0] = digit[v >> 18];
		out[1] = digit[v >> 12 & 63];
		out[2] = left > 1 ? digit[v >> 6 & 63] : '=';
		out[3] = left > 2 ? digit[v & 63] : '=';
		buf_add(b, out, pad || left > 2 ? sizeof(out) : left + 1);
	}
}

void
base64_add(struct buf *b, const char *s, size_t n)
{
	base64_encode(b, s, n,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/",
	    true);
}

void
base64url_add(struct buf *b, const char *s, size_t n)
{
	base64_encode(b, s, n,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_",
	    false);
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

bool
base64_decode(struct buf *b, const char *s, size_t n)
{
	unsigned v = 0;
	size_t whole = n;

	while (n > 0 && whole - n < 2 && s[n - 1] == '=')
		n--;
	if (n % 4 == 1 || (n < whole && whole % 4 != 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (base64_digit(s[i]) < 0)
			return false;
	for (size_t i = 0; i < n; i++) {
		char byte;

		v = v << 6 | (unsigned)base64_digit(s[i]);
		byte = (char)(v >> ((3 - i % 4) * 2) & 0xff);
		if (i % 4 != 0)
			buf_add(b, &byte, 1);
	}
	return !b->failed;
}

void
json_string_add(struct buf *b, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	buf_adds(b, "\"");
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

		if (c < 0x20)
			buf_add(b, esc, sizeof(esc));
		else if (c == '"' || c == '\\')
			buf_add(b, (char[]){ '\\', *s }, 2);
		else
			buf_add(b, s, 1);
	}
	buf_adds(b, "\"");
}
