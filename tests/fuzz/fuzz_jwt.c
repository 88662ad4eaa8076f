/* Tokens: shown or not, never written beyond, and the same each time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(const struct json *j)
{
	int64_t n;

	(void)json_str(j, "aud");
	(void)json_int(j, "exp", &n);
	(void)json_str_at(j, "roles", 0);
	(void)json_str(json_part(j, "cnf"), "kid");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *token = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct json *claims, *header;

	if (token == NULL)
		return 0;
	memcpy(token, data, size);
	claims = jwt_claims(token, size);
	header = jwt_header(token, size);
	if ((claims != NULL || header != NULL) &&
	    (size > JWT_MAX || memchr(token, '.', size) == NULL))
		abort();
	look(claims);
	look(header);
	json_wipe(&claims);
	json_wipe(&header);
	free(token);
	return 0;
}
