/* Any bytes as a configuration: one result, and the contract of both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "wire.h"

#define PATH "fuzz.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	size_t n;
};

static void
hear(void *arg, const struct diag *d)
{
	struct heard *h = arg;

	h->n++;
	if (d->kind != DIAG_CONFIG || strncmp(d->text, PATH ":", 9 + 1) != 0)
		abort();
}

static void
check_account(const struct config *c, const struct account *a)
{
	struct diag d = DIAG_INIT;

	if (!wire_account_ok(a->name) || config_account(c, a->name) != a ||
	    a->config != c || a->client_id == NULL || a->line == 0)
		abort();
	if ((a->token_endpoint == NULL) == (a->issuer == NULL))
		abort();
	if (provider_check_url(
		a->issuer != NULL ? a->issuer : a->token_endpoint,
		a->insecure_http, &d) < 0)
		abort();
	if (a->grant == GRANT_CLIENT_CREDENTIALS &&
	    a->client_secret.kind == SECRET_REF_NONE)
		abort();
	if (a->min_life_s < 60 || a->min_life_s > 86400)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct heard h = { 0 };
	struct config *c;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	c = config_parse(text, size, PATH, hear, &h);
	free(text);
	if ((c == NULL) != (h.n > 0) || h.n > CONFIG_MAX_COMPLAINTS + 1)
		abort();
	if (c == NULL)
		return 0;
	if (c->listen == NULL || c->listen[0] == NULL ||
	    c->max_connections_per_uid > c->max_connections)
		abort();
	for (size_t i = 0; i < c->n_accounts; i++)
		check_account(c, c->accounts[i]);
	config_unref(&c);
	return 0;
}
