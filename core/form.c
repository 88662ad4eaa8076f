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

void
base64_add(struct buf *b, const char *s, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)(unsigned char)s[i] << 16;
		char out[4];

		if (i + 1 < n)
			v |= (unsigned)(unsigned char)s[i + 1] << 8;
		if (i + 2 < n)
			v |= (unsigned char)s[i + 2];
		out[0] = digit[v >> 18];
		out[1] = digit[v >> 12 & 63];
		out[2] = i + 1 < n ? digit[v >> 6 & 63] : '=';
		out[3] = i + 2 < n ? digit[v & 63] : '=';
		buf_add(b, out, sizeof(out));
	}
}
