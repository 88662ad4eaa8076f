#include "config_check.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "credential.h"
#include "regfile.h"
#include "token_facts.h"

#define DAY_S 86400

/* What config_check_files() is busy with. */
struct check {
	const struct config *c;
	config_complain *complain;
	void *arg;
	size_t complaints;
	bool as_root; /* and the agent will run as: */
	uid_t agent;
	int64_t now_s;
};

static void
found(struct check *k, const struct diag *d)
{
	k->complaints++;
	k->complain(k->arg, d);
}

static void
found_at(
    struct check *k, const struct account *a, unsigned line, struct diag *d)
{
	if (d->kind != DIAG_NOMEM)
		(void)diag_wrap(
		    d, "%s:%u: account %s", k->c->path, line, a->name);
	found(k, d);
}

static void
check_config_file(struct check *k)
{
	const char *path = k->c->path;
	struct diag d = DIAG_INIT;
	struct stat st;
	auto_close int fd = regfile_open(path, CONFIG_ACCESS_CURE, &st, &d);

	if (fd < 0) {
		found(k, &d);
		return;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s: belongs to uid %u, who can change it; run: chown root "
		    "%s",
		    path, (unsigned)st.st_uid, path);
		found(k, &d);
	}
	if ((st.st_mode & 027) != 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s: mode %04o; others can read or change it; run: chmod "
		    "640 %s",
		    path, (unsigned)(st.st_mode & 07777), path);
		found(k, &d);
	}
}

/* Root reads everything; the agent is not root when it does. */
static void
check_owner(
    struct check *k, const struct account *a, unsigned line, const char *path)
{
	struct diag d = DIAG_INIT;
	struct stat st;

	if (!k->as_root || stat(path, &st) < 0 || st.st_uid == k->agent)
		return;
	(void)diag_set(&d, DIAG_CONFIG,
	    "%s: belongs to uid %u, but the agent runs as %s and could not "
	    "read it; run: chown %s %s",
	    path, (unsigned)st.st_uid, k->c->user, k->c->user, path);
	found_at(k, a, line, &d);
}

/*
 * The first word of a text that command_check() has passed: what is wrong with
 * that program is put into *ret.
 */
static void
look_at_program(const char *text, struct diag *ret)
{
	auto_free char *path = strndup(text, strcspn(text, " \t"));
	struct stat st;

	if (path == NULL)
		(void)diag_nomem(ret);
	else if (stat(path, &st) < 0)
		(void)diag_set(ret, DIAG_CONFIG,
		    "%s: %s; correct the path of the program", path,
		    strerror(errno));
	else if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		(void)diag_set(ret, DIAG_CONFIG,
		    "%s: not a program that uid %u may execute; run: chmod "
		    "a+rx %s",
		    path, (unsigned)geteuid(), path);
	else if ((st.st_mode & 022) != 0)
		(void)diag_set(ret, DIAG_CONFIG,
		    "%s: mode %04o lets others change the program; run: chmod "
		    "go-w %s",
		    path, (unsigned)(st.st_mode & 07777), path);
}

static void
check_program(
    struct check *k, const struct account *a, const struct secret_ref *ref)
{
	struct diag d = DIAG_INIT;

	look_at_program(ref->name, &d);
	if (d.kind != DIAG_OK)
		found_at(k, a, ref->line, &d);
}

int
config_check_notify(const struct config *c, struct diag *reterr)
{
	struct diag d = DIAG_INIT;

	if (c->notify != NULL)
		look_at_program(c->notify, &d);
	if (d.kind == DIAG_OK)
		return 0;
	*reterr = d;
	return d.kind == DIAG_NOMEM ? -1 :
				      diag_wrap(reterr, "%s: notify", c->path);
}

static void
check_notify(struct check *k)
{
	struct diag d = DIAG_INIT;

	if (config_check_notify(k->c, &d) < 0)
		found(k, &d);
}

/* All that a request for a token needs, put to use once. */
static void
check_use(struct check *k, const struct account *a, const struct secret *s)
{
	auto_credential struct credential c = CREDENTIAL_INIT;
	struct diag d = DIAG_INIT;

	if (credential_init(&c, a, s,
		a->token_endpoint != NULL ? a->token_endpoint : a->issuer,
		k->now_s, &d) < 0)
		found_at(k, a, a->line, &d);
}

