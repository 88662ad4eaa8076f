/* parse_config.h - a configuration's text, and what is said about it. */
#ifndef TESTS_PARSE_CONFIG_H
#define TESTS_PARSE_CONFIG_H

#include <stdlib.h>
#include <string.h>

#include "config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What was complained about, in order. */
struct heard {
	struct diag d[8];
	size_t n;
};

static inline void
hear(void *arg, const struct diag *d)
{
	struct heard *h = arg;

	if (h->n < COUNT(h->d))
		h->d[h->n] = *d;
	h->n++;
}

static inline struct config *
parse(const char *text, struct heard *h)
{
	*h = (struct heard){ .n = 0 };
	return config_parse(text, strlen(text), "m.conf", hear, h);
}

/* Sections to put one more line into. */
#define APP(line)                      \
	"[account a]\n"                \
	"provider = microsoft\n"       \
	"grant = client_credentials\n" \
	"tenant = contoso.example\n"   \
	"client_id = 1111\n"           \
	"client_secret = file:/nonexistent/secret\n" line "\n"
#define CERT(line)                     \
	"[account a]\n"                \
	"provider = microsoft\n"       \
	"grant = client_credentials\n" \
	"tenant = contoso.example\n"   \
	"client_id = 1111\n"           \
	"client_certificate = /nonexistent/c.pem\n" line "\n"
#define MANAGED(line)                \
	"[account a]\n"              \
	"provider = microsoft\n"     \
	"grant = managed_identity\n" \
	"services = smtp\n" line "\n"
#define GOOGLE(line)                            \
	"[account a]\n"                         \
	"provider = google\n"                   \
	"grant = jwt_bearer\n"                  \
	"service_account_key = credential:sa\n" \
	"subject = o'brien@example.com\n" line "\n"
#define FEDERATED                \
	"[account a]\n"          \
	"provider = microsoft\n" \
	"grant = workload_identity\n"
/* An account for a domain, and one with next hops. */
#define PATTERN(grant, line)                                             \
	"[account *@contoso.example]\n"                                  \
	"provider = microsoft\ntenant = contoso.example\ngrant = " grant \
	"\nclient_id = 1111\nservices = smtp\n" line "\n"
#define NAMED(name, line)                                           \
	"[account " name "]\n"                                      \
	"provider = custom\ntoken_endpoint = https://a.example/t\n" \
	"grant = refresh_token\nclient_id = 1111\n" line "\n"
#define CUSTOM(line)              \
	"[account a]\n"           \
	"provider = custom\n"     \
	"grant = refresh_token\n" \
	"client_id = 1111\n" line "\n"

/* What Kubernetes' webhook puts into a container. */
static const char *const variables[] = { "AZURE_CLIENT_ID", "AZURE_TENANT_ID",
	"AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST" };

static inline void
set_variables(
    const char *client, const char *tenant, const char *file, const char *host)
{
	const char *values[] = { client, tenant, file, host };

	for (size_t i = 0; i < COUNT(variables); i++)
		if (values[i] != NULL)
			assert_int_equal(setenv(variables[i], values[i], 1), 0);
		else
			assert_int_equal(unsetenv(variables[i]), 0);
}

static inline int
clear_variables(void **unused)
{
	(void)unused;
	set_variables(NULL, NULL, NULL, NULL);
	return 0;
}

#endif
