/* Sealed bytes: what opens was sealed with this key, and nothing else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a text: sealed, it opens, and with one bit changed it does not. */
static void
check_round_trip(const struct secret *key, const uint8_t *data, size_t size)
{
	struct buf sealed = BUF_INIT(size + SEAL_OVERHEAD);
	struct buf text = BUF_INIT(size + 1);
	struct diag d = DIAG_INIT;
	size_t at;

	if (seal_close(key, "a", 1, data, size, &sealed, &d) < 0 ||
	    seal_open(key, "a", 1, sealed.ptr, sealed.len, &text, &d) < 0 ||
	    text.len != size || (size > 0 && memcmp(text.ptr, data, size) != 0))
		abort();
	buf_wipe(&text);
	at = (size > 0 ? data[0] : 0) % sealed.len;
	sealed.ptr[at] = (char)(sealed.ptr[at] ^ 1 << size % 8);
	if (seal_open(key, "a", 1, sealed.ptr, sealed.len, &text, &d) == 0 ||
	    d.kind != DIAG_CONFIG || text.len != 0)
		abort();
	buf_wipe(&text);
	buf_wipe(&sealed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char key_bytes[SEAL_KEY_BYTES];
	const struct secret key = { key_bytes, sizeof(key_bytes) };
	uint8_t *sealed = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct buf text = BUF_INIT(65536);
	struct diag d = DIAG_INIT;

	if (sealed == NULL)
		return 0;
	memcpy(sealed, data, size);
	if (seal_open(&key, NULL, 0, sealed, size, &text, &d) == 0) {
		if (text.len + SEAL_OVERHEAD != size || d.kind != DIAG_OK)
			abort();
	} else if (text.len != 0 || d.kind != DIAG_CONFIG) {
		abort();
	}
	check_round_trip(&key, data, size);
	buf_wipe(&text);
	free(sealed);
	return 0;
}
