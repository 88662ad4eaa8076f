/* cli_section.c - a section of the configuration, key by key. */
#include "cli_section.h"

#include <stdlib.h>
#include <string.h>

#include "provider.h"

void
section_free(struct section *s)
{
	for (size_t i = 0; i < SETTING_MAX; i++)
		free(s->value[i]);
	*s = (struct section){ 0 };
}

/* '-' and '_' are the same. */
static bool
same_key(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (*a != *b && !(*a == '_' && *b == '-'))
			return false;
	return *a == *b;
}

/* Negative: there is none. */
static int
row_of(const char *key)
{
	for (size_t i = 0; i < account_n_settings; i++)
		if (same_key(account_settings[i].key, key))
			return (int)i;
	return -1;
}

/* What would not come back as it is when the file is read. */
static int
check_line(const char *value, struct diag *reterr)
{
	if (*value == '\0' || *value == ' ' || *value == '\t' || *value == ';')
		return diag_set(reterr, DIAG_CONFIG,
		    "has no value, or one that begins with a blank or ;");
	for (const char *c = value; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return diag_set(reterr, DIAG_CONFIG,
			    "has a control character: a value is one line");
		if (*c == ' ' && (c[1] == ';' || c[1] == '\0'))
			return diag_set(reterr, DIAG_CONFIG,
			    "ends in a blank, or would end where a blank and "
			    "; begin a comment");
	}
	return 0;
}

/* What the configuration's reader says of this value alone. */
static int
check_value(size_t row, const char *value, struct diag *reterr)
{
	struct rules_names *names = NULL;
	struct account_draft draft;
	struct setting_into into = { &draft, &names };
	int rc;

	account_draft_init(&draft, NULL, 0);
	rc = account_settings[row].set(
	    &into, &account_settings[row], value, reterr);
	account_draft_wipe(&draft);
	rules_names_free(&names);
	return rc;
}

int
section_set(
    struct section *s, const char *key, const char *value, struct diag *reterr)
{
	int row = row_of(key);
	char *copy;

	if (row < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "there is no key '%.40s': see mailtoken.conf(5)", key);
	if (s->value[row] != NULL)
		return diag_set(reterr, DIAG_CONFIG, "'%s' is given twice",
		    account_settings[row].key);
	if (check_line(value, reterr) < 0 ||
	    check_value((size_t)row, value, reterr) < 0)
		return reterr->kind == DIAG_NOMEM ?
			   -1 :
			   diag_wrap(reterr, "'%s'", account_settings[row].key);
	if ((copy = strdup(value)) == NULL)
		return diag_nomem(reterr);
	s->value[row] = copy;
	return 0;
}

const char *
section_get(const struct section *s, const char *key)
{
	int row = row_of(key);

	return row < 0 ? NULL : s->value[row];
}

bool
section_is(const struct section *s, const char *key, const char *value)
{
	const char *is = section_get(s, key);

	return is != NULL && strcmp(is, value) == 0;
}

enum grant_type
section_grant(const struct section *s)
{
	const char *provider = section_get(s, "provider");
	const struct provider_info *info =
	    provider != NULL ? provider_info(provider) : NULL;
	enum grant_type g = GRANT__COUNT;

	if (section_get(s, "grant") != NULL)
		(void)grant_name_parse(section_get(s, "grant"), &g);
	else if (info != NULL &&
		 (info->grants & 1U << GRANT_CLIENT_CREDENTIALS) == 0)
		g = GRANT_REFRESH_TOKEN;
	return g;
}

void
section_format(const struct section *s, struct buf *b)
{
	buf_adds(b, "[account ");
	buf_adds(b, s->account);
	buf_adds(b, "]\n");
	for (size_t i = 0; i < account_n_settings; i++) {
		if (s->value[i] == NULL)
			continue;
		buf_adds(b, account_settings[i].key);
		buf_adds(b, " = ");
		buf_adds(b, s->value[i]);
		buf_adds(b, "\n");
	}
}
