#include "wire.h"

#include <string.h>

/* What a byte may be part of. */
enum { IN_KEY = 1, IN_ACCOUNT = 2 };

static const unsigned char classes[256] = {
	['!'] = IN_ACCOUNT,
	['#' ... ')'] = IN_ACCOUNT, /* not '"' */
	['+' ... '.'] = IN_ACCOUNT, /* not '*', not '/' */
	['0' ... '9'] = IN_KEY | IN_ACCOUNT,
	['<' ... 'Z'] = IN_ACCOUNT, /* not ':', not ';' */
	['^'] = IN_ACCOUNT,	    /* not '[', '\\', ']' */
	['_'] = IN_KEY | IN_ACCOUNT,
	['`'] = IN_ACCOUNT,
	['a' ... 'z'] = IN_KEY | IN_ACCOUNT,
	['{' ... '~'] = IN_ACCOUNT,
};

/* How many bytes of the class s begins with; a NUL is in none. */
static size_t
span(unsigned class, const char *s)
{
	size_t n = 0;

	while ((classes[(unsigned char)s[n]] & class) != 0)
		n++;
	return n;
}

typedef unsigned char block __attribute__((vector_size(16)));
typedef signed char signed_block __attribute__((vector_size(16)));

/*
 * All ones for ' ' to '~': one more, and with a sign, nothing else is above
 * ' ' (0x7f becomes -128, 0xff becomes 0).
 */
static signed_block
good_bytes(const char *s)
{
	block x;

	memcpy(&x, s, sizeof(x));
	return (signed_block)(x + 1) > ' ';
}

static bool
printable(const char *s, size_t n)
{
	const size_t size = sizeof(block);
	signed_block good;
	uint64_t half[2];
	size_t i;

	if (n < size) {
		for (i = 0; i < n && s[i] >= ' ' && s[i] <= '~'; i++)
			;
		return i == n;
	}
	good = good_bytes(s + n - size); /* the others may overlap with it */
	for (i = 0; n - i >= 4 * size; i += 4 * size)
		good &= good_bytes(s + i) & good_bytes(s + i + size) &
			good_bytes(s + i + 2 * size) &
			good_bytes(s + i + 3 * size);
	for (; n - i >= size; i += size)
		good &= good_bytes(s + i);
	memcpy(half, &good, sizeof(good));
	return (half[0] & half[1]) == UINT64_MAX;
}

enum wire_text
wire_text(const char *s, size_t n)
{
	/*
	 * Tokens are printable, have thousands of bytes and are looked at
	 * twice on their way, and it is the host that pays: so fast first.
	 */
	if (printable(s, n))
		return WIRE_TEXT_ASCII;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return WIRE_TEXT_CONTROL;
	return WIRE_TEXT_HIGH;
}

/* Notes where one line's key and value are; eol is where its end is. */
static int
note_line(const char *line, const char *eol, struct wire_msg *ret,
    struct diag *reterr)
{
	/* It ends at the line feed at the latest. */
	const char *eq = line + span(IN_KEY, line);

	if (ret->n == WIRE_MAX_PAIRS)
		return diag_set(reterr, DIAG_PROTO,
		    "the message has more than %d lines", WIRE_MAX_PAIRS);
	if (eq == line || *eq != '=')
		return diag_set(reterr, DIAG_PROTO,
		    "line %zu of the message is not key=value", ret->n + 1);
	if (wire_text(eq + 1, (size_t)(eol - eq - 1)) == WIRE_TEXT_CONTROL)
		return diag_set(reterr, DIAG_PROTO,
		    "line %zu of the message has a control character",
		    ret->n + 1);
	ret->pair[ret->n].key = line;
	ret->pair[ret->n].value = eq + 1;
	ret->pair[ret->n++].len = (size_t)(eol - eq - 1);
	return 0;
}

