/* Whatever a mail server says: one printable line, and no credential. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail_dialogue.h"

#define CREDENTIAL_LEN 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_shown(const char *s)
{
	size_t run = 0;

	for (; *s != '\0'; s++) {
		if (*s < ' ' || *s > '~')
			abort();
		run = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789._~+/=-",
			  *s) != NULL ?
			  run + 1 :
			  0;
		/* Three dots may stand behind what was cut. */
		if (run >= CREDENTIAL_LEN + 3)
			abort();
	}
}

/* The first byte chooses the service; lines that begin with > are ours. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum service services[] = { SERVICE_SMTP, SERVICE_IMAP,
		SERVICE_POP };
	struct dialogue d = { 0 };
	char *text, shown[320], little[8];

	if (size == 0 || (text = malloc(size)) == NULL)
		return 0;
	memcpy(text, data, size);
	d.speech = speech_of(services[data[0] % 3]);
	for (char *p = text + 1, *end = text + size; p < end;) {
		char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((eol != NULL ? eol + 1 : end) - p);

		if (*p == '>')
			dialogue_sent(&d, p + 1, n - 1);
		else
			dialogue_heard(&d, p, n);
		if (strlen(d.heard) != d.len || d.stage >= MAILBOX_STAGE__COUNT)
			abort();
		p += n;
	}
	dialogue_show(d.heard, shown, sizeof(shown));
	check_shown(shown);
	dialogue_show(d.heard, little, sizeof(little));
	check_shown(little);
	free(text);
	return 0;
}
