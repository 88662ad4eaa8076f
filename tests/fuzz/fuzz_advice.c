/*
 * Anything as the text of a log, and as the words of a refusal: the first
 * byte chooses the status, lines are error, suberror, description, trace.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "advice_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const long statuses[] = { 400, 401, 429, 503, 200, 0, 404, 407 };

/* One printable line in which nothing could be a credential. */
static void
check_text(const char *text)
{
	size_t run = 0;

	if (*text == '\0')
		abort();
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e)
			abort();
		run = strchr(" :;,()'\"?!", *text) == NULL ? run + 1 : 0;
		if (run >= 64)
			abort();
	}
}

static void
check_row(const struct advice *a, const char *text)
{
	if (a == NULL)
		return;
	check_text(a->key);
	if (*a->cause == '\0' || *a->todo == '\0')
		abort();
	if (advice_kind(a, text) == DIAG_OK)
		abort();
}

static void
check_refusal(long status, const struct refusal *r)
{
	struct diag d = DIAG_INIT;
	const char *s;
	size_t run = 0;

	if (advice_refusal(status, 99999, r, &d) != -1 ||
	    (d.kind != DIAG_RETRY && d.kind != DIAG_REAUTH &&
		d.kind != DIAG_CONFIG) ||
	    d.retry_after_s < 0 || d.retry_after_s > ADVICE_RETRY_AFTER_MAX_S)
		abort();
	for (s = d.text; *s != '\0'; s++) {
		if (*s < 0x20 || *s > 0x7e)
			abort();
		run = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			     "uvwxyz0123456789._~+/=-",
			  *s) != NULL ?
			  run + 1 :
			  0;
		/* A text that was cut has "..." behind it. */
		if (run >= 40 + strlen("..."))
			abort(); /* it could be a token */
	}
	if (strlen(d.text) > 510 || strstr(d.text, "provider says ") != d.text)
		abort();
	check_row(advice_explain(d.text), d.text);
	advice_name(&d, "*@contoso.example");
	(void)diag_wrap(&d, "account *@contoso.example");
	if (strlen(d.text) >= sizeof(d.text) - 1)
		abort(); /* the end, which helps, was cut */
	check_row(advice_explain(d.text), d.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal r = { .error = "" };
	char *text, *rest, *line[4] = { NULL };

	if (size == 0 || (text = malloc(size)) == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	check_row(advice_explain(text), text);
	check_row(advice_mail(text), text);

	rest = text;
	for (size_t i = 0; i < 4 && rest != NULL; i++)
		line[i] = strsep(&rest, "\n");
	r.error = line[0];
	r.suberror = line[1];
	r.description = line[2];
	r.trace_id = line[3];
	r.number = data[0] & 0x80 ? 50000 + data[0] : 0;
	check_refusal(statuses[data[0] % 8], &r);
	free(text);
	return 0;
}
