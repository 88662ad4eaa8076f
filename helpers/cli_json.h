/*
 * cli_json.h - what --json prints.  The only file of helpers/ that knows the
 * JSON library.  Without memory a member is missing, and printing fails.
 */
#ifndef HELPERS_CLI_JSON_H
#define HELPERS_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct cli_json;

struct cli_json *cli_json_object(void);
struct cli_json *cli_json_array(void);
void cli_json_free(struct cli_json **j);

/* A NULL value adds nothing. */
void cli_json_str(struct cli_json *o, const char *key, const char *value);
void cli_json_int(struct cli_json *o, const char *key, int64_t value);
void cli_json_bool(struct cli_json *o, const char *key, bool value);
/* Take the child over. */
void cli_json_put(struct cli_json *o, const char *key, struct cli_json *child);
void cli_json_add(struct cli_json *array, struct cli_json *child);
void cli_json_add_str(struct cli_json *array, const char *value);

/* On stdout, with a newline.  Returns an exit code: EX_OK or EX_IOERR. */
int cli_json_print(const struct cli_json *j);

#endif
