/* Certificates and keys in PEM: read or refused, with nobody asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct assertion_cert *
cert(const char *pem, size_t size)
{
	struct diag d = DIAG_INIT;
	struct assertion_cert *c =
	    assertion_cert_parse(pem, size, "cert.pem", &d);
	char hex[41] = "";

	if ((c == NULL) != (d.kind == DIAG_CONFIG))
		abort();
	if (c != NULL) {
		(void)assertion_cert_expires_at(c);
		assertion_cert_thumbprint(c, hex);
		if (strlen(hex) != 40)
			abort();
	}
	return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret pem = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct assertion_cert *c;
	struct assertion_key *k;

	/* Large numbers take long to check; a file has its limit, too. */
	if (size > 8192 || !secret_set(&pem, (const char *)data, size))
		return 0;
	c = cert(pem.ptr, pem.len);
	k = assertion_key_parse(&pem, &d);
	if ((k == NULL) != (d.kind == DIAG_CONFIG))
		abort();
	if (c != NULL && k != NULL)
		(void)assertion_cert_matches(c, k, &d);
	assertion_key_free(&k);
	assertion_cert_free(&c);
	secret_wipe(&pem);
	return 0;
}
