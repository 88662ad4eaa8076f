#include "advice_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM	    "mailtoken "
#define PLACEHOLDER "ACCOUNT"

/* Is p behind "mailtoken VERB ", as far back as text goes? */
static bool
is_argument(const char *text, const char *p)
{
	const char *verb;

	if (p == text || *--p != ' ')
		return false;
	for (verb = p; verb > text && islower((unsigned char)verb[-1]); verb--)
		;
	return verb < p && (size_t)(verb - text) >= strlen(PROGRAM) &&
	       strncmp(verb - strlen(PROGRAM), PROGRAM, strlen(PROGRAM)) == 0;
}

static bool
is_placeholder(const char *text, const char *p)
{
	char next = p[strlen(PLACEHOLDER)];

	return !isalnum((unsigned char)next) && next != '_' &&
	       is_argument(text, p);
}

/* Nothing that a shell would take for more than itself; zsh has =COMMAND. */
static bool
is_plain(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) &&
		    strchr("@.-_+=,%", *name) == NULL)
			return false;
	return true;
}

const char *
advice_word(const char *account, char ret[static ADVICE_WORD_MAX])
{
	const char *quote;

	if (account == NULL || strchr(account, '\'') != NULL ||
	    (!wire_account_ok(account) && !wire_pattern_ok(account)))
		account = PLACEHOLDER;
	quote = is_plain(account) ? "" : "'";
	(void)snprintf(ret, ADVICE_WORD_MAX, "%s%s%s", quote, account, quote);
	return ret;
}

const char *
advice_named(const char *text, const char *account, char *ret, size_t size)
{
	const char *word = ADVICE_WORD(account), *from = text, *p;
	size_t len = 0;

	if (strcmp(word, PLACEHOLDER) == 0)
		return text;
	for (p = text; (p = strstr(p, PLACEHOLDER)) != NULL; p++) {
		int n;

		if (!is_placeholder(text, p))
			continue;
		n = snprintf(ret + len, size - len, "%.*s%s", (int)(p - from),
		    from, word);
		if (n < 0 || (size_t)n >= size - len)
			return text;
		len += (size_t)n;
		from = p + strlen(PLACEHOLDER);
	}
	if (from == text || strlen(from) >= size - len)
		return text;
	memcpy(ret + len, from, strlen(from) + 1);
	return ret;
}

void
advice_name(struct diag *d, const char *account)
{
	size_t front = strlen("account : ") + strlen(account);
	char text[sizeof(d->text)];

	if (front < sizeof(text) &&
	    advice_named(d->text, account, text, sizeof(text) - front) == text)
		memcpy(d->text, text, strlen(text) + 1);
}

void
advice_name_wrap(struct diag *d, const char *account)
{
	for (const char *p = d->text; (p = strstr(p, account)) != NULL; p++) {
		const char *start = p > d->text && p[-1] == '\'' ? p - 1 : p;

		if (!is_argument(d->text, start))
			return;
	}
	(void)diag_wrap(d, "account %s", account);
}

/* Does the text go on as the sentence does? */
static bool
goes_on(const char *text, const char *sentence)
{
	size_t hole = strlen(PLACEHOLDER);

	for (; *sentence != '\0'; text++, sentence++) {
		if (strncmp(sentence, PLACEHOLDER, hole) == 0) {
			for (size_t n = strcspn(text, " "); n > 0; n--)
				if (goes_on(text + n, sentence + hole))
					return true;
			return false;
		}
		if (*text != *sentence)
			return false;
	}
	return true;
}

bool
advice_name_is_in(const char *sentence, const char *text)
{
	for (; *text != '\0'; text++)
		if (goes_on(text, sentence))
			return true;
	return false;
}
