/*
 * import_file.h - the files in which other programs keep a login, read for
 * the refresh token and for what it belongs to.  Pure: no I/O.
 */
#ifndef CORE_IMPORT_FILE_H
#define CORE_IMPORT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "diag.h"
#include "secret.h"

#define IMPORT_FILE_MAX	(1 << 20)	/* bytes of a file */

enum import_format {
	IMPORT_ANY,		/* "auto": look what it is */
	IMPORT_TOKEN,		/* the bare refresh token */
	IMPORT_JSON,		/* {"refresh_token": ...} of any program */
	IMPORT_SASL_XOAUTH2,	/* its token file, or its configuration */
	IMPORT_MUTT,		/* mutt_oauth2.py's, decrypted */
	IMPORT_OAMA,		/* decrypted */
	IMPORT_EMAIL_PROXY,	/* email-oauth2-proxy's emailproxy.config */
	IMPORT__COUNT
};
/* The word for --format. */
const char *import_format_name(enum import_format f);
bool import_format_parse(const char *word, enum import_format *ret);

/* Strings are owned; NULL: the file does not say. */
struct import_file {
	enum import_format format;
	char *mailbox;		/* whose login it is */
	char *client_id;	/* the refresh token is good for this one only */
	char *token_endpoint;
	char *tenant;		/* of a token endpoint of Microsoft's */
	struct secret refresh_token;	/* empty: it tells of a client only */
	bool sealed;		/* a password is needed: import_file_unseal() */
	struct buf salt;
	int64_t iterations;	/* 0: not said */
};
#define IMPORT_FILE_INIT \
	{ IMPORT_ANY, NULL, NULL, NULL, NULL, SECRET_INIT, false, \
	  BUF_INIT(1024), 0 }
void import_file_wipe(struct import_file *f);
#define auto_import_file __attribute__((cleanup(import_file_wipe)))

/*
 * text[len] must be writable; the text is changed.  mailbox (may be NULL)
 * chooses one of several, and must be the file's if that names one.  Returns
 * 0 and *ret; or -1 with *reterr (CONFIG, NOMEM), a text to be put behind the
 * file's name that quotes no secret, and *ret is untouched.
 */
int import_file_parse(char *text, size_t len, enum import_format format,
	const char *mailbox, struct import_file *ret, struct diag *reterr);

/*
 * Opens a sealed refresh token with the password that mail programs use to
 * log in to that proxy.  Takes a second or a few.  -1 with *reterr.
 */
int import_file_unseal(struct import_file *f, const struct secret *password,
	struct diag *reterr);

#endif
