/*
 * listener.h - the agent's sockets: handed over by systemd, or its own.
 */
#ifndef HELPERS_LISTENER_H
#define HELPERS_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"

#define LISTENERS_MAX 16

/* What is spoken there: docs/PROTOCOL.md, or Postfix's socketmap. */
enum listener_kind { LISTENER_AGENT, LISTENER_SOCKETMAP, LISTENER__COUNT };

struct listeners {
	struct {
		int fd;
		char *path; /* of our own; NULL: systemd's */
		enum listener_kind kind;
	} item[LISTENERS_MAX];
	size_t n;
	bool activated; /* by systemd */
};

/*
 * Sockets that systemd hands over win (FileDescriptorName=socketmap says what
 * is spoken there); else one is made at each of the paths (NULL-ended;
 * socketmap may be NULL).  Directories that are missing are made, 0755.  A socket that
 * is left over is replaced, one that another agent answers at is refused.
 * Everybody may connect: who may have what is decided per request.
 * Returns -1 with *reterr (CONFIG, RETRY).
 */
int listeners_open(struct listeners *l, char *const paths[],
    char *const socketmap[], struct diag *reterr);
/* Closes all; removes our own from the file system where we still may. */
void listeners_close(struct listeners *l);

#endif
