#include "config_text.h"

#include <string.h>

#include "account_check.h"
#include "inifile.h"
#include "wire.h"

/* A configuration while its text is read. */
struct parse {
	struct config *c;
	config_complain *complain;
	void *arg;
	size_t complaints;
	bool stop;
	struct rules_names *names;
	/* The section that the line is in. */
	enum {
		SECTION_NONE,
		SECTION_SKIPPED,
		SECTION_AGENT,
		SECTION_ACCOUNT
	} section;
	unsigned given[SETTING_MAX];
	struct account_draft draft; /* of SECTION_ACCOUNT */
	unsigned agent_line;	    /* of [agent]; 0: none yet */
};

/* Its users go on, so that one reading shows all errors. */
static void
report(void *arg, unsigned line, const struct diag *why)
{
	struct parse *p = arg;
	struct diag d = *why;

	if (p->stop)
		return;
	p->stop = d.kind == DIAG_NOMEM;
	(void)diag_wrap(&d, "%s:%u", p->c->path, line);
	p->complain(p->arg, &d);
	if (++p->complaints < CONFIG_MAX_COMPLAINTS || p->stop)
		return;
	p->stop = true;
	(void)diag_set(&d, DIAG_CONFIG,
	    "%s: %d errors so far; not looking for more", p->c->path,
	    CONFIG_MAX_COMPLAINTS);
	p->complain(p->arg, &d);
}

static void
report_text(struct parse *p, unsigned line, const char *text)
{
	struct diag d = DIAG_INIT;

	(void)diag_set(&d, DIAG_CONFIG, "%s", text);
	report(p, line, &d);
}

static void
report_nomem(struct parse *p, unsigned line)
{
	struct diag d = DIAG_INIT;

	(void)diag_nomem(&d);
	report(p, line, &d);
}

static unsigned
agent_line_of(const struct parse *p, const char *key)
{
	for (size_t i = 0; i < agent_n_settings; i++)
		if (strcmp(agent_settings[i].key, key) == 0)
			return p->given[i];
	return 0;
}

static void
end_agent(struct parse *p)
{
	struct config *c = p->c;
	unsigned line = agent_line_of(p, "max_connections_per_uid");

	if (c->max_connections_per_uid <= c->max_connections)
		return;
	if (line == 0)
		c->max_connections_per_uid = c->max_connections;
	else
		report_text(p, line,
		    "'max_connections_per_uid': more than max_connections");
}

/* A next hop has one account, or mail would go out as whoever came first. */
static void
check_relayhosts(struct parse *p, const struct account *a, unsigned line)
{
	for (char **w = a->relayhost; w != NULL && *w != NULL; w++) {
		const struct account *other = config_relayhost(p->c, *w);
		struct diag d = DIAG_INIT;

		if (other == NULL)
			continue;
		(void)diag_set(&d, DIAG_CONFIG,
		    "account %s: 'relayhost': names a next hop that is account "
		    "%s's already, in line %u: take it out of one of them",
		    a->name, other->name, other->line);
		report(p, line, &d);
	}
}

static void
end_section(struct parse *p)
{
	if (p->section == SECTION_AGENT)
		end_agent(p);
	if (p->section == SECTION_ACCOUNT) {
		struct account *a =
		    account_finish(&p->draft, p->given, report, p);
		unsigned line = p->draft.a.line;

		account_draft_wipe(&p->draft);
		if (a != NULL)
			check_relayhosts(p, a, line);
		if (a != NULL && !config_add(p->c, a))
			report_nomem(p, line);
	}
	p->section = SECTION_SKIPPED;
	memset(p->given, 0, sizeof(p->given));
}

static void
begin_agent(struct parse *p, unsigned line)
{
	struct diag d = DIAG_INIT;

	if (p->agent_line == 0) {
		p->agent_line = line;
		p->section = SECTION_AGENT;
		return;
	}
	(void)diag_set(&d, DIAG_CONFIG,
	    "a second [agent]: move its keys to the one in line %u",
	    p->agent_line);
	report(p, line, &d);
}

/* Looked up in lower case. */
static bool
pattern_name_ok(const char *name)
{
	return wire_pattern_ok(name) &&
	       strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL;
}

