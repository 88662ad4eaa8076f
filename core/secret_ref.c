#include "secret_ref.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "cleanup.h"
#include "command.h"
#include "regfile.h"

void
secret_ref_free(struct secret_ref *ref)
{
	free(ref->name);
	*ref = (struct secret_ref){ SECRET_REF_NONE, NULL, 0 };
}

static int
check_file(const char *name, struct diag *reterr)
{
	if (name[0] == '/')
		return 0;
	return diag_set(
	    reterr, DIAG_CONFIG, "needs an absolute path: write file:/PATH");
}

static int
check_credential(const char *name, struct diag *reterr)
{
	if (name[0] != '\0' && name[0] != '.' && strpbrk(name, "/ \t") == NULL)
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "needs a name as in LoadCredential=NAME:/PATH: write "
	    "credential:NAME");
}

static const struct kind {
	const char *word;
	enum secret_ref_kind kind;
	int (*check)(const char *name, struct diag *reterr);
} kinds[] = {
	{ "file:", SECRET_REF_FILE, check_file },
	{ "credential:", SECRET_REF_CREDENTIAL, check_credential },
	{ "command:", SECRET_REF_COMMAND, command_check },
};

int
secret_ref_parse(const char *text, struct secret_ref *ret, struct diag *reterr)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];
		size_t n = strlen(k->word);
		char *copy;

		if (strncmp(text, k->word, n) != 0)
			continue;
		if (k->check(text + n, reterr) < 0)
			return -1;
		copy = strdup(text + n);
		if (copy == NULL)
			return diag_nomem(reterr);
		free(ret->name);
		ret->name = copy;
		ret->kind = k->kind;
		return 0;
	}
	return diag_set(reterr, DIAG_CONFIG,
	    "a secret does not stand in this file: put it into a file of mode "
	    "0600 and write file:/PATH here, or credential:NAME for one of "
	    "systemd's, or command:/PROGRAM for what a program prints");
}

/* path has PATH_MAX bytes. */
static int
secret_path(const struct secret_ref *ref, char *path, struct diag *reterr)
{
	const char *dir = "";
	int n;

	if (ref->kind == SECRET_REF_CREDENTIAL &&
	    (dir = secure_getenv("CREDENTIALS_DIRECTORY")) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "credential '%s': not started by systemd with it; write "
		    "LoadCredential=%s:/PATH into the unit, or use file:/PATH",
		    ref->name, ref->name);
	n = snprintf(
	    path, PATH_MAX, "%s%s%s", dir, *dir != '\0' ? "/" : "", ref->name);
	if (n < 0 || n >= PATH_MAX)
		return diag_set(reterr, DIAG_CONFIG, "the path is too long");
	return 0;
}

static int
read_file(const struct secret_ref *ref, const char *owner, struct secret *ret,
    struct diag *reterr)
{
	char path[PATH_MAX];
	auto_buf struct buf b = BUF_INIT(CONFIG_SECRET_MAX + 1);
	auto_close int fd = -1;
	char cure[128];
	struct stat st;
	size_t len;

	if (secret_path(ref, path, reterr) < 0)
		return -1;
	(void)snprintf(cure, sizeof(cure),
	    "let it belong to %s (chown), mode 0600", owner);
	fd = regfile_open(path, cure, &st, reterr);
	if (fd < 0)
		return -1;
	if (regfile_private(path, &st, reterr) < 0 ||
	    regfile_slurp(fd, path, CONFIG_SECRET_MAX, &b, reterr) < 0)
		return -1;

	len = b.len;
	if (len > 0 && b.ptr[len - 1] == '\n')
		len--;
	if (len > 0 && len < b.len && b.ptr[len - 1] == '\r')
		len--;
	if (len == 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: empty; write the secret into it", path);
	if (memchr(b.ptr, '\0', len) != NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: has a NUL byte; it must be plain text, not UTF-16",
		    path);
	if (!secret_set(ret, b.ptr, len))
		return diag_nomem(reterr);
	return 0;
}

int
secret_ref_read(const struct secret_ref *ref, const char *owner,
    struct secret *ret, struct diag *reterr)
{
	if (ref->kind == SECRET_REF_COMMAND)
		return command_run(ref->name, COMMAND_TIMEOUT_MS, ret, reterr);
	return read_file(ref, owner, ret, reterr);
}
