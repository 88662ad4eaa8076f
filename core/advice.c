#include "advice.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice_name.h"
#include "quote.h"
#include "wire.h"

#define LOOP_DETECTED 50196 /* what a throttled user flow hears */
#define LOOP_WAIT_S   120   /* until Entra lets go, as users report */
#define GUID_LEN      36
/* What "account NAME: " leaves of a diag. */
#define SENTENCE_MAX                                               \
	(sizeof(((struct diag *)0)->text) - sizeof("account : ") - \
	    WIRE_ACCOUNT_MAX)
#define WORDS_MIN 24 /* fewer of the provider's say nothing */

static const char later[] = "it will be asked again";

static const struct advice unknown = { "", DIAG_CONFIG, false,
	"that is not known here",
	"check the account's section of the "
	"configuration" };
static const struct advice busy = { "", DIAG_RETRY, false,
	"the provider is busy or in trouble", later };

static bool
status_is_transient(long status)
{
	return status == 408 || status == 429 || status >= 500;
}

static int64_t
cap(int64_t s)
{
	if (s < 0)
		return 0;
	return s < ADVICE_RETRY_AFTER_MAX_S ? s : ADVICE_RETRY_AFTER_MAX_S;
}

static int64_t
number_in(const char *description)
{
	const char *p = strstr(description, "AADSTS");
	long long n = p == NULL ? 0 : strtoll(p + 6, NULL, 10);

	return n > 0 && n < 100000000 ? n : 0;
}

/* The description's first sentence, without the number in front. */
static void
first_sentence(const char *description, char *ret, size_t size)
{
	const char *s = description;
	size_t n;

	if (strncmp(s, "AADSTS", 6) == 0) {
		s += 6 + strspn(s + 6, "0123456789");
		s += strspn(s, ": ");
	}
	n = strcspn(s, "\r\n");
	for (size_t i = 0; i < n; i++)
		if ((s[i] == '.' && (i + 1 == n || s[i + 1] == ' ')) ||
		    strncmp(s + i, " Trace ID", 9) == 0)
			n = i;
	quote(ret, size, s, n);
}

static const struct advice *
row_of_word(const struct advice_rows *g, const char *word)
{
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->row[i].key, word) == 0)
			return &g->row[i];
	return NULL;
}

static const struct advice *
row_of_number(int64_t number)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "AADSTS%lld", (long long)number);
	return row_of_word(&advice_numbers, key);
}

/* A blank of the part stands for any white space. */
static bool
part_is_at(const char *text, const char *part, size_t n, const char **end)
{
	for (size_t i = 0; i < n; i++) {
		if (part[i] == ' ') {
			if (!isspace((unsigned char)*text))
				return false;
			while (isspace((unsigned char)*text))
				text++;
		} else if (tolower((unsigned char)*text++) !=
			   tolower((unsigned char)part[i]))
			return false;
	}
	*end = text;
	return true;
}

/* "5.7.3" is not in "5.7.30". */
static bool
has_part(const char *text, const char *part, size_t n)
{
	bool first = isdigit((unsigned char)part[0]) != 0;
	bool last = isdigit((unsigned char)part[n - 1]) != 0 &&
		    memchr(part, '.', n) != NULL;
	const char *end;

	for (const char *s = text; *s != '\0'; s++)
		if (part_is_at(s, part, n, &end) &&
		    !(first && s > text && isdigit((unsigned char)s[-1])) &&
		    !(last && isdigit((unsigned char)*end)))
			return true;
	return false;
}

static bool
has_pattern(const char *text, const char *pattern)
{
	static const char between[] = " ... ";
	const char *gap;

	for (; (gap = strstr(pattern, between)) != NULL;
	     pattern = gap + strlen(between))
		if (!has_part(text, pattern, (size_t)(gap - pattern)))
			return false;
	return has_part(text, pattern, strlen(pattern));
}

static const struct advice *
row_of_pattern(const struct advice_rows *g, const char *text)
{
	for (size_t i = 0; i < g->n; i++)
		if (has_pattern(text, g->row[i].key))
			return &g->row[i];
	return NULL;
}

