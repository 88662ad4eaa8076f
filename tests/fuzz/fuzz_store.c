/*
 * State files: whatever is in one, a grant comes out whole or not at all, and
 * of what is sealed only what was sealed so.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sealed_grant.h"

#define ACCOUNT "relay@contoso.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char key_bytes[SEAL_KEY_BYTES]; /* zeros: the corpus has some */
static const struct secret key = { key_bytes, sizeof(key_bytes) };
static char key_id[SEAL_ID_LEN + 1];

static void
check_same(const struct grant *a, const struct grant *b)
{
	if (a->generation != b->generation || a->expires_at != b->expires_at ||
	    a->place != b->place || a->previous_place != b->previous_place ||
	    a->refresh_token.len != b->refresh_token.len ||
	    a->access_token.len != b->access_token.len)
		abort();
}

/* What was read can be written, and reads the same. */
static void
check_round_trip(const struct grant *g)
{
	struct buf b = BUF_INIT(GRANT_MAX_BYTES);
	struct grant again = GRANT_INIT;
	struct diag d = DIAG_INIT;

	if (grant_format(&b, ACCOUNT, g, &d) < 0 ||
	    grant_parse(b.ptr, b.len, ACCOUNT, &again, &d) < 0)
		abort();
	check_same(g, &again);
	grant_wipe(&again);
	buf_wipe(&b);
}

/* And it can be sealed; with one bit changed it does not open. */
static void
check_sealing(const struct grant *g, size_t where)
{
	struct buf b = BUF_INIT(SEALED_MAX_BYTES);
	struct grant again = GRANT_INIT;
	struct sealed_line line;
	struct diag d = DIAG_INIT;

	if (sealed_grant_format(&key, key_id, &b, ACCOUNT, g, &d) < 0 ||
	    sealed_grant_line(b.ptr, b.len, &line, &d) != 1 ||
	    line.generation != g->generation || strcmp(line.key, key_id) != 0 ||
	    sealed_grant_parse(&key, &line, b.ptr, b.len, ACCOUNT, &again, &d) <
		0)
		abort();
	check_same(g, &again);
	where %= 8 * b.len;
	b.ptr[where / 8] = (char)(b.ptr[where / 8] ^ 1 << where % 8);
	if (sealed_grant_line(b.ptr, b.len, &line, &d) == 1 &&
	    strcmp(line.key, key_id) == 0 &&
	    sealed_grant_parse(
		&key, &line, b.ptr, b.len, ACCOUNT, &again, &d) == 0)
		abort();
	grant_wipe(&again);
	buf_wipe(&b);
}

/* As the store reads a file: 0 and a grant, or -1. */
static int
parse(char *text, size_t size, struct grant *g, struct diag *d)
{
	struct sealed_line line;
	int rc = sealed_grant_line(text, size, &line, d);

	if (rc == 0)
		return grant_parse(text, size, ACCOUNT, g, d);
	if (rc < 0)
		return -1;
	if (line.len > size || line.len > SEALED_LINE_MAX ||
	    line.generation < 0)
		abort();
	return sealed_grant_parse(&key, &line, text, size, ACCOUNT, g, d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1); /* exact, for ASan */
	struct grant g = GRANT_INIT;
	struct diag d = DIAG_INIT;

	if (text == NULL || seal_key_id(&key, key_id, &d) < 0)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	g.generation = -7;
	if (parse(text, size, &g, &d) == 0) {
		if (g.generation < 0 || d.kind != DIAG_OK)
			abort();
		check_round_trip(&g);
		check_sealing(&g, size * 2654435761u);
	} else if (g.generation != -7 || d.kind != DIAG_CONFIG) {
		abort();
	}
	grant_wipe(&g);
	free(text);
	return 0;
}
