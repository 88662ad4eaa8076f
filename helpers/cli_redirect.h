/*
 * cli_redirect.h - a small web server on 127.0.0.1 and ::1 that waits for the
 * redirect which ends a login in the browser (RFC 8252 section 7.3).  Other
 * logins' redirects and anything else get a page and change nothing.
 */
#ifndef HELPERS_CLI_REDIRECT_H
#define HELPERS_CLI_REDIRECT_H

#include <stdbool.h>
#include <sys/types.h>

#include "authorization.h"
#include "cli_wait.h"
#include "diag.h"
#include "secret.h"

struct redirect;

/*
 * Listens on port; 0: on any.  account and a are borrowed.  NULL with *reterr
 * (CONFIG: the port is taken; NOMEM).
 */
struct redirect *redirect_open(struct cli_wait *w,
    const struct account *account, struct authorization *a, unsigned port,
    struct diag *reterr);
/* A browser that still waits is told that the login was given up. */
void redirect_close(struct redirect **r);

unsigned redirect_port(const struct redirect *r);
/* "http://localhost:PORT/" */
const char *redirect_uri(const struct redirect *r);
/*
 * Where a browser of this host may be sent by way of a program's arguments,
 * which everybody can read: it leads on to url once, and holds no state.  Only
 * programs of the user `browser` and root's are let on, and nobody's where the
 * kernel does not tell.
 */
const char *redirect_start(
    struct redirect *r, const struct secret *url, uid_t browser);

/* True once this login's redirect has come. */
const bool *redirect_done(const struct redirect *r);
/* The code that it brought; or -1 with *reterr. */
int redirect_code(struct redirect *r, struct secret *ret, struct diag *reterr);
/*
 * Shows how it ended (NULL: well) to the browser that waits, and a moment
 * longer to other tabs.
 */
void redirect_finish(struct redirect *r, const struct diag *why);

#endif