static void
begin_account(struct parse *p, const char *name, unsigned line)
{
	const struct account *same;
	struct diag d = DIAG_INIT;

	if (*name == '\0') {
		report_text(p, line,
		    "an account needs a name: write "
		    "[account NAME]");
		return;
	}
	if (!wire_account_ok(name) && !pattern_name_ok(name)) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "account '%.80s': a name has 1 to %d printable ASCII "
		    "characters, no blank, none of / \\ \" [ ] : ; *, and does "
		    "not begin with . or -; *@domain, in lower case, is for "
		    "every mailbox of a domain",
		    name, WIRE_ACCOUNT_MAX);
		report(p, line, &d);
		return;
	}
	account_draft_init(&p->draft, p->c, line);
	p->draft.a.name = strdup(name);
	if (p->draft.a.name == NULL) {
		report_nomem(p, line);
		return;
	}
	p->section = SECTION_ACCOUNT;
	same = config_account(p->c, name);
	if (same != NULL) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "account %s is given twice, first in line %u: take one "
		    "out",
		    name, same->line);
		report(p, line, &d);
		p->draft.spoilt = true;
	}
}

static void
begin_section(struct parse *p, const struct inifile_entry *e)
{
	size_t word = strcspn(e->name, " \t");
	const char *rest = e->name + word + strspn(e->name + word, " \t");

	if (strcmp(e->name, "agent") == 0)
		begin_agent(p, e->line);
	else if (word == 7 && strncmp(e->name, "account", word) == 0)
		begin_account(p, rest, e->line);
	else
		report_text(p, e->line,
		    "unknown section: write [agent] or [account NAME]");
}

/* A line of base64 may look like a key: only what could be one is shown. */
static void
unknown_key(struct parse *p, const struct inifile_entry *e)
{
	size_t len = strlen(e->name);
	struct diag d = DIAG_INIT;

	if (len <= 32 && strspn(e->name, "abcdefghijklmnopqrstuvwxyz_") == len)
		(void)diag_set(&d, DIAG_CONFIG,
		    "unknown key '%s' in [%s]: "
		    "see mailtoken.conf(5)",
		    e->name, p->section == SECTION_AGENT ? "agent" : "account");
	else
		(void)diag_set(
		    &d, DIAG_CONFIG, "unknown key: see mailtoken.conf(5)");
	report(p, e->line, &d);
}

static void
take_setting(struct parse *p, const struct setting *s, unsigned *given,
    const struct inifile_entry *e)
{
	bool agent = p->section == SECTION_AGENT;
	struct setting_into into = { agent ? (void *)p->c : &p->draft,
		&p->names };
	struct diag d = DIAG_INIT;

	if (*given != 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "'%s' is given twice, first in line %u: take one out",
		    s->key, *given);
	} else if (*e->value == '\0') {
		*given = e->line;
		(void)diag_set(&d, DIAG_CONFIG,
		    "'%s' has no value: write one or take the line out",
		    s->key);
	} else {
		*given = e->line;
		if (s->set(&into, s, e->value, &d) == 0)
			return;
		if (d.kind != DIAG_NOMEM)
			(void)diag_wrap(&d, "'%s'", s->key);
	}
	if (!agent)
		p->draft.spoilt = true;
	report(p, e->line, &d);
}

static void
take_key(struct parse *p, const struct inifile_entry *e)
{
	bool agent = p->section == SECTION_AGENT;
	const struct setting *rows = agent ? agent_settings : account_settings;
	size_t n = agent ? agent_n_settings : account_n_settings;

	if (p->section == SECTION_SKIPPED)
		return;
	if (p->section == SECTION_NONE) {
		report_text(p, e->line,
		    "a key before any section: begin with [agent] or "
		    "[account NAME]");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i].key, e->name) == 0) {
			take_setting(p, &rows[i], &p->given[i], e);
			return;
		}
	}
	unknown_key(p, e);
}

static void
read_lines(struct parse *p, char *text, size_t len)
{
	struct inifile_entry e;
	struct inifile f;

	inifile_init(&f, text, len);
	while (!p->stop) {
		switch (inifile_next(&f, &e)) {
		case INIFILE_END:
			end_section(p);
			return;
		case INIFILE_SECTION:
			end_section(p);
			begin_section(p, &e);
			break;
		case INIFILE_KEY:
			take_key(p, &e);
			break;
		case INIFILE_BAD:
			report_text(p, e.line, e.why);
			break;
		}
	}
}

struct config *
config_text_parse(char *text, size_t len, const char *path,
    config_complain *complain, void *arg)
{
	struct parse p = { .complain = complain, .arg = arg };
	struct diag d = DIAG_INIT;

	p.c = config_new(path);
	if (p.c == NULL) {
		(void)diag_nomem(&d);
		complain(arg, &d);
		return NULL;
	}
	read_lines(&p, text, len);
	account_draft_wipe(&p.draft);
	rules_names_free(&p.names);
	explicit_bzero(text, len);
	if (p.complaints == 0 && p.c->listen == NULL &&
	    config_default_sockets(p.c, &d) < 0)
		report(&p, 0, &d);
	if (p.complaints > 0)
		config_unref(&p.c);
	return p.c;
}
