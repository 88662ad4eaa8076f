/* State files: whatever is in one, a grant comes out whole or not at all. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "grant.h"

#define ACCOUNT "relay@contoso.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and reads the same. */
static void
check_round_trip(const struct grant *g)
{
	struct buf b = BUF_INIT(GRANT_MAX_BYTES);
	struct grant again = GRANT_INIT;
	struct diag d = DIAG_INIT;

	if (grant_format(&b, ACCOUNT, g, &d) < 0)
		abort();
	if (grant_parse(b.ptr, b.len, ACCOUNT, &again, &d) < 0 ||
	    again.generation != g->generation ||
	    again.expires_at != g->expires_at ||
	    again.refresh_token.len != g->refresh_token.len ||
	    again.access_token.len != g->access_token.len)
		abort();
	grant_wipe(&again);
	buf_wipe(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	g.generation = -7;
	if (grant_parse(text, size, ACCOUNT, &g, &d) == 0) {
		if (g.generation < 0 || d.kind != DIAG_OK)
			abort();
		check_round_trip(&g);
	} else if (g.generation != -7 || d.kind != DIAG_CONFIG) {
		abort();
	}
	grant_wipe(&g);
	free(text);
	return 0;
}
