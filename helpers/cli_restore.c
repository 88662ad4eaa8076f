/*
 * cli_restore.c - mailtoken restore: what mailtoken export has put away.
 * Files are written only where there is none, logins only where they are
 * newer than what is there.
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "cleanup.h"
#include "cli.h"
#include "cli_file.h"
#include "cli_passphrase.h"
#include "cli_store.h"
#include "renew.h"

#define SAME_LOGIN_S 60 /* a copy's time may be moved on by grant_succeed() */

struct restore {
	struct cli *c;
	bool force, dry, everywhere;
	bool deaf; /* the agent cannot be told */
	int rc;	   /* of the worst that was noted */
	const char *from, *passphrase_file;
	struct buf text;
	struct archive_item *items;
	size_t n;
	unsigned logins, files;
};

static void
note(struct restore *r, const struct diag *d)
{
	r->rc = cli_fail(d);
}

/* Name or number; -1: there is no such user here. */
static uid_t
find_uid(const char *name)
{
	const struct passwd *pw = name != NULL ? getpwnam(name) : NULL;

	return pw != NULL ? pw->pw_uid : (uid_t)-1;
}

static gid_t
find_gid(const char *name)
{
	const struct group *gr = name != NULL ? getgrnam(name) : NULL;

	return gr != NULL ? gr->gr_gid : (gid_t)-1;
}

/* 1: the same bytes are there; 0: nothing is; -1: something else is. */
static int
compare(const char *path, const struct archive_item *item)
{
	auto_buf struct buf b = BUF_INIT(CONFIG_MAX_BYTES + 65536);
	struct diag d = DIAG_INIT;
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return 0;
	if (cli_file_read(path, CONFIG_MAX_BYTES, &b, &d) < 0 ||
	    b.len != item->len ||
	    (b.len > 0 && memcmp(b.ptr, item->bytes, b.len) != 0))
		return -1;
	return 1;
}

/* The directory that a file is in, without links and dots. */
static char *
directory_of(const char *path)
{
	auto_free char *copy = strdup(path);

	return copy != NULL ? realpath(dirname(copy), NULL) : NULL;
}

/*
 * An archive may be anybody's who knows the passphrase, and must not give
 * root a new table of cron's: what leaves the configuration's directory must
 * be wanted.
 */
static int
check_place(const struct restore *r, const char *path, struct diag *reterr)
{
	auto_free char *home = directory_of(r->c->conf_path);
	auto_free char *dir = NULL;
	size_t n = home != NULL ? strlen(home) : 0;

	if (*path != '/')
		return diag_set(
		    reterr, DIAG_CONFIG, "%.200s: is no whole path", path);
	if (r->everywhere)
		return 0;
	if ((dir = directory_of(path)) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%.200s: cannot find its directory: %s; make that first",
		    path, strerror(errno));
	if (n > 1 && strncmp(dir, home, n) == 0 &&
	    (dir[n] == '/' || dir[n] == '\0'))
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "%.200s: is not in %.100s, and is left out: if you trust whoever "
	    "made the archive, give --everywhere",
	    path, n > 0 ? home : "the configuration's directory");
}

static void
restore_file(
    struct restore *r, const char *path, const struct archive_item *item)
{
	const bool root = geteuid() == 0;
	/* Nothing that we read need be executed, or changed by others. */
	const struct cli_file f = { path, (mode_t)item->mode & 0644,
		root ? find_uid(item->owner) : (uid_t)-1,
		root ? find_gid(item->group) : (gid_t)-1, true,
		item->kind == ARCHIVE_CONFIG };
	struct diag d = DIAG_INIT;

	switch (compare(path, item)) {
	case 1:
		cli_say("%s: is there already, the same", path);
		return;
	case -1:
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s: differs from the archive's, and stays as it is; move "
		    "it away to have the archive's",
		    path);
		note(r, &d);
		return;
	}
	if ((item->kind == ARCHIVE_FILE && check_place(r, path, &d) < 0) ||
	    (!r->dry && cli_file_write(&f, item->bytes, item->len, &d) < 0)) {
		note(r, &d);
		return;
	}
	cli_say("%s: %s", path, r->dry ? "would be written" : "written");
	r->files++;
	if (root && item->owner != NULL && f.uid == (uid_t)-1)
		cli_say("%s: there is no user %.40s here: it belongs to root",
		    path, item->owner);
}

