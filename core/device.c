#include "device.h"

#include <string.h>

#include "json.h"
#include "provider.h"

static const char again[] = "run mailtoken login again";

/* What ends the wait, other than what any token request may hear. */
static const struct {
	const char *error, *text;
} ends[] = {
	{ "access_denied", "the login was declined at the provider" },
	{ "authorization_declined", "the login was declined at the provider" },
	{ "expired_token", "the code ran out before anybody logged in" },
	{ "bad_verification_code", "the provider does not know the code" },
};

void
device_wipe(struct device *d)
{
	secret_wipe(&d->code);
	*d = (struct device){ .state = DEVICE_FAILED };
}

static void
fail(struct device *d, const struct diag *why)
{
	secret_wipe(&d->code);
	d->state = DEVICE_FAILED;
	d->why = *why;
}

static void
fail_with(struct device *d, const char *text)
{
	struct diag why = DIAG_INIT;

	(void)diag_set(&why, DIAG_REAUTH, "%s: %s", text, again);
	fail(d, &why);
}

/* Printable, without blanks, not empty, and it fits into to[max + 1]. */
static bool
copy_word(char *to, size_t max, const char *from)
{
	size_t n = from != NULL ? strlen(from) : 0;

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if (from[i] <= ' ' || from[i] > '~')
			return false;
	memcpy(to, from, n + 1);
	return true;
}

static bool
copy_uri(char *to, const char *from, bool insecure_http)
{
	struct diag ignored = DIAG_INIT;

	if (!copy_word(to, DEVICE_URI_MAX, from))
		return false;
	if (provider_check_url(to, insecure_http, &ignored) == 0)
		return true;
	*to = '\0';
	return false;
}

static int64_t
clamp(int64_t n, int64_t least, int64_t most)
{
	return n < least ? least : n > most ? most : n;
}

/* Google has its own name for the URI. */
static bool
read_what_to_show(struct device *d, const struct json *o, bool insecure_http)
{
	const char *uri = json_str(o, "verification_uri");

	if (uri == NULL)
		uri = json_str(o, "verification_url");
	(void)copy_uri(d->uri_complete,
	    json_str(o, "verification_uri_complete"), insecure_http);
	return copy_uri(d->uri, uri, insecure_http) &&
	       copy_word(d->user_code, DEVICE_USER_CODE_MAX,
		   json_str(o, "user_code"));
}

static int
read_start(struct device *d, const struct json *o, bool insecure_http,
    int64_t now, struct diag *reterr)
{
	char code[OAUTH2_TOKEN_MAX / 4 + 1];
	int64_t interval_s = DEVICE_INTERVAL_MS / 1000, life_s = DEVICE_LIFE_S;
	bool good, kept;

	good = read_what_to_show(d, o, insecure_http) &&
	       copy_word(code, sizeof(code) - 1, json_str(o, "device_code"));
	if (!good)
		return diag_set(reterr, DIAG_CONFIG,
		    "the provider's answer has no code or no page to type it "
		    "in: is device_authorization_endpoint right?");
	kept = secret_set(&d->code, code, strlen(code));
	secret_erase(code, sizeof(code));
	if (!kept)
		return diag_nomem(reterr);
	(void)json_int(o, "interval", &interval_s);
	(void)json_int(o, "expires_in", &life_s);
	d->interval_ms =
	    clamp(interval_s, 1, DEVICE_INTERVAL_MAX_MS / 1000) * 1000;
	d->poll_ms = now + d->interval_ms;
	d->end_ms = now + clamp(life_s, 1, DEVICE_LIFE_MAX_S) * 1000;
	d->state = DEVICE_WAITING;
	return 0;
}

/* The endpoint refused: its answer is like the token endpoint's. */
static int
refused(long http_status, int64_t retry_after_s, const char *body, size_t len,
    struct diag *reterr)
{
	struct oauth2_tokens none = OAUTH2_TOKENS_INIT;
	int rc = oauth2_parse_tokens(
	    http_status, retry_after_s, body, len, &none, reterr);

	oauth2_tokens_wipe(&none);
	if (rc < 0)
		return -1;
	return diag_set(reterr, DIAG_CONFIG,
	    "the provider answered with tokens where a code was asked for: is "
	    "device_authorization_endpoint right?");
}

int
device_start(struct device *ret, long http_status, int64_t retry_after_s,
    const char *body, size_t len, bool insecure_http, int64_t now,
    struct diag *reterr)
{
	auto_json struct json *o = json_read(body, len, OAUTH2_ANSWER_MAX);
	struct device d = { .state = DEVICE_FAILED };
	const char *error = json_str(o, "error");

	if (o == NULL || http_status < 200 || http_status >= 300 ||
	    (error != NULL && *error != '\0'))
		return refused(http_status, retry_after_s, body, len, reterr);
	if (read_start(&d, o, insecure_http, now, reterr) < 0)
		return -1;
	device_wipe(ret);
	*ret = d;
	return 0;
}

int64_t
device_due_ms(const struct device *d)
{
	return d->poll_ms < d->end_ms ? d->poll_ms : d->end_ms;
}

bool
device_poll(struct device *d, int64_t now)
{
	if (d->state != DEVICE_WAITING || d->asking)
		return false;
	if (now >= d->end_ms) {
		fail_with(d, "the code ran out before anybody logged in");
		return false;
	}
	if (now < d->poll_ms)
		return false;
	d->asking = true;
	return true;
}

static void
wait_more(struct device *d, int64_t now, int64_t interval_ms)
{
	d->interval_ms = clamp(interval_ms, 1000, DEVICE_INTERVAL_MAX_MS);
	d->poll_ms = now + d->interval_ms;
}

/* Section 3.5: twice the interval; later still if the provider says so. */
static void
back_off(struct device *d, int64_t now, int64_t retry_after_s)
{
	wait_more(d, now, 2 * d->interval_ms);
	if (retry_after_s > d->interval_ms / 1000)
		d->poll_ms = now + clamp(retry_after_s, 0, 3600) * 1000;
}

void
device_unanswered(struct device *d, int64_t now, const struct diag *why)
{
	d->asking = false;
	if (why->kind == DIAG_RETRY)
		back_off(d, now, why->retry_after_s);
	else
		fail(d, why);
}

/* True if that word said it all. */
static bool
take_error(struct device *d, int64_t now, const char *error)
{
	if (error == NULL)
		return false;
	if (strcmp(error, "authorization_pending") == 0) {
		wait_more(d, now, d->interval_ms);
		return true;
	}
	if (strcmp(error, "slow_down") == 0) {
		wait_more(d, now, d->interval_ms + DEVICE_SLOW_DOWN_MS);
		return true;
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(error, ends[i].error) == 0) {
			fail_with(d, ends[i].text);
			return true;
		}
	return false;
}

void
device_answered(struct device *d, int64_t now, long http_status,
    int64_t retry_after_s, const char *body, size_t len,
    struct oauth2_tokens *ret)
{
	auto_json struct json *o = json_read(body, len, OAUTH2_ANSWER_MAX);
	struct diag why = DIAG_INIT;

	d->asking = false;
	if (take_error(d, now, json_str(o, "error")))
		return;
	if (oauth2_parse_tokens(
		http_status, retry_after_s, body, len, ret, &why) < 0) {
		if (why.kind == DIAG_RETRY)
			back_off(d, now, why.retry_after_s);
		else
			fail(d, &why);
		return;
	}
	secret_wipe(&d->code);
	d->state = DEVICE_DONE;
}
