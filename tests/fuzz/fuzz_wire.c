/* fuzz_wire.c - the agent's protocol as its parser promises it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int promise)
{
	if (!promise)
		abort();
}

/* What was parsed prints as what was read. */
static void
check_round_trip(const struct wire_msg *m, const uint8_t *data, size_t took)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX_BYTES);

	for (size_t i = 0; i < m->n; i++) {
		int64_t n;

		must(wire_get(m, m->pair[i].key) == m->pair[i].value);
		must(wire_text(m->pair[i].value, strlen(m->pair[i].value)) !=
		     WIRE_TEXT_CONTROL);
		(void)wire_get_int(m, m->pair[i].key, &n);
		(void)wire_account_ok(m->pair[i].value);
		wire_put(&b, m->pair[i].key, m->pair[i].value);
	}
	wire_end(&b);
	must(!b.failed && b.len == took && memcmp(b.ptr, data, took) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);
	struct diag d = DIAG_INIT;
	struct wire_msg m;
	ssize_t rc;

	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	rc = wire_parse(copy, size, WIRE_MAX_BYTES, &m, &d);
	must(rc <= (ssize_t)size && rc <= WIRE_MAX_BYTES);
	if (rc < 0) {
		must(d.kind == DIAG_PROTO && d.text[0] != '\0');
	} else if (rc == 0) {
		must(size < WIRE_MAX_BYTES);
		must(size == 0 || memcmp(copy, data, size) == 0);
	} else {
		must(m.n > 0 && m.n <= WIRE_MAX_PAIRS);
		check_round_trip(&m, data, (size_t)rc);
	}
	free(copy);
	return 0;
}
