/* A file of keys: a ring of whole ones, or a sentence that shows none. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_ring(const struct keyring *k)
{
	if (k->n == 0 || k->n > KEYRING_MAX)
		abort();
	for (size_t i = 0; i < k->n; i++)
		if (k->item[i].key.len != SEAL_KEY_BYTES ||
		    strlen(k->item[i].id) != SEAL_ID_LEN ||
		    keyring_find(k, k->item[i].id) == NULL)
			abort();
}

/* No eight digits of a line are in it; the file's name has fewer. */
static void
check_text(const struct diag *d)
{
	size_t run = 0;

	if (d->kind != DIAG_CONFIG || d->text[0] == '\0')
		abort();
	for (const char *s = d->text; *s != '\0'; s++) {
		run =
		    strchr("0123456789abcdefABCDEF", *s) != NULL ? run + 1 : 0;
		if (*s < ' ' || *s > '~' || run >= 8)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keyring k = KEYRING_INIT;
	struct diag d = DIAG_INIT;
	char path[64];
	struct secret_ref ref = { .kind = SECRET_REF_FILE, .name = path };
	int fd = memfd_create("keys", MFD_CLOEXEC);

	if (fd < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchmod(fd, 0600) == 0 && write(fd, data, size) == (ssize_t)size) {
		if (keyring_open(&k, &ref, 0, &d) == 0)
			check_ring(&k);
		else
			check_text(&d);
	}
	keyring_close(&k);
	(void)close(fd);
	return 0;
}
