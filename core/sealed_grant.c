#include "sealed_grant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BEGIN "version=2 key="
#define NEXT  " generation="

/* The line and the name: neither has the byte that is between them. */
static void
add_context(struct buf *b, const char *line, size_t len, const char *account)
{
	buf_add(b, line, len);
	buf_adds(b, account);
}

static int
damaged(struct diag *reterr)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "is damaged in its first line; put a copy back, or move it away "
	    "and log the account in again");
}

/* Digits up to the newline, no more than fit and no zero in front. */
static bool
parse_number(const char *s, const char *end, int64_t *ret)
{
	uint64_t n = 0; /* nineteen digits always fit */

	if (s == end || end - s > 19 || (*s == '0' && end - s > 1))
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = 10 * n + (uint64_t)(*s - '0');
	}
	if (n > INT64_MAX)
		return false;
	*ret = (int64_t)n;
	return true;
}

static bool
parse_id(const char *s, char ret[static SEAL_ID_LEN + 1])
{
	for (size_t i = 0; i < SEAL_ID_LEN; i++)
		if (s[i] == '\0' || strchr("0123456789abcdef", s[i]) == NULL)
			return false;
	memcpy(ret, s, SEAL_ID_LEN);
	ret[SEAL_ID_LEN] = '\0';
	return true;
}

int
sealed_grant_line(
    const char *text, size_t len, struct sealed_line *ret, struct diag *reterr)
{
	const size_t id_at = sizeof(BEGIN) - 1, next_at = id_at + SEAL_ID_LEN,
		     number_at = next_at + sizeof(NEXT) - 1;
	const char *end;

	/* Any other version is grant_parse()'s business. */
	if (len < 9 || memcmp(text, "version=2", 9) != 0 ||
	    (len > 9 && text[9] >= '0' && text[9] <= '9'))
		return 0;
	end = memchr(text, '\n', len < SEALED_LINE_MAX ? len : SEALED_LINE_MAX);
	if (end == NULL || (size_t)(end - text) < number_at ||
	    memcmp(text, BEGIN, id_at) != 0 ||
	    memcmp(text + next_at, NEXT, sizeof(NEXT) - 1) != 0 ||
	    !parse_id(text + id_at, ret->key) ||
	    !parse_number(text + number_at, end, &ret->generation))
		return damaged(reterr);
	ret->len = (size_t)(end - text) + 1;
	return 1;
}

int
sealed_grant_parse(const struct secret *key, const struct sealed_line *line,
    const char *text, size_t len, const char *account, struct grant *ret,
    struct diag *reterr)
{
	auto_buf struct buf context = BUF_INIT(512), b = BUF_INIT(len);
	auto_grant struct grant g = GRANT_INIT;

	add_context(&context, text, line->len, account);
	if (context.failed)
		return diag_nomem(reterr);
	if (seal_open(key, context.ptr, context.len, text + line->len,
		len - line->len, &b, reterr) < 0)
		return reterr->kind == DIAG_NOMEM ?
			   -1 :
			   diag_set(reterr, DIAG_CONFIG,
			       "does not open: it is damaged, cut, or another "
			       "account's; put a copy back, or move it away "
			       "and log the account in again");
	if (grant_parse(b.ptr, b.len, account, &g, reterr) < 0)
		return -1;
	if (g.generation != line->generation)
		return damaged(reterr);
	grant_wipe(ret);
	*ret = g;
	g = (struct grant)GRANT_INIT;
	return 0;
}

int
sealed_grant_format(const struct secret *key, const char *key_id, struct buf *b,
    const char *account, const struct grant *g, struct diag *reterr)
{
	auto_buf struct buf context = BUF_INIT(512);
	auto_buf struct buf text = BUF_INIT(GRANT_MAX_BYTES);
	char line[SEALED_LINE_MAX];
	int n = snprintf(line, sizeof(line), BEGIN "%s" NEXT "%" PRId64 "\n",
	    key_id, g->generation);

	if (n < 0 || (size_t)n >= sizeof(line))
		return diag_nomem(reterr);
	if (grant_format(&text, account, g, reterr) < 0)
		return -1;
	add_context(&context, line, (size_t)n, account);
	buf_add(b, line, (size_t)n);
	if (context.failed || b->failed)
		return diag_nomem(reterr);
	return seal_close(
	    key, context.ptr, context.len, text.ptr, text.len, b, reterr);
}