/* The message is whole: cuts it up where pairs were noted. */
static int
cut(char *buf, struct wire_msg *ret, struct diag *reterr)
{
	size_t n = ret->n;

	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		char *value = buf + (ret->pair[i].value - buf);

		value[-1] = value[ret->pair[i].len] = '\0';
		if (wire_get(ret, ret->pair[i].key) != NULL)
			return diag_set(reterr, DIAG_PROTO,
			    "line %zu of the message repeats a key", i + 1);
		ret->n++;
	}
	return 0;
}

ssize_t
wire_parse(char *buf, size_t len, size_t max, struct wire_msg *ret,
    struct diag *reterr)
{
	size_t have = len < max ? len : max;
	const char *line = buf, *eol;

	ret->n = 0;
	while (have > (size_t)(line - buf)) {
		eol = memchr(line, '\n', have - (size_t)(line - buf));
		if (eol == NULL)
			break;
		if (eol == line && ret->n == 0)
			return diag_set(
			    reterr, DIAG_PROTO, "the message is empty");
		if (eol == line)
			return cut(buf, ret, reterr) < 0 ? -1 : eol + 1 - buf;
		if (note_line(line, eol, ret, reterr) < 0)
			return -1;
		line = eol + 1;
	}
	if (len >= max)
		return diag_set(reterr, DIAG_PROTO,
		    "the message is longer than %zu bytes", max);
	return 0;
}

const char *
wire_get_bytes(const struct wire_msg *msg, const char *key, size_t *ret_len)
{
	for (size_t i = 0; i < msg->n; i++)
		if (msg->pair[i].key[0] == key[0] &&
		    strcmp(msg->pair[i].key, key) == 0) {
			*ret_len = msg->pair[i].len;
			return msg->pair[i].value;
		}
	return NULL;
}

const char *
wire_get(const struct wire_msg *msg, const char *key)
{
	size_t len;

	return wire_get_bytes(msg, key, &len);
}

bool
wire_get_int(const struct wire_msg *msg, const char *key, int64_t *ret)
{
	const char *s = wire_get(msg, key);
	bool minus = s != NULL && *s == '-';
	const uint64_t max = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	uint64_t n = 0;
	size_t digits = 0;

	if (s == NULL)
		return false;
	/* Nineteen digits always fit in an unsigned number. */
	for (s += minus; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || ++digits > 19)
			return false;
		n = 10 * n + (uint64_t)(*s - '0');
	}
	if (digits == 0 || n > max)
		return false;
	*ret = minus ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

void
wire_put_bytes(struct buf *b, const char *key, const char *value, size_t n)
{
	size_t k = strlen(key);
	char *line;

	if (value == NULL)
		return;
	if (n > b->max || wire_text(value, n) == WIRE_TEXT_CONTROL)
		b->failed = true;
	if (b->failed || (line = buf_room(b, k + n + 2)) == NULL)
		return;
	memcpy(line, key, k);
	line[k] = '=';
	if (n > 0)
		memcpy(line + k + 1, value, n);
	line[k + 1 + n] = '\n';
	b->len += k + n + 2;
}

void
wire_put(struct buf *b, const char *key, const char *value)
{
	wire_put_bytes(b, key, value, value != NULL ? strlen(value) : 0);
}

void
wire_put_int(struct buf *b, const char *key, int64_t value)
{
	buf_adds(b, key);
	buf_add(b, "=", 1);
	buf_addi(b, value);
	buf_add(b, "\n", 1);
}

void
wire_end(struct buf *b)
{
	buf_add(b, "\n", 1);
}

bool
wire_account_ok(const char *name)
{
	size_t n = span(IN_ACCOUNT, name);

	return n > 0 && n <= WIRE_ACCOUNT_MAX && name[n] == '\0' &&
	       *name != '.' && *name != '-';
}

bool
wire_pattern_ok(const char *name)
{
	return name[0] == '*' && name[1] == '@' && wire_account_ok(name + 1) &&
	       strchr(name + 2, '@') == NULL && name[2] != '\0' &&
	       strlen(name) <= WIRE_ACCOUNT_MAX;
}
