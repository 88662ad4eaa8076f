/* The query of a redirect, and base64 from anywhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out goes in again, and comes out the same. */
static void
check_form(const char *text, size_t size)
{
	struct secret code = SECRET_INIT, again = SECRET_INIT;
	struct buf b = BUF_INIT(4 * size + 64);
	int rc = form_get(text, size, "code", &code);

	if (rc < -1 || rc > 1 || (rc != 1 && code.ptr != NULL))
		abort();
	if (rc == 1) {
		form_add(&b, "code", code.ptr, code.len);
		if (b.failed || strlen(code.ptr) != code.len ||
		    form_get(b.ptr, b.len, "code", &again) != 1 ||
		    again.len != code.len ||
		    memcmp(again.ptr, code.ptr, code.len) != 0)
			abort();
	}
	secret_wipe(&code);
	secret_wipe(&again);
	buf_wipe(&b);
}

static void
check_base64(const char *text, size_t size)
{
	struct buf raw = BUF_INIT(size + 1), b = BUF_INIT(2 * size + 8);
	struct buf again = BUF_INIT(size + 1);

	if (base64_decode(&raw, text, size)) {
		if (raw.len > size / 4 * 3 + 2)
			abort();
		base64url_add(&b, raw.ptr, raw.len);
		if (b.failed || !base64_decode(&again, b.ptr, b.len) ||
		    again.len != raw.len ||
		    (raw.len > 0 && memcmp(again.ptr, raw.ptr, raw.len) != 0))
			abort();
	} else if (raw.len != 0) {
		abort();
	}
	buf_wipe(&raw);
	buf_wipe(&b);
	buf_wipe(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1); /* exact, for ASan */

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	check_form(text, size);
	check_base64(text, size);
	free(text);
	return 0;
}
