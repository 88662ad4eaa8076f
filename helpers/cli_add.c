/* cli_add.c - mailtoken add: a checked section at the configuration's end. */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "advice_name.h"
#include "cleanup.h"
#include "cli.h"
#include "cli_file.h"
#include "cli_prompt.h"
#include "cli_questions.h"
#include "cli_section.h"
#include "privileges.h"
#include "regfile.h"

#define LOCK_TRIES   50 /* of LOCK_POLL_MS */
#define LOCK_POLL_MS 100
#define AGAIN	     (-1)	 /* no exit code */
#define GROUP	     "mailtoken" /* that a new configuration belongs to */

/* The configuration as it is; st and text stay empty if there is none. */
struct original {
	const char *path;
	int fd; /* locked until the new one is written */
	struct stat st;
	struct buf text;
};

static void
original_close(struct original *o)
{
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
	buf_wipe(&o->text);
}

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	cli_say("%s", d->text);
}

/* Is what we have locked still what the name stands for? */
static bool
still_there(const struct original *o)
{
	struct stat now;

	return stat(o->path, &now) == 0 && now.st_dev == o->st.st_dev &&
	       now.st_ino == o->st.st_ino;
}

/* Two who add at once must not lose what the other has written. */
static int
original_open(struct original *o, struct diag *reterr)
{
	static const struct timespec again = { 0, LOCK_POLL_MS * 1000000L };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (access(o->path, F_OK) < 0 && errno == ENOENT)
			return 0;
		o->fd =
		    regfile_open(o->path, "run this as root", &o->st, reterr);
		if (o->fd < 0)
			return -1;
		if (flock(o->fd, LOCK_EX | LOCK_NB) == 0 && still_there(o))
			return regfile_slurp(
			    o->fd, o->path, CONFIG_MAX_BYTES, &o->text, reterr);
		(void)close(o->fd);
		o->fd = -1;
		(void)nanosleep(&again, NULL);
	}
	return diag_set(reterr, DIAG_RETRY,
	    "%s: another mailtoken is writing it: try again", o->path);
}

/* The old text, byte by byte, and the section behind it. */
static void
append(struct buf *b, const struct buf *old, const struct section *s)
{
	if (old->len > 0) {
		buf_add(b, old->ptr, old->len);
		buf_adds(b, old->ptr[old->len - 1] == '\n' ? "\n" : "\n\n");
	}
	section_format(s, b);
}

/* The file as it stands must be right, and must not have the account. */
static int
check_old(const struct original *o, const char *account)
{
	struct config *old;
	int rc = EX_OK;

	if (o->text.len == 0)
		return EX_OK;
	old = config_parse(o->text.ptr, o->text.len, o->path, complain, NULL);
	if (old == NULL) {
		cli_say("%s must be right before an account can be added: "
			"nothing was written",
		    o->path);
		return EX_CONFIG;
	}
	for (size_t i = 0; i < old->n_accounts && rc == EX_OK; i++)
		if (strcasecmp(old->accounts[i]->name, account) == 0) {
			cli_say("%s:%u: there is an account %s already: change "
				"it there; nothing was written",
			    o->path, old->accounts[i]->line,
			    old->accounts[i]->name);
			rc = EX_CONFIG;
		}
	config_unref(&old);
	return rc;
}

static int
write_new(const struct cli *c, const struct original *o, const struct buf *text,
    struct diag *reterr)
{
	struct cli_file f = { o->path, 0640, (uid_t)-1, (gid_t)-1, true, true };
	const struct group *gr =
	    !c->user && geteuid() == 0 ? getgrnam(GROUP) : NULL;

	if (c->user && o->fd < 0) {
		char *slash, dir[PATH_MAX];

		f.mode = 0600;
		(void)snprintf(dir, sizeof(dir), "%s", o->path);
		if ((slash = strrchr(dir, '/')) != NULL) {
			*slash = '\0';
			if (privileges_own_dir(dir, reterr) < 0)
				return -1;
		}
	} else if (o->fd >= 0) {
		f.mode = o->st.st_mode & 07777;
		f.uid = o->st.st_uid;
		f.gid = o->st.st_gid;
		f.keep = false;
	} else if (gr != NULL) {
		f.gid = gr->gr_gid;
	}
	return cli_file_write(&f, text->ptr, text->len, reterr);
}

static int
tell_agent(struct cli *c)
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;

	switch (cli_agent_look(c, &agent, &d)) {
	case CLI_AGENT_ABSENT:
		return EX_OK;
	case CLI_AGENT_DEAF:
		break;
	case CLI_AGENT_THERE:
		if (cli_ask(&agent, "reload", NULL, &answer, &msg, &d) < 0)
			break;
		cli_say("the agent has read it");
		return EX_OK;
	}
	cli_say("it is written, but the agent does not know it yet: run "
		"mailtoken reload when this is mended:");
	return cli_fail(&d);
}

static void
say_missing_file(const struct account *a, const struct secret_ref *ref)
{
	if (ref->kind == SECRET_REF_FILE && access(ref->name, F_OK) < 0)
		cli_say("first put the secret into %s, and: chown %s %s; "
			"chmod 600 %s",
		    ref->name, a->config->user, ref->name, ref->name);
}

static void
say_next(const struct account *a)
{
	say_missing_file(a, &a->client_secret);
	say_missing_file(a, &a->client_key_passphrase);
	say_missing_file(a, &a->service_account_key);
	if (a->allow.n == 0)
		cli_say("nobody but root may have its tokens: write allow = "
			"USER into the section");
	if (a->grant == GRANT_REFRESH_TOKEN)
		cli_say("next: mailtoken login %s", ADVICE_WORD(a->name));
	else
		cli_say("next: mailtoken test %s", ADVICE_WORD(a->name));
}

