#include "xoauth2.h"

#include <stdbool.h>
#include <string.h>

#include "wire.h"

#define USER_MAX    1024 /* bytes; libsasl2 takes no more either */
#define VERDICT_MAX 300	 /* bytes of the server's words */

void
xoauth2_init(struct xoauth2 *m)
{
	m->state = XOAUTH2_START;
	m->verdict.kind = DIAG_OK;
	m->verdict.retry_after_s = 0;
	m->verdict.text[0] = '\0';
	buf_init(&m->out, XOAUTH2_MAX_BYTES);
}

void
xoauth2_wipe(struct xoauth2 *m)
{
	buf_wipe(&m->out);
	xoauth2_init(m);
}

/* Fields end with ^A: one that held it could add fields of its own. */
static int
check_fields(
    const char *user, size_t ulen, const struct secret *token, struct diag *ret)
{
	if (ulen == 0)
		return diag_set(ret, DIAG_CONFIG, "the user name is empty");
	if (ulen > USER_MAX)
		return diag_set(ret, DIAG_CONFIG,
		    "the user name is longer than %d bytes", USER_MAX);
	if (wire_text(user, ulen) == WIRE_TEXT_CONTROL)
		return diag_set(
		    ret, DIAG_CONFIG, "the user name has a control character");
	if (secret_empty(token))
		return diag_set(ret, DIAG_PROTO, "the access token is empty");
	if (token->len > XOAUTH2_MAX_BYTES - USER_MAX - 64)
		return diag_set(ret, DIAG_PROTO,
		    "the access token has %zu bytes, which is too long",
		    token->len);
	if (wire_text(token->ptr, token->len) != WIRE_TEXT_ASCII)
		return diag_set(ret, DIAG_PROTO,
		    "the access token has a byte that no token may have");
	return 0;
}

static char *
append(char *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static int
send_token(struct xoauth2 *m, const char *user, const struct secret *token,
    struct diag *reterr)
{
	static const char bearer[] = "\001auth=Bearer ";
	size_t ulen = strlen(user), size;
	char *at;

	if (check_fields(user, ulen, token, reterr) < 0)
		return -1;
	size = strlen("user=") + ulen + strlen(bearer) + token->len +
	       strlen("\001\001");
	if ((at = buf_room(&m->out, size)) == NULL) {
		buf_wipe(&m->out);
		return diag_nomem(reterr);
	}
	at = append(at, "user=", strlen("user="));
	at = append(at, user, ulen);
	at = append(at, bearer, strlen(bearer));
	at = append(at, token->ptr, token->len);
	(void)append(at, "\001\001", strlen("\001\001"));
	m->out.len = size;
	m->state = XOAUTH2_SENT;
	return 0;
}

static void
hear_verdict(struct xoauth2 *m, const char *in, size_t inlen)
{
	size_t n = inlen < VERDICT_MAX ? inlen : VERDICT_MAX;

	if (inlen == 0) {
		m->state = XOAUTH2_DONE;
		return;
	}
	while (n > 0 && (in[n - 1] == '\n' || in[n - 1] == '\r'))
		n--;
	m->state = XOAUTH2_REFUSED;
	(void)diag_set(&m->verdict, DIAG_REAUTH, "%.*s%s", (int)n, in,
	    inlen > VERDICT_MAX ? "..." : "");
}

int
xoauth2_step(struct xoauth2 *m, const char *user, const struct secret *token,
    const char *in, size_t inlen, struct diag *reterr)
{
	buf_wipe(&m->out);

	switch (m->state) {
	case XOAUTH2_START:
		return send_token(m, user, token, reterr);
	case XOAUTH2_SENT:
		hear_verdict(m, in, inlen);
		return 0;
	case XOAUTH2_REFUSED:
	case XOAUTH2_DONE:
		break;
	}
	return diag_set(reterr, DIAG_PROTO,
	    "the server goes on after the end of the exchange");
}
