/*
 * device.h - a login on another device (RFC 8628) as a machine without I/O.
 *
 *   WAITING --pending, slow_down, no answer--> WAITING, asks again later
 *      |----tokens--> DONE
 *      '----refused, or too late--> FAILED
 *
 * `now` and all times are milliseconds of one clock that the caller keeps.
 * Microsoft's authorization_declined means access_denied, and its
 * bad_verification_code an unknown device code.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "oauth2.h"
#include "secret.h"

#define DEVICE_INTERVAL_MS     5000 /* section 3.2, if the provider says none */
#define DEVICE_SLOW_DOWN_MS    5000 /* section 3.5, added for good */
#define DEVICE_INTERVAL_MAX_MS 60000
#define DEVICE_LIFE_S	       900 /* if the provider says none */
#define DEVICE_LIFE_MAX_S      3600
#define DEVICE_USER_CODE_MAX   64
#define DEVICE_URI_MAX	       512

enum device_state {
	DEVICE_WAITING,
	DEVICE_DONE,		/* final */
	DEVICE_FAILED		/* final */
};

struct device {
	enum device_state state;
	struct secret code;	/* for the token endpoint; empty in the end */
	char user_code[DEVICE_USER_CODE_MAX + 1];	/* what a person types */
	char uri[DEVICE_URI_MAX + 1];			/* where */
	char uri_complete[DEVICE_URI_MAX + 1];	/* with the code; or "" */
	int64_t interval_ms;
	int64_t poll_ms;	/* when to ask next */
	int64_t end_ms;		/* of the code's life */
	bool asking;		/* a request is out */
	struct diag why;	/* in FAILED */
};
void device_wipe(struct device *d);

/*
 * Reads the device authorization endpoint's answer.  Returns 0 and *ret, or
 * -1 with *reterr: kinds as oauth2_parse_tokens(), and CONFIG for an answer
 * that is no good.  The URI is one that provider_check_url() takes.
 */
int device_start(struct device *ret, long http_status, int64_t retry_after_s,
	const char *body, size_t len, bool insecure_http, int64_t now,
	struct diag *reterr);

/* When device_poll() wants to be called next; not while a request is out. */
int64_t device_due_ms(const struct device *d);
/*
 * True: send one request, and report its end by one of the two below.  False:
 * not now, or the machine has ended; look at state.
 */
bool device_poll(struct device *d, int64_t now);
/* The token endpoint's answer; *ret is set in DONE, and only there. */
void device_answered(struct device *d, int64_t now, long http_status,
	int64_t retry_after_s, const char *body, size_t len,
	struct oauth2_tokens *ret);
/* There was none.  RETRY: asks less often from now on; else it fails. */
void device_unanswered(struct device *d, int64_t now, const struct diag *why);

#endif
