#include "setting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#define WORDS_MAX     64
#define SOCKETS_MAX   32
#define SUN_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

void *
setting_field(const struct setting_into *into, const struct setting *s)
{
	return (char *)into->object + s->where;
}

static int
set_copy(char **slot, const char *value, struct diag *reterr)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return diag_nomem(reterr);
	free(*slot);
	*slot = copy;
	return 0;
}

int
setting_borrowed(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	const char **slot = setting_field(into, s);

	(void)reterr;
	*slot = value;
	return 0;
}

int
setting_word(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	if (strpbrk(value, " \t") != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "must be one word: take the blank out");
	return set_copy(setting_field(into, s), value, reterr);
}

int
setting_check_name(const char *value, bool apostrophe, struct diag *reterr)
{
	for (const char *p = value; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"\\`", *p) != NULL ||
		    (*p == '\'' && !apostrophe))
			return diag_set(reterr, DIAG_CONFIG,
			    "must be printable ASCII without blanks, quotes "
			    "and backslashes");
	return 0;
}

int
setting_name(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	if (setting_check_name(value, false, reterr) < 0)
		return -1;
	return set_copy(setting_field(into, s), value, reterr);
}

int
setting_path(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	if (value[0] != '/')
		return diag_set(reterr, DIAG_CONFIG,
		    "must be an absolute path: let it begin with /");
	return set_copy(setting_field(into, s), value, reterr);
}

/* Returns the seconds of one unit, or 0. */
static int64_t
unit_seconds(const char *s)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "min", 60 }, { "h", 3600 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].name, s) == 0)
			return units[i].seconds;
	return 0;
}

/* Nine digits: no product of it and a unit overflows. */
static bool
read_number(const char *value, int64_t *ret, const char **rest)
{
	size_t digits = strspn(value, "0123456789");
	int64_t n = 0;

	if (digits == 0 || digits > 9)
		return false;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (value[i] - '0');
	*ret = n;
	*rest = value + digits + strspn(value + digits, " \t");
	return true;
}

int
setting_seconds(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	int64_t *slot = setting_field(into, s);
	int64_t n, unit;
	const char *rest;

	if (!read_number(value, &n, &rest) ||
	    (unit = unit_seconds(rest)) == 0 || n * unit < s->min ||
	    n * unit > s->max)
		return diag_set(reterr, DIAG_CONFIG,
		    "must be from %" PRId64 " to %" PRId64
		    " seconds: write a whole number, perhaps with s, min or h",
		    s->min, s->max);
	*slot = n * unit;
	return 0;
}

int
setting_count(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	unsigned *slot = setting_field(into, s);
	const char *rest;
	int64_t n;

	if (!read_number(value, &n, &rest) || *rest != '\0' || n < s->min ||
	    n > s->max)
		return diag_set(reterr, DIAG_CONFIG,
		    "must be a whole number from %" PRId64 " to %" PRId64,
		    s->min, s->max);
	*slot = (unsigned)n;
	return 0;
}

int
setting_date(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	int64_t *slot = setting_field(into, s);
	struct tm t = { .tm_isdst = 0 };
	int month = 0, day = 0, end = 0;
	time_t when;

	/* timegm() would take the 30th of February for a day of March. */
	if (strspn(value, "0123456789-") == 10 && strlen(value) == 10 &&
	    sscanf(value, "%4d-%2d-%2d%n", &t.tm_year, &month, &day, &end) ==
		3 &&
	    end == 10 && t.tm_year >= 1970) {
		t.tm_year -= 1900;
		t.tm_mon = month - 1;
		t.tm_mday = day;
		when = timegm(&t);
		if (when >= 0 && t.tm_mon == month - 1 && t.tm_mday == day) {
			*slot = when;
			return 0;
		}
	}
	return diag_set(reterr, DIAG_CONFIG,
	    "must be a day: write YYYY-MM-DD, as in 2027-03-31");
}

int
setting_yesno(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	bool *slot = setting_field(into, s);

	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return diag_set(reterr, DIAG_CONFIG, "must be yes or no");
	*slot = strcmp(value, "yes") == 0;
	return 0;
}

int
setting_rules(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	return rules_parse(value, setting_field(into, s), into->names, reterr);
}

void
words_free(char ***list)
{
	for (size_t i = 0; *list != NULL && (*list)[i] != NULL; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
}

/* The list holds SOCKETS_MAX paths and a NULL. */
static int
sockets_add(char **list, const char *path, size_t len, struct diag *reterr)
{
	size_t n = 0;

	if (path[0] != '/')
		return diag_set(reterr, DIAG_CONFIG,
		    "must be absolute paths separated by blanks");
	if (len >= SUN_PATH_SIZE)
		return diag_set(reterr, DIAG_CONFIG,
		    "has a path longer than a socket's may be (%zu bytes)",
		    SUN_PATH_SIZE - 1);
	for (; list[n] != NULL; n++)
		if (strlen(list[n]) == len && memcmp(list[n], path, len) == 0)
			return diag_set(reterr, DIAG_CONFIG,
			    "has a path twice: take one out");
	if (n == SOCKETS_MAX)
		return diag_set(
		    reterr, DIAG_CONFIG, "has more than %d paths", SOCKETS_MAX);
	list[n] = strndup(path, len);
	return list[n] != NULL ? 0 : diag_nomem(reterr);
}

int
sockets_parse(const char *text, char ***ret, struct diag *reterr)
{
	char **list = calloc(SOCKETS_MAX + 1, sizeof(*list));

	if (list == NULL)
		return diag_nomem(reterr);
	while (*(text += strspn(text, " \t")) != '\0') {
		size_t len = strcspn(text, " \t");

		if (sockets_add(list, text, len, reterr) < 0) {
			words_free(&list);
			return -1;
		}
		text += len;
	}
	words_free(ret);
	*ret = list;
	return 0;
}

int
setting_sockets(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	return sockets_parse(value, setting_field(into, s), reterr);
}

int
setting_words(const struct setting_into *into, const struct setting *s,
    const char *value, struct diag *reterr)
{
	char ***slot = setting_field(into, s);
	char **list = calloc(WORDS_MAX + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL)
		return diag_nomem(reterr);
	while (*(value += strspn(value, " \t")) != '\0') {
		size_t len = strcspn(value, " \t");

		if (n == WORDS_MAX) {
			words_free(&list);
			return diag_set(reterr, DIAG_CONFIG,
			    "has more than %d words", WORDS_MAX);
		}
		if ((list[n++] = strndup(value, len)) == NULL) {
			words_free(&list);
			return diag_nomem(reterr);
		}
		value += len;
	}
	words_free(slot);
	*slot = list;
	return 0;
}
