#include "socketmap.h"

#include <string.h>

#define LENGTH_DIGITS 4 /* of SOCKETMAP_REQUEST_MAX */

/* The length before the ':'; 0: more is needed, -1: it is none. */
static ssize_t
read_length(const char *buf, size_t len, size_t *ret)
{
	size_t n = 0, i;

	for (i = 0; i < len && buf[i] >= '0' && buf[i] <= '9'; i++) {
		if (i == LENGTH_DIGITS || (i == 1 && buf[0] == '0'))
			return -1;
		n = n * 10 + (size_t)(buf[i] - '0');
	}
	if (n > SOCKETMAP_REQUEST_MAX)
		return -1;
	if (i == len)
		return 0;
	if (i == 0 || buf[i] != ':')
		return -1;
	*ret = n;
	return (ssize_t)i + 1;
}

ssize_t
socketmap_parse(
    char *buf, size_t len, struct socketmap_request *ret, struct diag *reterr)
{
	size_t n = 0;
	ssize_t head = read_length(buf, len, &n);
	char *text, *blank;

	if (head < 0)
		return diag_set(reterr, DIAG_PROTO,
		    "the request is no netstring of at most %d bytes",
		    SOCKETMAP_REQUEST_MAX);
	if (head == 0 || len - (size_t)head < n + 1)
		return 0;
	text = buf + head;
	if (text[n] != ',' || memchr(text, '\0', n) != NULL)
		return diag_set(reterr, DIAG_PROTO,
		    "the request is not ended by a comma, or has a NUL");
	text[n] = '\0';
	if ((blank = strchr(text, ' ')) == NULL || blank == text)
		return diag_set(
		    reterr, DIAG_PROTO, "the request lacks a table's name");
	*blank = '\0';
	*ret = (struct socketmap_request){ .map = text, .key = blank + 1 };
	return head + (ssize_t)n + 1;
}

void
socketmap_answer(
    struct buf *b, enum socketmap_status status, const char *text, size_t len)
{
	static const char *const words[] = {
		[SOCKETMAP_OK] = "OK ",
		[SOCKETMAP_NOTFOUND] = "NOTFOUND ",
		[SOCKETMAP_TEMP] = "TEMP ",
		[SOCKETMAP_PERM] = "PERM ",
	};
	size_t word = strlen(words[status]);

	if (len > SOCKETMAP_ANSWER_MAX - word ||
	    (len > 0 && memchr(text, '\0', len) != NULL)) {
		b->failed = true;
		return;
	}
	buf_addi(b, (int64_t)(word + len));
	buf_adds(b, ":");
	buf_adds(b, words[status]);
	if (len > 0)
		buf_add(b, text, len);
	buf_adds(b, ",");
}