/* Under the file's lock.  AGAIN: there was none, and now there is. */
static int
add_to(struct cli *c, struct original *o, const struct section *s, bool dry)
{
	auto_buf struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
	struct diag d = DIAG_INIT;
	int rc;

	if (original_open(o, &d) < 0)
		return cli_fail(&d);
	if ((rc = check_old(o, s->account)) != EX_OK)
		return rc;
	append(&text, &o->text, s);
	if (text.failed) {
		(void)diag_nomem(&d);
		return cli_fail(&d);
	}
	/* Whoever reads it from now on must get the same. */
	config_unref(&c->config);
	c->config = config_parse(text.ptr, text.len, o->path, complain, NULL);
	if (c->config == NULL) {
		cli_say("nothing was written");
		return EX_CONFIG;
	}
	if (dry)
		return EX_OK;
	if (write_new(c, o, &text, &d) == 0)
		return EX_OK;
	/* A failure of the disk (RETRY) is none of somebody else's doing. */
	return o->fd < 0 && d.kind == DIAG_CONFIG &&
		       access(o->path, F_OK) == 0 ?
		   AGAIN :
		   cli_fail(&d);
}

/* Two may be the first to add: nothing of the other's is overwritten. */
static int
add(struct cli *c, struct original *o, const struct section *s, bool dry)
{
	int rc = add_to(c, o, s, dry);

	if (rc != AGAIN)
		return rc;
	original_close(o);
	rc = add_to(c, o, s, dry);
	if (rc != AGAIN)
		return rc;
	cli_say("%s: somebody makes and removes it: try again", o->path);
	return EX_TEMPFAIL;
}

static int
print_section(const struct section *s)
{
	auto_buf struct buf b = BUF_INIT(CONFIG_MAX_BYTES);

	section_format(s, &b);
	if (b.failed || fwrite(b.ptr, 1, b.len, stdout) != b.len)
		return EX_IOERR;
	return EX_OK;
}

static int
ask_all(struct cli *c, struct section *s)
{
	struct diag d = DIAG_INIT;
	auto_free char *answer = NULL;

	if (!cli_prompt_possible())
		return questions_missing(s, &d) < 0 ? (cli_fail(&d), EX_USAGE) :
						      EX_OK;
	if (questions_missing(s, &d) == 0)
		return EX_OK;
	cli_say("account %s", s->account);
	if (questions_ask(s, &d) < 0)
		return cli_fail(&d);
	fputc('\n', stdout);
	(void)print_section(s);
	fflush(stdout);
	fprintf(stderr, "\nWrite this into %s? ", c->conf_path);
	answer = cli_prompt_line("[Y/n] ");
	if (answer != NULL && strchr("yY", *answer) != NULL)
		return EX_OK;
	cli_say("nothing was written");
	return EX_USAGE;
}

/* --KEY VALUE or --KEY=VALUE. */
static int
take_key(struct section *s, const char *word, const char *next, int *used)
{
	const char *eq = strchr(word, '=');
	auto_free char *key = strndup(
	    word + 2, eq != NULL ? (size_t)(eq - word - 2) : strlen(word));
	const char *value = eq != NULL ? eq + 1 : next;
	struct diag d = DIAG_INIT;

	*used = eq != NULL ? 0 : 1;
	if (key == NULL) {
		(void)diag_nomem(&d);
		return cli_fail(&d);
	}
	if (value == NULL) {
		cli_say("--%.40s: its value is missing", key);
		return EX_USAGE;
	}
	if (section_set(s, key, value, &d) == 0)
		return EX_OK;
	(void)cli_fail(&d);
	return d.kind == DIAG_CONFIG ? EX_USAGE : EX_OSERR;
}

static int
parse_arguments(int argc, char *argv[], struct section *s, bool *dry)
{
	for (int i = 1; i < argc; i++) {
		int used = 0, rc = EX_OK;

		if (strcmp(argv[i], "--dry-run") == 0)
			*dry = true;
		else if (strncmp(argv[i], "--", 2) == 0)
			rc = take_key(s, argv[i],
			    i + 1 < argc ? argv[i + 1] : NULL, &used);
		else if (s->account == NULL && argv[i][0] != '-')
			s->account = argv[i];
		else
			return cli_usage(argv[0]);
		if (rc != EX_OK)
			return rc;
		i += used;
	}
	if (s->account == NULL)
		return cli_usage(argv[0]);
	if (wire_account_ok(s->account) || wire_pattern_ok(s->account))
		return EX_OK;
	cli_say("that is no account's name: 1 to %d printable characters "
		"without blanks and without / \\ \" [ ] : ; *",
	    WIRE_ACCOUNT_MAX);
	return EX_USAGE;
}

int
cmd_add(struct cli *c, int argc, char *argv[])
{
	struct original o = { c->conf_path, -1, { 0 },
		BUF_INIT(CONFIG_MAX_BYTES + 65536) };
	struct section s = { 0 };
	bool dry = false;
	int rc = parse_arguments(argc, argv, &s, &dry);

	if (rc == EX_OK)
		rc = ask_all(c, &s);
	if (rc == EX_OK)
		rc = add(c, &o, &s, dry);
	original_close(&o);
	if (rc == EX_OK && dry)
		rc = print_section(&s);
	else if (rc == EX_OK) {
		cli_say("%s: account %s is added", c->conf_path, s.account);
		rc = tell_agent(c);
		say_next(config_account(c->config, s.account));
	}
	section_free(&s);
	return rc;
}
