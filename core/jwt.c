#include "jwt.h"

#include <string.h>

#include "buf.h"
#include "form.h"

/*
 * The n-th of the three parts of a JWS in compact form.  An encrypted token
 * has five: of that nobody but its reader sees anything.
 */
static struct json *
jwt_part(const char *token, size_t len, unsigned n)
{
	auto_buf struct buf text = BUF_INIT(JWT_MAX);
	const char *from[3] = { token };
	unsigned dots = 0;

	if (len == 0 || len > JWT_MAX)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (token[i] != '.')
			continue;
		if (++dots > 2)
			return NULL;
		from[dots] = token + i + 1;
	}
	if (dots != 2 ||
	    !base64_decode(&text, from[n], (size_t)(from[n + 1] - 1 - from[n])))
		return NULL;
	return json_read(text.ptr, text.len, JWT_MAX);
}

struct json *
jwt_claims(const char *token, size_t len)
{
	return jwt_part(token, len, 1);
}

struct json *
jwt_header(const char *token, size_t len)
{
	return jwt_part(token, len, 0);
}
