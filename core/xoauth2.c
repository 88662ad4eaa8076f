#include "xoauth2.h"

#include <stdio.h>
#include <string.h>

#include "wire.h"

#define USER_MAX 1024 /* bytes; libsasl2 takes no more either */
#define HOST_MAX 255
/* All but the token: each byte of the user may become three. */
#define OVERHEAD    (3 * USER_MAX + HOST_MAX + 128)
#define VERDICT_MAX 300 /* bytes of the server's words */

static const char auth_bearer[] = "\001auth=Bearer ";

static void
start(struct xoauth2 *m, bool bearer, const char *host, unsigned port)
{
	m->state = XOAUTH2_START;
	m->bearer = bearer;
	m->host = host;
	m->port = port;
	m->verdict.kind = DIAG_OK;
	m->verdict.retry_after_s = 0;
	m->verdict.text[0] = '\0';
	buf_init(&m->out, XOAUTH2_MAX_BYTES);
}

void
xoauth2_init(struct xoauth2 *m)
{
	start(m, false, NULL, 0);
}

void
oauthbearer_init(struct xoauth2 *m, const char *host, unsigned port)
{
	start(m, true, host, port);
}

void
xoauth2_wipe(struct xoauth2 *m)
{
	buf_wipe(&m->out);
	start(m, m->bearer, m->host, m->port);
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
	if (token->len > XOAUTH2_MAX_BYTES - OVERHEAD)
		return diag_set(ret, DIAG_PROTO,
		    "the access token has %zu bytes, which is too long",
		    token->len);
	if (wire_text(token->ptr, token->len) != WIRE_TEXT_ASCII)
		return diag_set(ret, DIAG_PROTO,
		    "the access token has a byte that no token may have");
	return 0;
}

static int
check_host(const char *host, struct diag *ret)
{
	size_t n = host != NULL ? strlen(host) : 0;

	if (n > HOST_MAX || wire_text(host, n) != WIRE_TEXT_ASCII)
		return diag_set(ret, DIAG_CONFIG,
		    "the server's name is longer than %d bytes or has a byte "
		    "that no name may have",
		    HOST_MAX);
	return 0;
}

static char *
append(char *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/* RFC 5801: "," and "=" would end or change the name. */
static char *
append_saslname(char *at, const char *user, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (user[i] == ',')
			at = append(at, "=2C", 3);
		else if (user[i] == '=')
			at = append(at, "=3D", 3);
		else
			*at++ = user[i];
	}
	return at;
}

/* What comes before the token: "user=..." */
static char *
append_user(char *at, const char *user, size_t ulen)
{
	at = append(at, "user=", strlen("user="));
	return append(at, user, ulen);
}

/* ... or "n,a=...," and where the client thinks that it is connected to. */
static char *
append_gs2(char *at, const struct xoauth2 *m, const char *user, size_t ulen)
{
	char port[24];
	int n;

	at = append(at, "n,a=", strlen("n,a="));
	at = append_saslname(at, user, ulen);
	at = append(at, ",", 1);
	if (m->host != NULL) {
		at = append(at, "\001host=", strlen("\001host="));
		at = append(at, m->host, strlen(m->host));
	}
	if (m->port != 0) {
		n = snprintf(port, sizeof(port), "\001port=%u", m->port);
		at = append(at, port, n > 0 ? (size_t)n : 0);
	}
	return at;
}

/* The most that append_gs2() can take. */
static size_t
gs2_size(const struct xoauth2 *m, size_t ulen)
{
	return strlen("n,a=,\001host=\001port=") + 3 * ulen +
	       (m->host != NULL ? strlen(m->host) : 0) + 10;
}

static int
send_token(struct xoauth2 *m, const char *user, const struct secret *token,
    struct diag *reterr)
{
	size_t ulen = strlen(user), size;
	char *at;

	if (check_fields(user, ulen, token, reterr) < 0 ||
	    check_host(m->host, reterr) < 0)
		return -1;
	size = m->bearer ? gs2_size(m, ulen) : strlen("user=") + ulen;
	size += strlen(auth_bearer) + token->len + strlen("\001\001");
	if ((at = buf_room(&m->out, size)) == NULL) {
		buf_wipe(&m->out);
		return diag_nomem(reterr);
	}
	at = m->bearer ? append_gs2(at, m, user, ulen) :
			 append_user(at, user, ulen);
	at = append(at, auth_bearer, strlen(auth_bearer));
	at = append(at, token->ptr, token->len);
	at = append(at, "\001\001", strlen("\001\001"));
	m->out.len = (size_t)(at - m->out.ptr);
	m->state = XOAUTH2_SENT;
	return 0;
}

/* Some servers quote what they were told. */
static void
hide_token(struct xoauth2 *m)
{
	const size_t skip = strlen(auth_bearer), end = strlen("\001\001");
	const char *auth =
	    m->out.len > 0 ? memmem(m->out.ptr, m->out.len, auth_bearer, skip) :
			     NULL;
	size_t n;

	if (auth == NULL)
		return;
	n = m->out.len - (size_t)(auth - m->out.ptr);
	if (n > skip + end)
		diag_hide(&m->verdict, auth + skip, n - skip - end);
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
	hide_token(m);
}

int
xoauth2_step(struct xoauth2 *m, const char *user, const struct secret *token,
    const char *in, size_t inlen, struct diag *reterr)
{
	switch (m->state) {
	case XOAUTH2_START:
		return send_token(m, user, token, reterr);
	case XOAUTH2_SENT:
		hear_verdict(m, in, inlen);
		buf_wipe(&m->out);
		if (m->bearer && m->state == XOAUTH2_REFUSED)
			buf_add(&m->out, "\001", 1);
		return m->out.failed ? diag_nomem(reterr) : 0;
	case XOAUTH2_REFUSED:
	case XOAUTH2_DONE:
		buf_wipe(&m->out);
		break;
	}
	return diag_set(reterr, DIAG_PROTO,
	    "the server goes on after the end of the exchange");
}
