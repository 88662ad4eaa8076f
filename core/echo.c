#include "echo.h"

#include <string.h>

#include "form.h"

static const char *const secret_keys[] = { "client_secret", "refresh_token",
	"assertion", "client_assertion", "code", "code_verifier", "device_code",
	"token" };

/* As it was encoded in the request, and before. */
static bool
hide_both(const struct secret *s, struct diag *d)
{
	auto_buf struct buf sent = BUF_INIT(3 * s->len);

	form_encode(&sent, s->ptr, s->len);
	diag_hide(d, sent.ptr, sent.len);
	diag_hide(d, s->ptr, s->len);
	return !sent.failed;
}

/* "Basic " and the base64 of ID:SECRET, both encoded as in a form. */
static bool
hide_basic(const struct secret *authorization, struct diag *d)
{
	const size_t at = strlen("Basic ");
	auto_buf struct buf pair = BUF_INIT(authorization->len);
	auto_buf struct buf form = BUF_INIT(authorization->len + 8);
	auto_secret struct secret s = SECRET_INIT;
	const char *colon;

	if (authorization->len <= at)
		return true;
	diag_hide(d, authorization->ptr + at, authorization->len - at);
	if (!base64_decode(
		&pair, authorization->ptr + at, authorization->len - at) ||
	    (colon = memchr(pair.ptr, ':', pair.len)) == NULL)
		return !pair.failed;
	buf_adds(&form, "secret=");
	buf_add(&form, colon + 1, pair.len - 1 - (size_t)(colon - pair.ptr));
	return !form.failed &&
	       form_get(form.ptr, form.len, "secret", &s) == 1 &&
	       hide_both(&s, d);
}

int
echo_hide_request(const struct oauth2_request *sent, struct diag *d)
{
	for (size_t i = 0; i < sizeof(secret_keys) / sizeof(secret_keys[0]);
	     i++) {
		auto_secret struct secret s = SECRET_INIT;
		int rc = form_get(
		    sent->body.ptr, sent->body.len, secret_keys[i], &s);

		if (rc < 0 || (rc > 0 && !hide_both(&s, d)))
			return diag_nomem(d);
	}
	if (!hide_basic(&sent->authorization, d))
		return diag_nomem(d);
	return -1;
}
