#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHORTEST 4 /* less is no secret, and stands everywhere */

static const char *const names[] = {
	[DIAG_OK] = "ok",
	[DIAG_RETRY] = "retry",
	[DIAG_REAUTH] = "reauth",
	[DIAG_CONFIG] = "config",
	[DIAG_DENIED] = "denied",
	[DIAG_PROTO] = "proto",
	[DIAG_NOMEM] = "retry", /* more memory is a matter of time */
};
_Static_assert(
    sizeof(names) / sizeof(names[0]) == DIAG__COUNT, "a word for every kind");

/*
 * Takes over what vsnprintf() made of a text, n being its answer.  Anything
 * may be quoted in it, and it goes to logs: one printable line, and one that
 * was cut shows it.
 */
static void
keep(struct diag *d, const char *text, int n)
{
	size_t i;

	for (i = 0; n > 0 && i < sizeof(d->text) - 1 && text[i] != '\0'; i++)
		d->text[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	d->text[i] = '\0';
	if (n > 0 && (size_t)n >= sizeof(d->text))
		memcpy(d->text + sizeof(d->text) - 4, "...", 4);
}

int
diag_set(struct diag *d, enum diag_kind kind, const char *fmt, ...)
{
	char text[sizeof(d->text)] = ""; /* an argument may be d->text itself */
	va_list ap;

	va_start(ap, fmt);
	keep(d, text, vsnprintf(text, sizeof(text), fmt, ap));
	va_end(ap);
	d->kind = kind;
	d->retry_after_s = 0;
	d->once = false;
	d->provider = false;
	return -1;
}

int
diag_wrap(struct diag *d, const char *fmt, ...)
{
	char text[2 * sizeof(d->text)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(d->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return -1;
	if ((size_t)n >= sizeof(d->text))
		n = sizeof(d->text) - 1;
	n += snprintf(text + n, sizeof(text) - (size_t)n, ": %s", d->text);
	keep(d, text, n);
	return -1;
}

int
diag_nomem(struct diag *d)
{
	return diag_set(d, DIAG_NOMEM, "out of memory");
}

const char *
diag_kind_name(enum diag_kind kind)
{
	return names[kind];
}

bool
diag_kind_parse(const char *word, enum diag_kind *ret)
{
	for (unsigned k = 0; k < DIAG__COUNT; k++)
		if (strcmp(names[k], word) == 0) {
			*ret = (enum diag_kind)k;
			return true;
		}
	return false;
}

static bool
has_part(const char *secret, size_t len, const char *text, size_t n)
{
	return memmem(secret, len, text, n) != NULL;
}

/* How many characters of the secret the text begins with; 0: too few. */
static size_t
echoed(const char *text, const char *secret, size_t len)
{
	size_t n = len < DIAG_ECHO ? len : DIAG_ECHO;

	if (n < SHORTEST || strlen(text) < n || !has_part(secret, len, text, n))
		return 0;
	while (n >= DIAG_ECHO && text[n] != '\0' &&
	       has_part(secret, len, text + n + 1 - DIAG_ECHO, DIAG_ECHO))
		n++;
	return n;
}

void
diag_hide(struct diag *d, const char *secret, size_t n)
{
	char *to = d->text;
	size_t run;

	for (const char *from = d->text; *from != '\0';) {
		if ((run = echoed(from, secret, n)) == 0) {
			*to++ = *from++;
			continue;
		}
		/* Never more than what it stands for: SHORTEST > 3. */
		memcpy(to, "***", 3);
		to += 3;
		from += run;
	}
	memset(to, '\0', (size_t)(d->text + sizeof(d->text) - to));
}