static bool
is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The first row whose word stands somewhere in the text. */
static const struct advice *
row_of_any_word(const struct advice_rows *g, const char *text)
{
	for (size_t i = 0; i < g->n; i++) {
		const char *word = g->row[i].key, *s = text;
		size_t n = strlen(word);

		for (; (s = strstr(s, word)) != NULL; s += n)
			if ((s == text || !is_word_char(s[-1])) &&
			    !is_word_char(s[n]))
				return &g->row[i];
	}
	return NULL;
}

/* Any "AADSTS50076" in the text, or a text that is nothing but "50076". */
static const struct advice *
row_of_any_number(const char *text)
{
	const char *start = text + strspn(text, " \t\r\n"), *s = start;
	size_t n = strspn(start, "0123456789");
	const struct advice *a = NULL;

	if (n > 0 && n <= 8 && start[n + strspn(start + n, " \t\r\n")] == '\0')
		return row_of_number(strtoll(start, NULL, 10));
	for (; a == NULL && (s = strcasestr(s, "AADSTS")) != NULL;) {
		s += strlen("AADSTS");
		n = strspn(s, "0123456789");
		if (n > 0 && n <= 8)
			a = row_of_number(strtoll(s, NULL, 10));
	}
	return a;
}

/* The kind that an answer has, whatever the number in it. */
static enum diag_kind
kind_of_error(const struct advice *error, const struct advice *suberror)
{
	/* MSAL's rule: of the suberrors, only those that no login cures. */
	if (strcmp(error->key, "invalid_grant") == 0 && suberror != NULL)
		return suberror->kind;
	return error->kind;
}

/* The row for an answer, and in *kind who must act: see advice.h. */
static const struct advice *
judge(
    long status, const struct refusal *r, int64_t number, enum diag_kind *kind)
{
	const struct advice *error = row_of_word(&advice_errors, r->error);
	const struct advice *suberror = NULL, *a = row_of_number(number);

	if (error == NULL)
		error = &unknown;
	if (r->suberror != NULL)
		suberror = row_of_word(&advice_suberrors, r->suberror);
	*kind = kind_of_error(error, suberror);
	if (status_is_transient(status) || (a != NULL && a->kind == DIAG_RETRY))
		*kind = DIAG_RETRY;

	if (a == NULL && r->description != NULL)
		a = row_of_pattern(&advice_descriptions, r->description);
	if (a == NULL && suberror == NULL && r->suberror != NULL)
		suberror = row_of_word(&advice_errors, r->suberror);
	if (a == NULL)
		a = suberror != NULL ? suberror : error;
	/* Who is to wait is not told to do something, and the reverse. */
	if ((*kind == DIAG_RETRY) != (a->kind == DIAG_RETRY))
		a = (*kind == DIAG_RETRY) == (error->kind == DIAG_RETRY) ?
			error :
			&busy;
	return a;
}

/* " (AADSTS50076, trace ...)": what Microsoft's support asks for first. */
static void
identify(const struct refusal *r, int64_t number, char *ret, size_t size)
{
	bool traced =
	    r->trace_id != NULL && strlen(r->trace_id) == GUID_LEN &&
	    strspn(r->trace_id, "0123456789abcdefABCDEF-") == GUID_LEN;
	char aadsts[32] = "";

	*ret = '\0';
	if (number > 0)
		(void)snprintf(
		    aadsts, sizeof(aadsts), "AADSTS%lld", (long long)number);
	if (number > 0 || traced)
		(void)snprintf(ret, size, " (%s%s%s%s)", aadsts,
		    number > 0 && traced ? ", " : "", traced ? "trace " : "",
		    traced ? r->trace_id : "");
}

int
advice_refusal(long http_status, int64_t retry_after_s, const struct refusal *r,
    struct diag *reterr)
{
	const char *description = r->description ? r->description : "";
	int64_t number = r->number > 0 ? r->number : number_in(description);
	char error[64], id[96], words[SENTENCE_MAX] = "";
	enum diag_kind kind;
	const struct advice *a = judge(http_status, r, number, &kind);
	size_t used;

