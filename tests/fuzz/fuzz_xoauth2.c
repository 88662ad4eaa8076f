/*
 * A mail server's challenge, behind a login: the first byte chooses the
 * mechanism; then the user's name, a NUL, the token, a NUL, the challenge.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xoauth2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes before the next NUL, and the input behind it. */
static char *
part(const uint8_t **data, size_t *left, struct secret *ret)
{
	const uint8_t *end = memchr(*data, '\0', *left);
	size_t n = end != NULL ? (size_t)(end - *data) : *left;

	if (!secret_set(ret, (const char *)*data, n))
		return NULL;
	*data += n + (end != NULL);
	*left -= n + (end != NULL);
	return ret->ptr;
}

/* Nobody has added a field: each ends with ^A, and there is one more. */
static void
check_response(const struct xoauth2 *m, size_t fields)
{
	size_t n = 0;

	for (size_t i = 0; i < m->out.len; i++)
		n += m->out.ptr[i] == '\001';
	if (n != fields + 1 || m->state != XOAUTH2_SENT ||
	    m->out.len > XOAUTH2_MAX_BYTES)
		abort();
}

static void
check_refused(const struct xoauth2 *m)
{
	if (m->state != XOAUTH2_REFUSED || m->verdict.kind != DIAG_REAUTH ||
	    strlen(m->verdict.text) > 400 || m->out.len != m->bearer)
		abort();
	for (const char *s = m->verdict.text; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			abort();
}

static void
talk(struct xoauth2 *m, size_t fields, const uint8_t *data, size_t size)
{
	struct secret user = SECRET_INIT, token = SECRET_INIT;
	const char *name = part(&data, &size, &user);
	struct diag d = DIAG_INIT;
	char *challenge = malloc(size > 0 ? size : 1); /* exact, for ASan */

	if (name != NULL && part(&data, &size, &token) != NULL &&
	    challenge != NULL &&
	    xoauth2_step(m, name, &token, NULL, 0, &d) == 0) {
		check_response(m, fields);
		memcpy(challenge, data, size);
		if (xoauth2_step(m, NULL, NULL, challenge, size, &d) < 0)
			abort();
		if (size > 0)
			check_refused(m);
		else if (m->state != XOAUTH2_DONE)
			abort();
		if (xoauth2_step(m, NULL, NULL, challenge, size, &d) != -1)
			abort();
	} else if (d.kind != DIAG_CONFIG && d.kind != DIAG_PROTO) {
		abort();
	}
	free(challenge);
	secret_wipe(&user);
	secret_wipe(&token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xoauth2 m;
	bool bearer = size > 0 && (data[0] & 1) != 0;
	bool host = size > 0 && (data[0] & 2) != 0;
	unsigned port = size > 0 ? data[0] & 4 : 0;

	if (size == 0)
		return 0;
	if (bearer)
		oauthbearer_init(&m, host ? "imap.example.com" : NULL, port);
	else
		xoauth2_init(&m);
	talk(&m, bearer ? 2U + host + (port != 0) : 2U, data + 1, size - 1);
	xoauth2_wipe(&m);
	return 0;
}
