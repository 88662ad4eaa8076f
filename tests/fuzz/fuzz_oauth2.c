/* The token endpoint's answer: the first byte chooses the status. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oauth2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const long statuses[] = { 200, 400, 401, 404, 429, 503, 302, 0 };

/* A refusal is one printable line, whatever was quoted. */
static void
check_text(const struct diag *d)
{
	size_t run = 0;

	if (d->text[0] == '\0' || d->retry_after_s < 0 ||
	    d->retry_after_s > 3600)
		abort();
	for (const char *s = d->text; *s != '\0'; s++) {
		if (*s < 0x20 || *s > 0x7e)
			abort();
		run = isalnum((unsigned char)*s) ? run + 1 : 0;
		if (run >= 40)
			abort(); /* it could be a token */
	}
}

static void
check_tokens(const struct oauth2_tokens *t)
{
	if (t->life_s <= 0 || secret_empty(&t->access_token) ||
	    t->access_token.len > OAUTH2_TOKEN_MAX ||
	    t->refresh_token.len > OAUTH2_TOKEN_MAX || t->refresh_in_s < 0 ||
	    t->refresh_in_s >= t->life_s)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;
	char *body;
	struct oauth2_endpoints endpoints = OAUTH2_ENDPOINTS_INIT;

	if (size == 0 || (body = malloc(size)) == NULL)
		return 0;
	memcpy(body, data + 1, size - 1); /* no NUL behind it */
	if (oauth2_parse_tokens(
		statuses[data[0] % 8], data[0], body, size - 1, &t, &d) == 0)
		check_tokens(&t);
	else if (d.kind == DIAG_RETRY || d.kind == DIAG_REAUTH ||
		 d.kind == DIAG_CONFIG)
		check_text(&d);
	else
		abort();
	if (oauth2_parse_discovery("https://id.example.com", 200, body,
		size - 1, &endpoints, &d) == 0 &&
	    endpoints.token == NULL)
		abort();
	oauth2_tokens_wipe(&t);
	oauth2_endpoints_free(&endpoints);
	free(body);
	return 0;
}