/*
 * What the archive's login becomes, seen what there is; false: nothing.  Of
 * one login, the copy that was renewed last has the token that still works.
 */
static bool
choose(const struct restore *r, const char *account, struct grant *g,
    const struct grant *now)
{
	int64_t later = g->login_at - now->login_at;

	if (llabs(later) < SAME_LOGIN_S)
		later = g->obtained_at - now->obtained_at;
	if (!secret_empty(&now->refresh_token) && !r->force && later <= 0) {
		cli_say("account %s: has a login that is as new; it stays "
			"(--force replaces it)",
		    account);
		return false;
	}
	/* Nobody's copy of what was there may be taken for newer. */
	grant_succeed(g, now, g->login_at);
	return true;
}

static int
write_grant(struct restore *r, const struct store *s, const char *account,
    struct grant *g, struct diag *reterr)
{
	auto_grant struct grant now = GRANT_INIT;
	struct store_lock lock = STORE_LOCK_INIT;
	int rc;

	cli_store_say_busy(s, account);
	if (store_lock_wait(s, account, RENEW_LOGIN_WAIT_MS, &lock, reterr) < 0)
		return -1;
	rc = store_read(s, account, &now, reterr);
	if (rc >= 0 && !choose(r, account, g, &now))
		rc = 0;
	else if (rc >= 0)
		rc = store_write(s, &lock, account, g, reterr) < 0 ? -1 : 1;
	store_unlock(&lock);
	return rc;
}

/* The same without a trace: even a lock would leave its file. */
static int
look_at_grant(const struct restore *r, const struct store *s,
    const char *account, struct grant *g, struct diag *reterr)
{
	auto_grant struct grant now = GRANT_INIT;

	if (store_read(s, account, &now, reterr) < 0)
		return -1;
	if (choose(r, account, g, &now))
		cli_say("account %s: its login would be restored", account);
	return 0;
}

static void
restore_grant(
    struct restore *r, const struct store *s, const struct archive_item *item)
{
	const struct account *a = config_account(r->c->config, item->name);
	auto_buf struct buf text = BUF_INIT(GRANT_MAX_BYTES);
	auto_grant struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;
	int rc = -1;

	if (a == NULL) {
		cli_say("account %.200s: is not in %s: its login is left out",
		    item->name, r->c->conf_path);
		return;
	}
	buf_add(&text, item->bytes, item->len);
	if (text.failed)
		(void)diag_nomem(&d);
	else if (grant_parse(text.ptr, text.len, a->name, &g, &d) < 0)
		(void)diag_wrap(
		    &d, "account %s: its login in the archive", a->name);
	else
		rc = r->dry ? look_at_grant(r, s, a->name, &g, &d) :
			      write_grant(r, s, a->name, &g, &d);
	if (rc < 0) {
		note(r, &d);
		return;
	}
	if (rc == 0)
		return;
	r->logins++;
	if (r->deaf)
		cli_say("account %s: its login is restored", a->name);
	else if ((rc = cli_tell_agent(r->c, a)) != EX_OK)
		r->rc = rc;
}

/* The agent must know the accounts before it hears of their logins. */
static void
reload_agent(struct restore *r)
{
	auto_buf struct buf answer = BUF_INIT(WIRE_MAX_BYTES);
	struct token_agent agent;
	struct wire_msg msg;
	struct diag d = DIAG_INIT;
	enum cli_agent_state state = cli_agent_look(r->c, &agent, &d);

	if (state == CLI_AGENT_ABSENT ||
	    (state == CLI_AGENT_THERE &&
		cli_ask(&agent, "reload", NULL, &answer, &msg, &d) == 0))
		return;
	/* Nobody waits for it once more with every login. */
	r->deaf = state == CLI_AGENT_DEAF || d.kind == DIAG_RETRY;
	note(r, &d);
}

static void
restore_grants(struct restore *r)
{
	struct store store = STORE_INIT;
	struct diag d = DIAG_INIT;

	if (r->dry && access(r->c->conf_path, F_OK) < 0) {
		cli_say("the archive's logins would be restored");
		return;
	}
	if (cli_config(r->c) == NULL) {
		r->rc = EX_CONFIG;
		return;
	}
	if (r->dry && access(r->c->config->state_dir, F_OK) < 0) {
		cli_say("%s and the archive's logins would be made",
		    r->c->config->state_dir);
		return;
	}
	if ((r->dry ? cli_store_look(r->c, &store, &d) :
		      cli_store_open(r->c, &store, &d)) < 0) {
		note(r, &d);
		return;
	}
	if (!r->dry)
		reload_agent(r);
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].kind == ARCHIVE_GRANT)
			restore_grant(r, &store, &r->items[i]);
	store_close(&store);
}

