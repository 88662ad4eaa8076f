#include "json.h"

#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

/* Nobody else sees what a struct json is. */
static struct json_object *
object(const struct json *j)
{
	return (struct json_object *)(uintptr_t)j;
}

/*
 * Overwrites the strings of a document where they lie.  Out of reach: a value
 * that a repeated key replaced while parsing.
 */
static void
bleach(struct json_object *o)
{
	if (json_object_is_type(o, json_type_string)) {
		const char *s = json_object_get_string(o);

		explicit_bzero((void *)(uintptr_t)s,
		    (size_t)json_object_get_string_len(o));
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			bleach(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value)
		{
			(void)key;
			bleach(value);
		}
	}
}

static void
drop(struct json_object **o)
{
	if (*o != NULL) {
		bleach(*o);
		(void)json_object_put(*o);
	}
	*o = NULL;
}

void
json_wipe(struct json **j)
{
	struct json_object *o = object(*j);

	drop(&o);
	*j = NULL;
}

/*
 * Strict, but where there is more than ASCII: json-c 0.18 then takes all of
 * it for control characters.
 */
static int
flags_for(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] > 0x7f)
			return JSON_TOKENER_VALIDATE_UTF8;
	return JSON_TOKENER_STRICT;
}

/*
 * The tokener's own buffer is made as large as it can ever get before it sees
 * a byte: while it grows, realloc() would leave copies of tokens behind.
 */
struct json *
json_read(const char *text, size_t len, size_t max)
{
	struct json_tokener *tok;
	struct json_object *o = NULL;

	while (len > 0 && text[len - 1] != '\0' &&
	       strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	if (len == 0 || len > max || len >= INT_MAX ||
	    memchr(text, '\0', len) != NULL)
		return NULL;
	if ((tok = json_tokener_new_ex(DEPTH_MAX)) == NULL)
		return NULL;
	json_tokener_set_flags(tok, flags_for(text, len));
	if (printbuf_memset(tok->pb, -1, 0, (int)len + 1) == 0) {
		o = json_tokener_parse_ex(tok, text, (int)len);
		if (json_tokener_get_error(tok) != json_tokener_success ||
		    json_tokener_get_parse_end(tok) != len)
			drop(&o);
		explicit_bzero(tok->pb->buf, (size_t)tok->pb->size);
	}
	json_tokener_free(tok);
	if (o != NULL && !json_object_is_type(o, json_type_object))
		drop(&o);
	return (struct json *)o;
}

static struct json_object *
member(const struct json *o, const char *key)
{
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(object(o), key, &v);
	return v;
}

static const char *
as_str(struct json_object *v)
{
	const char *s;

	if (!json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

static bool
as_int(struct json_object *v, int64_t *ret)
{
	const char *s;
	char *end;
	long long n;

	if (json_object_is_type(v, json_type_double) &&
	    isnan(json_object_get_double(v))) /* the library reads "NaN" */
		return false;
	if (json_object_is_type(v, json_type_int) ||
	    json_object_is_type(v, json_type_double)) {
		*ret = json_object_get_int64(v); /* clamps */
		return true;
	}
	if ((s = as_str(v)) == NULL)
		return false;
	n = strtoll(s, &end, 10); /* clamps, too */
	if (end == s || strspn(end, " ") != strlen(end))
		return false;
	*ret = n;
	return true;
}

static struct json_object *
element(const struct json *o, const char *key, size_t i)
{
	struct json_object *v = member(o, key);

	if (!json_object_is_type(v, json_type_array) ||
	    i >= json_object_array_length(v))
		return NULL;
	return json_object_array_get_idx(v, i);
}

const char *
json_str(const struct json *o, const char *key)
{
	return as_str(member(o, key));
}

bool
json_int(const struct json *o, const char *key, int64_t *ret)
{
	return as_int(member(o, key), ret);
}

const struct json *
json_part(const struct json *o, const char *key)
{
	struct json_object *v = member(o, key);

	return json_object_is_type(v, json_type_object) ? (struct json *)v :
							  NULL;
}

const char *
json_str_at(const struct json *o, const char *key, size_t i)
{
	return as_str(element(o, key, i));
}

bool
json_int_at(const struct json *o, const char *key, size_t i, int64_t *ret)
{
	return as_int(element(o, key, i), ret);
}