static void
check_secret(struct check *k, const struct account *a)
{
	const struct secret_ref *ref = credential_secret(a);
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;

	if (ref == NULL) {
		check_use(k, a, NULL);
		return;
	}
	if (ref->kind == SECRET_REF_COMMAND) {
		check_program(k, a, ref);
		return;
	}
	if (ref->kind == SECRET_REF_CREDENTIAL &&
	    secure_getenv("CREDENTIALS_DIRECTORY") == NULL)
		return;
	if (config_read_secret(a, ref, &s, &d) < 0) {
		found(k, &d);
		return;
	}
	if (ref->kind == SECRET_REF_FILE)
		check_owner(k, a, ref->line, ref->name);
	check_use(k, a, &s);
}

static void
check_key(struct check *k, const struct account *a)
{
	const char *key =
	    a->client_key != NULL ? a->client_key : a->client_certificate;

	if (key != NULL && key[0] == '/')
		check_owner(k, a, a->line, key);
}

/* ret has 11 bytes. */
static void
format_day(int64_t t, char *ret)
{
	time_t when = (time_t)t;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL ||
	    strftime(ret, 11, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(ret, 11, "?");
}

static void
check_end(struct check *k, const struct account *a)
{
	const char *what = a->client_certificate != NULL ?
			       a->client_certificate :
			       "client_secret";
	int64_t end = credential_expires_at(a), left = end - k->now_s;
	struct diag d = DIAG_INIT;
	char day[11];

	if (end == 0 || left > CONFIG_CHECK_SOON_S)
		return;
	format_day(end, day);
	if (left <= 0) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s: ended on %s; make a new one, add it to the "
		    "application, and put it here",
		    what, day);
		found_at(k, a, a->line, &d);
		return;
	}
	(void)diag_set(&d, DIAG_OK,
	    "%s:%u: account %s: note: %s: ends on %s, in %" PRId64
	    " day%s; make a new one, add it to the application, and put it here",
	    k->c->path, a->line, a->name, what, day, left / DAY_S,
	    left / DAY_S == 1 ? "" : "s");
	k->complain(k->arg, &d);
}

static void
check_ca_file(struct check *k, const struct account *a)
{
	struct diag d = DIAG_INIT;

	if (a->ca_file == NULL || access(a->ca_file, R_OK) == 0)
		return;
	(void)diag_set(&d, DIAG_CONFIG,
	    "ca_file %s: %s; correct the path or take it out", a->ca_file,
	    strerror(errno));
	found_at(k, a, a->line, &d);
}

/* Its name, or not all of it: Microsoft would say AADSTS700016. */
static void
check_client_id(struct check *k, const struct account *a)
{
	struct diag d = DIAG_INIT;

	if (a->client_id == NULL || token_is_guid(a->client_id) ||
	    strcmp(a->provider, "microsoft") != 0)
		return;
	(void)diag_set(&d, DIAG_CONFIG,
	    "client_id: is not what Microsoft gives out: write the "
	    "Application (client) ID of the app registration's page, "
	    "36 characters like 11111111-2222-...");
	found_at(k, a, a->line, &d);
}

size_t
config_check_files(const struct config *c, config_complain *complain, void *arg)
{
	struct check k = { c, complain, arg, 0, geteuid() == 0, 0, time(NULL) };
	char buf[4096];
	struct passwd pwd, *pw = NULL;

	if (k.as_root)
		(void)getpwnam_r(c->user, &pwd, buf, sizeof(buf), &pw);
	if (pw != NULL)
		k.agent = pw->pw_uid;
	else
		k.as_root = false;
	check_config_file(&k);
	check_notify(&k);
	for (size_t i = 0; i < c->n_accounts; i++) {
		const struct account *a = c->accounts[i];

		check_client_id(&k, a);
		check_secret(&k, a);
		check_key(&k, a);
		check_end(&k, a);
		check_ca_file(&k, a);
	}
	return k.complaints;
}