static void
say_origin(const struct archive_reader *reader)
{
	time_t at = (time_t)reader->created_at;
	const struct tm *tm = gmtime(&at);
	char when[64] = "?";

	if (tm != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", tm);
	cli_say("the archive was made on %.100s, %s",
	    reader->host != NULL ? reader->host : "?", when);
}

/* All of it is read before anything is written. */
static int
read_items(struct restore *r, struct diag *reterr)
{
	struct archive_reader reader;
	struct archive_item item;
	size_t cap = 0;
	int rc;

	if (archive_open(&reader, r->text.ptr, r->text.len, reterr) < 0)
		return -1;
	while ((rc = archive_next(&reader, &item, reterr)) == 1) {
		if (r->n == cap) {
			struct archive_item *more;

			cap = cap > 0 ? 2 * cap : 64;
			more = realloc(r->items, cap * sizeof(*more));
			if (more == NULL)
				return diag_nomem(reterr);
			r->items = more;
		}
		r->items[r->n++] = item;
	}
	if (rc == 0)
		say_origin(&reader);
	return rc;
}

static int
read_archive(struct restore *r, struct diag *reterr)
{
	auto_buf struct buf file = BUF_INIT(ARCHIVE_MAX_BYTES + 65536);
	auto_secret struct secret passphrase = SECRET_INIT;

	if (cli_file_read(r->from, ARCHIVE_MAX_BYTES + 4096, &file, reterr) < 0)
		return -1;
	if (cli_passphrase(r->passphrase_file, false, &passphrase, reterr) < 0)
		return -1;
	if (archive_unseal(file.ptr, file.len, &passphrase, &r->text, reterr) <
		0 ||
	    read_items(r, reterr) < 0) {
		if (reterr->kind == DIAG_CONFIG)
			r->rc = EX_DATAERR;
		return diag_wrap(reterr, "%s",
		    strcmp(r->from, "-") == 0 ? "standard input" : r->from);
	}
	return 0;
}

static int
restore(struct restore *r)
{
	struct diag d = DIAG_INIT;

	if (read_archive(r, &d) < 0) {
		int rc = cli_fail(&d);

		return r->rc != EX_OK ? r->rc : rc;
	}
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].kind == ARCHIVE_FILE)
			restore_file(r, r->items[i].name, &r->items[i]);
	/* Last, so that nobody finds it without its secrets. */
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].kind == ARCHIVE_CONFIG)
			restore_file(r, r->c->conf_path, &r->items[i]);
	if (r->rc != EX_OK && !r->dry && access(r->c->conf_path, F_OK) < 0) {
		cli_say("no login was restored, since there is no "
			"configuration yet: mend that, and run this again");
		return r->rc;
	}
	restore_grants(r);
	if (r->dry)
		return r->rc;
	cli_say("restored: %u file%s and %u login%s", r->files,
	    r->files == 1 ? "" : "s", r->logins, r->logins == 1 ? "" : "s");
	if (r->deaf)
		cli_say("the agent could not be told, and goes on with what it "
			"knew: start it again");
	if (r->logins > 0)
		cli_say("if another host has these logins, stop its agent now: "
			"a refresh token may be good for one use only");
	return r->rc;
}

int
cmd_restore(struct cli *c, int argc, char *argv[])
{
	struct restore r = { .c = c, .text = BUF_INIT(ARCHIVE_MAX_BYTES) };
	int rc;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--force") == 0)
			r.force = true;
		else if (strcmp(argv[i], "--everywhere") == 0)
			r.everywhere = true;
		else if (strcmp(argv[i], "--dry-run") == 0)
			r.dry = true;
		else if (strcmp(argv[i], "--passphrase-file") == 0 &&
			 i + 1 < argc)
			r.passphrase_file = argv[++i];
		else if (r.from == NULL &&
			 (argv[i][0] != '-' || argv[i][1] == '\0'))
			r.from = argv[i];
		else
			return cli_usage(argv[0]);
	if (r.from == NULL)
		return cli_usage(argv[0]);
	rc = restore(&r);
	free(r.items);
	buf_wipe(&r.text);
	return rc;
}
