/* What a client of the lookup table says: one request after the other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "socketmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct socketmap_request r = { NULL, NULL };
	struct diag d = DIAG_INIT;
	char *copy = malloc(size + 1);
	size_t at = 0;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	while (at < size) {
		ssize_t took = socketmap_parse(copy + at, size - at, &r, &d);

		if (took <= 0)
			break;
		if ((size_t)took > size - at || *r.map == '\0' ||
		    r.map < copy + at ||
		    r.key + strlen(r.key) >= copy + at + took)
			abort();
		at += (size_t)took;
	}
	free(copy);
	return 0;
}
