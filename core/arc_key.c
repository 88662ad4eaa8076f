#include "arc_key.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "regfile.h"
#include "wire.h"

static const char directory[] = "/var/opt/azcmagent/tokens/";

static int
bad_challenge(struct diag *reterr, const char *what)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "Azure Arc's challenge %s: is it really himds that listens there?",
	    what);
}

/* The realm of a Basic challenge; NULL: it is none. */
static const char *
find_realm(const char *challenge, size_t *len)
{
	const char *s = challenge, *end;

	if (s == NULL || strncasecmp(s, "Basic", 5) != 0)
		return NULL;
	s += 5;
	if (*s != ' ')
		return NULL;
	s += strspn(s, " ");
	if (strncasecmp(s, "realm=", 6) != 0)
		return NULL;
	s += 6;
	if (*s == '"') {
		if ((end = strchr(++s, '"')) == NULL)
			return NULL;
		*len = (size_t)(end - s);
	} else {
		*len = strcspn(s, " ,\t");
	}
	return s;
}

int
arc_key_path(const char *www_authenticate, char **ret, struct diag *reterr)
{
	const size_t dir = sizeof(directory) - 1;
	size_t len = 0;
	const char *path = find_realm(www_authenticate, &len);

	if (path == NULL)
		return bad_challenge(reterr, "names no file");
	if (len <= dir || memcmp(path, directory, dir) != 0)
		return bad_challenge(
		    reterr, "names a file outside of its directory");
	if (len <= dir + 4 || len - dir > 255 ||
	    memcmp(path + len - 4, ".key", 4) != 0)
		return bad_challenge(reterr, "names a file that is no .key");
	if (path[dir] == '.')
		return bad_challenge(reterr, "names a hidden file");
	for (size_t i = dir; i < len; i++)
		if (!isalnum((unsigned char)path[i]) &&
		    strchr("._-", path[i]) == NULL)
			return bad_challenge(
			    reterr, "names a file as it never would");
	if ((*ret = strndup(path, len)) == NULL)
		return diag_nomem(reterr);
	return 0;
}

static int
open_key(const char *path, const char *owner, struct diag *reterr)
{
	/* Not through a link: whoever made it could not read it himself. */
	auto_close int fd = open(
	    path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 && errno == EACCES)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: uid %u cannot read it: let %s be in the group himds "
		    "(usermod -aG himds %s), then restart the agent",
		    path, (unsigned)geteuid(), owner, owner);
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return diag_set(
		    reterr, DIAG_CONFIG, "%s: not a regular file", path);
	return take_fd(&fd);
}

int
arc_key_authorization(const char *path, const char *owner, struct secret *ret,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(ARC_KEY_MAX + 16);
	auto_close int fd = open_key(path, owner, reterr);
	const size_t scheme = strlen("Basic ");

	if (fd < 0)
		return -1;
	buf_adds(&b, "Basic ");
	if (regfile_slurp(fd, path, ARC_KEY_MAX, &b, reterr) < 0)
		return -1;
	while (b.len > scheme && strchr("\r\n ", b.ptr[b.len - 1]) != NULL)
		b.len--;
	if (b.len == scheme || wire_text(b.ptr, b.len) != WIRE_TEXT_ASCII)
		return diag_set(reterr, DIAG_CONFIG,
		    "%s: empty, or not a key of one line: is the Azure "
		    "Connected Machine agent well?",
		    path);
	if (!secret_set(ret, b.ptr, b.len))
		return diag_nomem(reterr);
	return 0;
}
