/*
 * cli_exposition.h - metrics as text: OpenMetrics 1.0, which readers of the
 * Prometheus text format 0.0.4 take, too.  Samples may come in any order; they
 * are printed family by family.
 */
#ifndef HELPERS_CLI_EXPOSITION_H
#define HELPERS_CLI_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"

enum family_type { FAMILY_GAUGE, FAMILY_COUNTER, FAMILY_HISTOGRAM };

struct family {
	const char *name; /* without _total and the like */
	enum family_type type;
	const char *help; /* one line, no backslash */
};

struct label {
	const char *name, *value;
};
#define LABELS_MAX 3

struct exposition;

/* The families are borrowed.  NULL: no memory. */
struct exposition *exposition_new(const struct family *families, size_t n);
/* Sets *e to NULL; NULL is fine. */
void exposition_free(struct exposition **e);

/*
 * One sample of families[i].  suffix follows the name ("_total", "").  Labels
 * end with a NULL name, or are NULL; one with a NULL value is left out.
 */
void exposition_add(struct exposition *e, size_t i, const char *suffix,
    const struct label *labels, int64_t value);
/* The same in thousandths. */
void exposition_add_milli(struct exposition *e, size_t i, const char *suffix,
    const struct label *labels, int64_t value);

/*
 * All of it, to be freed; families without a sample are left out.  NULL with
 * *reterr (NOMEM).
 */
char *exposition_text(
    const struct exposition *e, size_t *ret_len, struct diag *reterr);

#endif
