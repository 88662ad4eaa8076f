/*
 * echo.h - what a stranger sends back of what it was told: an error that
 * quotes the request.  quote.h takes out what looks like a credential; this
 * knows what the credentials were.  Pure.
 */
#ifndef CORE_ECHO_H
#define CORE_ECHO_H

#include "diag.h"
#include "oauth2.h"
#include "secret.h"

/*
 * diag_hide() for all secrets of a request, as they are and as they were sent.
 * Returns -1, for who passes a failure on.  Without memory, *d is NOMEM.
 */
int echo_hide_request(const struct oauth2_request *sent, struct diag *d);

#endif
