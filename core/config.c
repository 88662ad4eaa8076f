#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"

struct config *
config_parse(const char *text, size_t len, const char *path,
    config_complain *complain, void *arg)
{
	auto_free char *copy = malloc(len + 1);

	if (copy == NULL) {
		struct diag d = DIAG_INIT;

		(void)diag_nomem(&d);
		complain(arg, &d);
		return NULL;
	}
	memcpy(copy, text, len);
	return config_text_parse(copy, len, path, complain, arg);
}

#define ACCESS_CURE "let it belong to root and the agent's group, mode 0640"

/* Whoever can change the file can have every token. */
static int
load_text(const char *path, struct buf *b, struct diag *reterr)
{
	struct stat st;
	auto_close int fd = regfile_open(path, ACCESS_CURE, &st, reterr);

	if (fd < 0)
		return -1;
	if ((st.st_mode & 022) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: mode %04o lets others change it; run: chmod go-w %s",
		    path, (unsigned)(st.st_mode & 07777), path);
	/* One byte stays for the parser's NUL. */
	if (regfile_slurp(fd, path, CONFIG_MAX_BYTES, b, reterr) < 0)
		return -1;
	if (buf_room(b, 1) == NULL)
		return diag_nomem(reterr);
	return 0;
}

struct config *
config_load(const char *path, config_complain *complain, void *arg)
{
	auto_buf struct buf b = BUF_INIT(CONFIG_MAX_BYTES + 2);
	struct diag d = DIAG_INIT;

	if (load_text(path, &b, &d) < 0) {
		complain(arg, &d);
		return NULL;
	}
	return config_text_parse(b.ptr, b.len, path, complain, arg);
}

int
config_read_secret(const struct account *a, const struct secret_ref *ref,
    struct secret *ret, struct diag *reterr)
{
	const struct config *c = a->config;

	if (secret_ref_read(ref, c->user, ret, reterr) == 0)
		return 0;
	if (reterr->kind == DIAG_NOMEM)
		return -1;
	return diag_wrap(
	    reterr, "%s:%u: account %s", c->path, ref->line, a->name);
}

/* What config_check_files() is busy with. */
struct check {
	const struct config *c;
	config_complain *complain;
	void *arg;
	size_t complaints;
	bool as_root; /* and the agent will run as: */
	uid_t agent;
};

static void
found(struct check *k, const struct diag *d)
{
	k->complaints++;
	k->complain(k->arg, d);
}

static void
check_config_file(struct check *k)
{
	const char *path = k->c->path;
	struct diag d = DIAG_INIT;
	struct stat st;
	auto_close int fd = regfile_open(path, ACCESS_CURE, &st, &d);

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

static void
check_secret(struct check *k, const struct account *a)
{
	const struct secret_ref *ref = &a->client_secret;
	auto_secret struct secret s = SECRET_INIT;
	struct diag d = DIAG_INIT;
	struct stat st;

	if (ref->kind == SECRET_REF_NONE ||
	    (ref->kind == SECRET_REF_CREDENTIAL &&
		secure_getenv("CREDENTIALS_DIRECTORY") == NULL))
		return;
	if (config_read_secret(a, ref, &s, &d) < 0) {
		found(k, &d);
		return;
	}
	/* Root reads everything; the agent is not root when it does. */
	if (k->as_root && ref->kind == SECRET_REF_FILE &&
	    stat(ref->name, &st) == 0 && st.st_uid != k->agent) {
		(void)diag_set(&d, DIAG_CONFIG,
		    "%s:%u: account %s: %s: belongs to uid %u, but the agent "
		    "runs as %s and could not read it; run: chown %s %s",
		    k->c->path, ref->line, a->name, ref->name,
		    (unsigned)st.st_uid, k->c->user, k->c->user, ref->name);
		found(k, &d);
	}
}

static void
check_ca_file(struct check *k, const struct account *a)
{
	struct diag d = DIAG_INIT;

	if (a->ca_file == NULL || access(a->ca_file, R_OK) == 0)
		return;
	(void)diag_set(&d, DIAG_CONFIG,
	    "%s:%u: account %s: ca_file %s: %s; correct the path or take it out",
	    k->c->path, a->line, a->name, a->ca_file, strerror(errno));
	found(k, &d);
}

size_t
config_check_files(const struct config *c, config_complain *complain, void *arg)
{
	struct check k = { c, complain, arg, 0, geteuid() == 0, 0 };
	char buf[4096];
	struct passwd pwd, *pw = NULL;

	if (k.as_root)
		(void)getpwnam_r(c->user, &pwd, buf, sizeof(buf), &pw);
	if (pw != NULL)
		k.agent = pw->pw_uid;
	else
		k.as_root = false;
	check_config_file(&k);
	for (size_t i = 0; i < c->n_accounts; i++) {
		check_secret(&k, c->accounts[i]);
		check_ca_file(&k, c->accounts[i]);
	}
	return k.complaints;
}
