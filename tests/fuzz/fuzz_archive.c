/* The text of an archive: items lie within it, and each is read once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct archive_reader r;
	struct archive_item item;
	struct diag d = DIAG_INIT;
	const char *last = text;
	int rc;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	rc = archive_open(&r, text, size, &d);
	while (rc >= 0 && (rc = archive_next(&r, &item, &d)) == 1) {
		if (item.kind >= ARCHIVE__COUNT || *item.name == '\0' ||
		    item.mode < 0 || item.mode > 07777 || item.bytes < last ||
		    item.bytes + item.len > text + size)
			abort();
		last = item.bytes + item.len;
	}
	if (rc < 0 && d.kind != DIAG_CONFIG)
		abort();
	free(text);
	return 0;
}
