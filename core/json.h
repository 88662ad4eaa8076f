/*
 * json.h - reading what others say in JSON (RFC 8259): bounded in size and
 * depth, and wiped.  The only file of core/ that knows the JSON library.
 * A struct json is a document or a part of one; only documents are wiped.
 */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/*
 * One JSON object and nothing else, or NULL: anything else, more than max
 * bytes, or no memory.  No copy of its strings is left behind.
 */
struct json *json_read(const char *text, size_t len, size_t max);
/* Overwrites the strings where they lie, and sets *j to NULL. */
void json_wipe(struct json **j);
#define auto_json __attribute__((cleanup(json_wipe)))

/* o may be NULL in all of them: then there is no such member. */

/* Borrowed.  NULL unless it is a string without NUL inside. */
const char *json_str(const struct json *o, const char *key);
/* A number, or a string of one, as some providers send it; clamped. */
bool json_int(const struct json *o, const char *key, int64_t *ret);
/* The part of that name, if it is an object. */
const struct json *json_part(const struct json *o, const char *key);
/* The i-th element of the array of that name; NULL behind the last. */
const char *json_str_at(const struct json *o, const char *key, size_t i);
bool json_int_at(
	const struct json *o, const char *key, size_t i, int64_t *ret);

#endif
