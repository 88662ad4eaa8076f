#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "cleanup.h"

#define BACKLOG 1024

static int
from_systemd(struct listeners *l, int n, char **names, struct diag *reterr)
{
	if (n > LISTENERS_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "systemd hands over %d sockets, at most %d can be used", n,
		    LISTENERS_MAX);
	l->activated = true;
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
			return diag_set(reterr, DIAG_CONFIG,
			    "systemd hands over a descriptor that is no "
			    "listening UNIX stream socket: see "
			    "mailtokend.socket");
		l->item[l->n].path = NULL;
		l->item[l->n].kind =
		    names != NULL && names[i] != NULL &&
			    strcmp(names[i], "socketmap") == 0 ?
			LISTENER_SOCKETMAP :
			LISTENER_AGENT;
		l->item[l->n++].fd = fd;
	}
	return 0;
}

/* For everybody to pass through; by its name it might be another's by now. */
static int
make_one(const char *dir)
{
	mode_t was = umask(022);
	int rc = mkdir(dir, 0755);

	(void)umask(was);
	return rc < 0 && errno != EEXIST ? -1 : 0;
}

/* The socket's directory and the one above it; the rest must be there. */
static int
make_directory(const char *path, struct diag *reterr)
{
	auto_free char *dir = strdup(path);
	char *slash, *above;

	if (dir == NULL)
		return diag_nomem(reterr);
	slash = strrchr(dir, '/');
	*slash = '\0';
	if (*dir == '\0')
		return 0;
	if ((above = strrchr(dir, '/')) != NULL && above != dir) {
		*above = '\0';
		(void)make_one(dir);
		*above = '/';
	}
	if (make_one(dir) < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "directory %s: %s: make it, owned by the agent's user, "
		    "or start the agent as root",
		    dir, strerror(errno));
	return 0;
}

static bool
somebody_answers(const struct sockaddr_un *sun)
{
	auto_close int fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	/* A full backlog is an answer too. */
	return connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	       errno == EAGAIN;
}

/*
 * Everybody may connect; the agent itself looks who it is.  The mode is the
 * socket's before it has a name: by its name, somebody who may write to the
 * directory could have any file's changed.
 */
static int
bind_for_all(int fd, const struct sockaddr_un *sun)
{
	mode_t was = umask(0);
	int rc = fchmod(fd, 0666);

	if (rc == 0)
		rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	(void)umask(was);
	return rc;
}

/*
 * Bound under another name and moved into place, so that there is never a
 * moment at which the path is missing or leads to nobody.
 */
static int
make_socket(const char *path, struct diag *reterr)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_un tmp = { .sun_family = AF_UNIX };
	auto_close int fd = -1;
	int n;

	n = snprintf(
	    tmp.sun_path, sizeof(tmp.sun_path), "%s.%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(tmp.sun_path))
		return diag_set(reterr, DIAG_CONFIG,
		    "socket %s: the path is too long, a UNIX socket's has "
		    "less than %zu bytes",
		    path, sizeof(sun.sun_path) - 8);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (make_directory(path, reterr) < 0)
		return -1;
	if (somebody_answers(&sun))
		return diag_set(reterr, DIAG_CONFIG,
		    "socket %s: another agent answers there: stop it first",
		    path);
	(void)unlink(tmp.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind_for_all(fd, &tmp) < 0 || listen(fd, BACKLOG) < 0 ||
	    rename(tmp.sun_path, path) < 0) {
		(void)diag_set(reterr, DIAG_CONFIG, "socket %s: %s", path,
		    strerror(errno));
		(void)unlink(tmp.sun_path);
		return -1;
	}
	return take_fd(&fd);
}

static int
make_all(struct listeners *l, enum listener_kind kind, char *const paths[],
    struct diag *reterr)
{
	for (size_t i = 0; paths != NULL && paths[i] != NULL; i++) {
		if (l->n == LISTENERS_MAX)
			return diag_set(reterr, DIAG_CONFIG,
			    "'listen' and 'socketmap' name more than %d paths",
			    LISTENERS_MAX);
		l->item[l->n].fd = make_socket(paths[i], reterr);
		if (l->item[l->n].fd < 0)
			return -1;
		l->item[l->n].kind = kind;
		l->item[l->n++].path = strdup(paths[i]);
	}
	return 0;
}

int
listeners_open(struct listeners *l, char *const paths[],
    char *const socketmap[], struct diag *reterr)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), rc;

	l->n = 0;
	l->activated = false;
	if (n > 0)
		rc = from_systemd(l, n, names, reterr);
	else if ((rc = make_all(l, LISTENER_AGENT, paths, reterr)) == 0)
		rc = make_all(l, LISTENER_SOCKETMAP, socketmap, reterr);
	for (int i = 0; names != NULL && names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return rc;
}

void
listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		(void)close(l->item[i].fd);
		if (l->item[i].path != NULL)
			(void)unlink(l->item[i].path);
		free(l->item[i].path);
	}
	l->n = 0;
}
