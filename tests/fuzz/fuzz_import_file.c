/* Files of other programs: a login comes out whole, or a sentence does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "import_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_login(struct import_file *f)
{
	auto_secret struct secret password = SECRET_INIT;
	struct diag d = DIAG_INIT;

	if (f->format == IMPORT_ANY || f->format >= IMPORT__COUNT ||
	    (secret_empty(&f->refresh_token) && f->client_id == NULL) ||
	    (f->sealed && f->format != IMPORT_EMAIL_PROXY))
		abort();
	for (size_t i = 0; i < f->refresh_token.len; i++)
		if (f->refresh_token.ptr[i] <= ' ' ||
		    f->refresh_token.ptr[i] > '~')
			abort();
	if (!f->sealed || !secret_set(&password, "x", 1))
		return;
	/* Some of the corpus opens by this password. */
	f->iterations = 1;
	if (import_file_unseal(f, &password, &d) == 0 &&
	    (f->sealed || secret_empty(&f->refresh_token)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct import_file f = IMPORT_FILE_INIT;
	struct diag d = DIAG_INIT;
	const char *mailbox = NULL;
	char *text;

	if (size == 0 || (text = malloc(size)) == NULL)
		return 0;
	if ((data[0] & 0x80) != 0)
		mailbox = "anna@contoso.example";
	memcpy(text, data + 1, size - 1); /* no NUL behind it */
	if (import_file_parse(text, size - 1,
		(enum import_format)((data[0] & 0x7f) % IMPORT__COUNT), mailbox,
		&f, &d) == 0)
		check_login(&f);
	else if (d.kind != DIAG_CONFIG || *d.text == '\0' ||
		 f.refresh_token.ptr != NULL)
		abort();
	import_file_wipe(&f);
	free(text);
	return 0;
}
