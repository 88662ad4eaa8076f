#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"

#define OVERFLOW_UID 65534 /* as whom the kernel shows who has no uid here */

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

/*
 * In a user namespace: the file of somebody outside, whom root in here is not.
 * It is as an administrator has given it, and nobody in here can write it.
 */
static bool
is_from_outside(const char *path, const struct stat *st)
{
	return st->st_uid == OVERFLOW_UID && access(path, W_OK) < 0 &&
	       errno == EACCES;
}

/*
 * Whoever can change the file can have every token; and what root runs, and
 * as whom, is root's to say.
 */
static int
check_file(const char *path, const struct stat *st, struct diag *reterr)
{
	if ((st->st_mode & 022) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: mode %04o lets others change it; run: chmod go-w %s",
		    path, (unsigned)(st->st_mode & 07777), path);
	if (geteuid() == 0 && st->st_uid != 0 && !is_from_outside(path, st))
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: belongs to uid %u, and root does not do what others "
		    "can write; run: chown root %s",
		    path, (unsigned)st->st_uid, path);
	return 0;
}

static int
load_text(const char *path, struct buf *b, struct diag *reterr)
{
	struct stat st;
	auto_close int fd = regfile_open(path, CONFIG_ACCESS_CURE, &st, reterr);

	if (fd < 0 && access(path, F_OK) < 0 && errno == ENOENT)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: there is no such file; make it with: mailtoken add "
		    "ACCOUNT, or bring it back with: mailtoken restore FILE",
		    path);
	if (fd < 0)
		return -1;
	if (check_file(path, &st, reterr) < 0)
		return -1;
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
	if (secret_ref_read(ref, a->config->user, ret, reterr) == 0)
		return 0;
	return config_wrap_secret(a, ref, reterr);
}

int
config_wrap_secret(
    const struct account *a, const struct secret_ref *ref, struct diag *d)
{
	if (d->kind == DIAG_NOMEM)
		return -1;
	return diag_wrap(
	    d, "%s:%u: account %s", a->config->path, ref->line, a->name);
}
