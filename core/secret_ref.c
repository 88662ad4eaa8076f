#include "secret_ref.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"

void
secret_ref_free(struct secret_ref *ref)
{
	free(ref->name);
	*ref = (struct secret_ref){ SECRET_REF_NONE, NULL, 0 };
}

int
secret_ref_parse(const char *text, struct secret_ref *ret, struct diag *reterr)
{
	bool file = strncmp(text, "file:", 5) == 0;
	const char *name = text + (file ? 5 : 11);
	char *copy;

	if (!file && strncmp(text, "credential:", 11) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "a secret does not stand in this file: put it into a file "
		    "of mode 0600 and write file:/PATH here, or credential:NAME "
		    "for one of systemd's");
	if (file && name[0] != '/')
		return diag_set(reterr, DIAG_CONFIG,
		    "needs an absolute path: write file:/PATH");
	if (!file && (name[0] == '\0' || name[0] == '.' ||
			 strpbrk(name, "/ \t") != NULL))
		return diag_set(reterr, DIAG_CONFIG,
		    "needs a name as in LoadCredential=NAME:/PATH: write "
		    "credential:NAME");

	copy = strdup(name);
	if (copy == NULL)
		return diag_nomem(reterr);
	free(ret->name);
	ret->name = copy;
	ret->kind = file ? SECRET_REF_FILE : SECRET_REF_CREDENTIAL;
	return 0;
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

int
secret_ref_read(const struct secret_ref *ref, const char *owner,
    struct secret *ret, struct diag *reterr)
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
	if (ref->kind == SECRET_REF_FILE && (st.st_mode & 077) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: mode %04o lets others use it; run: chmod 600 %s", path,
		    (unsigned)(st.st_mode & 07777), path);
	if (regfile_slurp(fd, path, CONFIG_SECRET_MAX, &b, reterr) < 0)
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
