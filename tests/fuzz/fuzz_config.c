/* Any bytes as a configuration: one result, and the contract of both. */
#include <stdint.h>
#include <stdio.h>
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

/* Each grant has what it is asked with. */
static bool
grant_complete(const struct account *a)
{
	bool secret = a->client_secret.kind != SECRET_REF_NONE;
	bool cert = a->client_certificate != NULL;

	switch (a->grant) {
	case GRANT_REFRESH_TOKEN:
		return a->client_id != NULL && !(secret && cert);
	case GRANT_CLIENT_CREDENTIALS:
		return a->client_id != NULL && secret != cert;
	case GRANT_WORKLOAD_IDENTITY:
		return a->client_id != NULL && !secret && !cert &&
		       a->client_assertion_file != NULL;
	case GRANT_MANAGED_IDENTITY:
		return a->client_id == NULL && !secret && !cert &&
		       a->scope != NULL && strchr(a->scope, ' ') == NULL &&
		       (a->identity == IDENTITY_SYSTEM) ==
			   (a->identity_id == NULL);
	case GRANT_JWT_BEARER:
		return a->client_id == NULL && !secret && !cert &&
		       a->service_account_key.kind != SECRET_REF_NONE &&
		       a->subject != NULL;
	case GRANT__COUNT:
		break;
	}
	return false;
}

static void
check_endpoints(const struct account *a)
{
	const char *const urls[] = { a->token_endpoint, a->issuer,
		a->authorization_endpoint, a->device_authorization_endpoint,
		a->revocation_endpoint };
	struct diag d = DIAG_INIT;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		if (urls[i] == NULL)
			continue;
		n++;
		if (provider_check_url(urls[i], a->insecure_http, &d) < 0)
			abort();
	}
	if (a->grant == GRANT_MANAGED_IDENTITY ?
		n > 0 :
		(a->token_endpoint == NULL) == (a->issuer == NULL))
		abort();
}

/* Who asks by a mailbox or a next hop comes to one account. */
static void
check_ways(const struct config *c, const struct account *a)
{
	bool pattern = wire_pattern_ok(a->name);
	char mailbox[WIRE_ACCOUNT_MAX + 2];

	if (wire_account_ok(a->name) == pattern ||
	    config_mailbox(c, a->name) != a)
		abort();
	for (char **w = a->relayhost; w != NULL && *w != NULL; w++)
		if (pattern || config_relayhost(c, *w) != a)
			abort();
	if (!pattern)
		return;
	(void)snprintf(mailbox, sizeof(mailbox), "?%s", a->name + 1);
	if (config_mailbox(c, mailbox) != a &&
	    config_account(c, mailbox) == NULL)
		abort();
	if (a->mailbox != NULL || a->grant == GRANT_REFRESH_TOKEN ||
	    a->grant == GRANT_JWT_BEARER)
		abort();
}

static void
check_account(const struct config *c, const struct account *a)
{
	if (config_account(c, a->name) != a || a->config != c || a->line == 0 ||
	    account_binding(a) <= 0)
		abort();
	check_ways(c, a);
	if (!grant_complete(a))
		abort();
	check_endpoints(a);
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
