/*
 * The device authorization endpoint's answer, then polls: a line of input
 * each, whose first byte chooses the status.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const long statuses[] = { 200, 400, 401, 404, 429, 503, 302, 0 };

#define T0 INT64_C(1000)

/* What is shown at a terminal is printable, whoever sent it. */
static void
check_word(const char *s, size_t max)
{
	if (strlen(s) > max)
		abort();
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			abort();
}

static void
check(const struct device *d, int64_t now)
{
	struct diag why = DIAG_INIT;

	if ((d->state == DEVICE_WAITING) != (d->code.len > 0))
		abort();
	if (d->state == DEVICE_FAILED && d->why.text[0] == '\0')
		abort();
	if (d->state != DEVICE_WAITING)
		return;
	check_word(d->user_code, DEVICE_USER_CODE_MAX);
	check_word(d->uri, DEVICE_URI_MAX);
	check_word(d->uri_complete, DEVICE_URI_MAX);
	if (d->user_code[0] == '\0' ||
	    provider_check_url(d->uri, false, &why) < 0 ||
	    d->interval_ms < 1000 || d->interval_ms > DEVICE_INTERVAL_MAX_MS ||
	    d->end_ms > T0 + DEVICE_LIFE_MAX_S * 1000 ||
	    d->poll_ms > now + 3600 * 1000)
		abort();
}

/* Without a NUL behind it. */
static char *
line(const uint8_t **data, size_t *left, size_t *len)
{
	const uint8_t *end = memchr(*data, '\n', *left);
	char *copy;

	*len = end != NULL ? (size_t)(end - *data) : *left;
	copy = malloc(*len + (*len == 0));
	if (copy != NULL)
		memcpy(copy, *data, *len);
	*data += *len + (end != NULL);
	*left -= *len + (end != NULL);
	return copy;
}

static void
poll_all(struct device *d, const uint8_t *data, size_t size)
{
	struct oauth2_tokens t = OAUTH2_TOKENS_INIT;

	while (d->state == DEVICE_WAITING && size > 0) {
		int64_t now = device_due_ms(d);
		size_t len;
		char *body;

		if (!device_poll(d, now))
			break;
		body = line(&data, &size, &len);
		if (body == NULL)
			break;
		if (len > 0)
			device_answered(d, now, statuses[body[0] & 7],
			    body[0] & 127, body + 1, len - 1, &t);
		else
			device_unanswered(
			    d, now, &(struct diag){ .kind = DIAG_RETRY });
		free(body);
		if ((d->state == DEVICE_DONE) != (t.access_token.len > 0))
			abort();
		check(d, now);
	}
	oauth2_tokens_wipe(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct device d = { .state = DEVICE_FAILED };
	struct diag why = DIAG_INIT;
	size_t len;
	char *body = line(&data, &size, &len);

	if (body == NULL)
		return 0;
	if (device_start(&d, 200, 0, body, len, false, T0, &why) == 0) {
		check(&d, T0);
		poll_all(&d, data, size);
	} else if (why.text[0] == '\0' || d.code.len > 0) {
		abort();
	}
	free(body);
	device_wipe(&d);
	return 0;
}
