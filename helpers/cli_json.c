#include "cli_json.h"

#include <stdio.h>
#include <sysexits.h>

#include <json-c/json.h>

static struct json_object *
object(const struct cli_json *j)
{
	return (struct json_object *)(uintptr_t)j;
}

struct cli_json *
cli_json_object(void)
{
	return (struct cli_json *)json_object_new_object();
}

struct cli_json *
cli_json_array(void)
{
	return (struct cli_json *)json_object_new_array();
}

void
cli_json_free(struct cli_json **j)
{
	(void)json_object_put(object(*j));
	*j = NULL;
}

static void
put(struct cli_json *o, const char *key, struct json_object *value)
{
	if (o == NULL || value == NULL ||
	    json_object_object_add(object(o), key, value) != 0)
		(void)json_object_put(value);
}

void
cli_json_str(struct cli_json *o, const char *key, const char *value)
{
	if (value != NULL)
		put(o, key, json_object_new_string(value));
}

void
cli_json_int(struct cli_json *o, const char *key, int64_t value)
{
	put(o, key, json_object_new_int64(value));
}

void
cli_json_bool(struct cli_json *o, const char *key, bool value)
{
	put(o, key, json_object_new_boolean(value));
}

void
cli_json_put(struct cli_json *o, const char *key, struct cli_json *child)
{
	put(o, key, object(child));
}

void
cli_json_add(struct cli_json *array, struct cli_json *child)
{
	if (array == NULL ||
	    json_object_array_add(object(array), object(child)) != 0)
		(void)json_object_put(object(child));
}

void
cli_json_add_str(struct cli_json *array, const char *value)
{
	if (value != NULL)
		cli_json_add(
		    array, (struct cli_json *)json_object_new_string(value));
}

int
cli_json_print(const struct cli_json *j)
{
	const char *text =
	    j == NULL ?
		NULL :
		json_object_to_json_string_ext(object(j),
		    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

	return text != NULL && puts(text) != EOF ? EX_OK : EX_IOERR;
}
