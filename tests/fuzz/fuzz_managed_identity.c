/*
 * What a machine's identity endpoint answers: the first byte chooses the
 * status and who speaks; then the challenge, a NUL, and the body.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arc_key.h"
#include "managed_identity.h"

#define NOW 1790000000
#define DIR "/var/opt/azcmagent/tokens/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const long statuses[] = { 200, 400, 401, 404, 410, 429, 503, 500 };

/* One printable line, in which no token can be. */
static void
check_text(const struct diag *d)
{
	size_t run = 0;

	if (d->text[0] == '\0')
		abort();
	for (const char *s = d->text; *s != '\0'; s++) {
		if (*s < 0x20 || *s > 0x7e)
			abort();
		run = isalnum((unsigned char)*s) ? run + 1 : 0;
		if (run >= 40)
			abort();
	}
}

static void
check_challenge(const char *header)
{
	struct diag d = DIAG_INIT;
	char *path = NULL;

	if (arc_key_path(header, &path, &d) < 0) {
		check_text(&d);
	} else if (strncmp(path, DIR, strlen(DIR)) != 0 ||
		   strchr(path + strlen(DIR), '/') != NULL ||
		   path[strlen(DIR)] == '.' ||
		   strlen(path + strlen(DIR)) > 255 ||
		   strcmp(path + strlen(path) - 4, ".key") != 0) {
		abort();
	}
	free(path);
}

static void
check_answer(uint8_t how, const char *body, size_t len)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;
	struct diag d = DIAG_INIT;

	if (managed_identity_parse((enum managed_identity_source)(
				       how / 8 % MANAGED_IDENTITY__COUNT),
		statuses[how % 8], 5, body, len, NOW, &t, &d) == 0) {
		if (t.life_s <= 0 || secret_empty(&t.access_token) ||
		    t.refresh_in_s < 0 || t.refresh_in_s >= t.life_s)
			abort();
	} else {
		if (d.kind != DIAG_RETRY && d.kind != DIAG_CONFIG)
			abort();
		check_text(&d);
	}
	oauth2_tokens_wipe(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end;
	char *header, *body;
	size_t n;

	if (size == 0)
		return 0;
	end = memchr(data + 1, '\0', size - 1);
	n = end != NULL ? (size_t)(end - data) - 1 : size - 1;
	header = strndup((const char *)data + 1, n);
	if (header == NULL)
		return 0;
	check_challenge(header);
	free(header);
	n = end != NULL ? size - 2 - n : 0;
	if ((body = malloc(n + 1)) == NULL)
		return 0;
	if (n > 0)
		memcpy(body, end + 1, n); /* no NUL behind it */
	check_answer(data[0], body, n);
	free(body);
	return 0;
}
