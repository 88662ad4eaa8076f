#include "proxy_config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fernet.h"
#include "inifile.h"

/* Indented lines go on with the value before them: of comments, here. */
static void
blank_continued(char *s, size_t n)
{
	char *end = s + n, *next;

	for (; s < end; s = next) {
		char *nl = memchr(s, '\n', (size_t)(end - s));

		next = nl != NULL ? nl + 1 : end;
		if (*s == ' ' || *s == '\t')
			memset(s, ' ', (size_t)((nl != NULL ? nl : end) - s));
	}
}

/* One section of the file: the last that was begun. */
struct section {
	const char *name; /* NULL: none yet */
	const char *client_id, *token_url, *flow;
	const char *refresh_token, *salt, *iterations;
};

static void
section_key(struct section *s, const struct inifile_entry *e)
{
	const struct {
		const char *key;
		const char **slot;
	} keys[] = {
		{ "client_id", &s->client_id },
		{ "token_url", &s->token_url },
		{ "oauth2_flow", &s->flow },
		{ "refresh_token", &s->refresh_token },
		{ "token_salt", &s->salt },
		{ "token_iterations", &s->iterations },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcasecmp(keys[i].key, e->name) == 0)
			*keys[i].slot = e->value;
}

/* What was found for a mailbox, or for none in particular. */
struct search {
	const char *mailbox;
	struct section found;
	size_t with_token;
};

static void
section_end(struct search *w, const struct section *s)
{
	if (s->name == NULL ||
	    (w->mailbox != NULL && strcasecmp(s->name, w->mailbox) != 0))
		return;
	if (s->refresh_token == NULL && w->mailbox == NULL)
		return;
	if (s->refresh_token != NULL)
		w->with_token++;
	w->found = *s;
}

static void
search(struct search *w, char *text, size_t len)
{
	struct inifile_entry e;
	struct section s = { 0 };
	struct inifile f;

	blank_continued(text, len);
	inifile_init(&f, text, len);
	for (;;) {
		switch (inifile_next(&f, &e)) {
		case INIFILE_END:
			section_end(w, &s);
			return;
		case INIFILE_SECTION:
			section_end(w, &s);
			s = (struct section){ .name = e.name };
			break;
		case INIFILE_KEY:
			section_key(&s, &e);
			break;
		case INIFILE_BAD:
			break;
		}
	}
}

static int
no_section(const struct search *w, struct diag *reterr)
{
	if (w->with_token > 1)
		return diag_set(reterr, DIAG_CONFIG,
		    "has the logins of %zu mailboxes: say which by --mailbox "
		    "ADDRESS",
		    w->with_token);
	if (w->found.name == NULL && w->mailbox != NULL)
		return diag_set(
		    reterr, DIAG_CONFIG, "has no section [%.80s]", w->mailbox);
	if (w->found.flow != NULL &&
	    strcmp(w->found.flow, "client_credentials") == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "[%.80s] logs in as an application, without a refresh "
		    "token: write grant = client_credentials, there is "
		    "nothing to import",
		    w->found.name);
	return diag_set(reterr, DIAG_CONFIG,
	    "has no refresh_token%s: nobody has logged in with it; run: "
	    "mailtoken login ACCOUNT",
	    w->mailbox != NULL ? " for that mailbox" : "");
}

int
proxy_config_find(char *text, size_t len, const char *mailbox,
    struct proxy_login *ret, struct diag *reterr)
{
	struct search w = { .mailbox = mailbox };
	const struct section *s = &w.found;
	int64_t iterations = 0;

	search(&w, text, len);
	if (w.with_token != 1 || s->refresh_token == NULL)
		return no_section(&w, reterr);
	if (s->iterations != NULL) {
		char *end;

		iterations = strtoll(s->iterations, &end, 10);
		if (*end != '\0' || iterations < 1 ||
		    iterations > FERNET_ITERATIONS_MAX)
			return diag_set(reterr, DIAG_CONFIG,
			    "[%.80s] token_iterations is not between 1 and %d",
			    s->name, FERNET_ITERATIONS_MAX);
	}
	*ret = (struct proxy_login){ s->name, s->client_id, s->token_url,
		s->refresh_token, s->salt, iterations };
	return 0;
}