	quote(error, sizeof(error), r->error, strlen(r->error));
	identify(r, number, id, sizeof(id));
	used = strlen("provider says : : : ") + strlen(error) + strlen(id) +
	       strlen(a->cause) + strlen(a->todo);
	if (used + WORDS_MIN < SENTENCE_MAX)
		first_sentence(description, words, SENTENCE_MAX - used);
	(void)diag_set(reterr, kind, "provider says %s%s%s%s: %s: %s", error,
	    id, *words ? ": " : "", words, a->cause, a->todo);
	if (kind == DIAG_RETRY)
		reterr->retry_after_s = cap(retry_after_s);
	if (number == LOOP_DETECTED && reterr->retry_after_s < LOOP_WAIT_S)
		reterr->retry_after_s = LOOP_WAIT_S;
	return -1;
}

int
advice_status(long http_status, int64_t retry_after_s, const char *what,
    struct diag *reterr)
{
	const char *advice = "check token_endpoint, or provider and tenant";

	if (status_is_transient(http_status)) {
		(void)diag_set(reterr, DIAG_RETRY,
		    "provider answered with status %ld and %s: %s", http_status,
		    what, later);
		reterr->retry_after_s = cap(retry_after_s);
		return -1;
	}
	if (http_status >= 200 && http_status < 300) {
		(void)diag_set(reterr, DIAG_RETRY,
		    "provider answered with %s (a captive portal or proxy?): "
		    "%s",
		    what, later);
		reterr->retry_after_s = cap(retry_after_s);
		return -1;
	}
	if (http_status == 401 || http_status == 403 || http_status == 407)
		advice = "check client_id and client_secret, and any proxy";
	else if (http_status >= 300 && http_status < 400)
		advice = "redirects are not followed, check token_endpoint";
	return diag_set(reterr, DIAG_CONFIG,
	    "provider answered with status %ld and %s: %s", http_status, what,
	    advice);
}

/* A sentence of ours that somebody pasted. */
static const struct advice *
row_of_sentence(const char *text)
{
	const struct advice_rows *g;

	for (size_t i = 0; (g = advice_group(i)) != NULL; i++)
		for (size_t j = 0; j < g->n; j++)
			if (strstr(text, g->row[j].cause) != NULL &&
			    advice_name_is_in(g->row[j].todo, text))
				return &g->row[j];
	return NULL;
}

const struct advice *
advice_mail(const char *text)
{
	return row_of_pattern(&advice_server_texts, text);
}

const struct advice *
advice_explain(const char *text)
{
	const struct advice *a = row_of_any_number(text);

	if (a == NULL)
		a = row_of_sentence(text);
	if (a == NULL)
		a = advice_mail(text);
	if (a == NULL)
		a = row_of_pattern(&advice_descriptions, text);
	if (a == NULL)
		a = row_of_any_word(&advice_suberrors, text);
	if (a == NULL)
		a = row_of_any_word(&advice_errors, text);
	if (a == NULL)
		a = row_of_pattern(&advice_local_texts, text);
	return a;
}

static bool
is_of(const struct advice *a, const struct advice_rows *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (a == &g->row[i])
			return true;
	return false;
}

enum diag_kind
advice_kind(const struct advice *a, const char *text)
{
	const struct advice *error = row_of_any_word(&advice_errors, text);

	if (error == NULL || is_of(a, &advice_server_texts) ||
	    is_of(a, &advice_local_texts) ||
	    (is_of(a, &advice_numbers) && a->kind == DIAG_RETRY))
		return a->kind;
	return kind_of_error(error, row_of_any_word(&advice_suberrors, text));
}

const struct advice_rows *
advice_group(size_t i)
{
	static const struct advice_rows *const groups[] = { &advice_errors,
		&advice_suberrors, &advice_numbers, &advice_descriptions,
		&advice_server_texts, &advice_local_texts };

	return i < sizeof(groups) / sizeof(groups[0]) ? groups[i] : NULL;
}
