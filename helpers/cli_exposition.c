/* cli_exposition.c - samples by family, then the text of all. */
#include "cli_exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct exposition {
	const struct family *family;
	size_t n;
	struct samples {
		FILE *to; /* NULL: none yet */
		char *text;
		size_t len;
	} * samples;
	bool failed;
};

static const char *const types[] = {
	[FAMILY_GAUGE] = "gauge",
	[FAMILY_COUNTER] = "counter",
	[FAMILY_HISTOGRAM] = "histogram",
};

struct exposition *
exposition_new(const struct family *families, size_t n)
{
	struct exposition *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->family = families;
	e->n = n;
	if ((e->samples = calloc(n, sizeof(*e->samples))) == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

void
exposition_free(struct exposition **ep)
{
	struct exposition *e = *ep;

	*ep = NULL;
	if (e == NULL)
		return;
	for (size_t i = 0; i < e->n; i++) {
		if (e->samples[i].to != NULL)
			(void)fclose(e->samples[i].to);
		free(e->samples[i].text);
	}
	free(e->samples);
	free(e);
}

static void
put_value(FILE *to, const char *value)
{
	for (; *value != '\0'; value++)
		if (*value == '\n')
			fputs("\\n", to);
		else if (*value == '"' || *value == '\\')
			fprintf(to, "\\%c", *value);
		else
			fputc(*value, to);
}

static void
put_labels(FILE *to, const struct label *labels)
{
	const char *before = "{";

	for (; labels != NULL && labels->name != NULL; labels++) {
		if (labels->value == NULL)
			continue;
		fprintf(to, "%s%s=\"", before, labels->name);
		put_value(to, labels->value);
		fputc('"', to);
		before = ",";
	}
	if (*before == ',')
		fputc('}', to);
}

/* The line up to its value; NULL: no memory. */
static FILE *
begin(struct exposition *e, size_t i, const char *suffix,
    const struct label *labels)
{
	struct samples *s = &e->samples[i];

	if (s->to == NULL)
		s->to = open_memstream(&s->text, &s->len);
	if (s->to == NULL) {
		e->failed = true;
		return NULL;
	}
	fprintf(s->to, "%s%s", e->family[i].name, suffix);
	put_labels(s->to, labels);
	return s->to;
}

void
exposition_add(struct exposition *e, size_t i, const char *suffix,
    const struct label *labels, int64_t value)
{
	FILE *to = begin(e, i, suffix, labels);

	if (to != NULL)
		fprintf(to, " %" PRId64 "\n", value);
}

void
exposition_add_milli(struct exposition *e, size_t i, const char *suffix,
    const struct label *labels, int64_t value)
{
	FILE *to = begin(e, i, suffix, labels);

	if (to != NULL)
		fprintf(to, " %" PRId64 ".%03d\n", value / 1000,
		    (int)(value % 1000));
}

char *
exposition_text(
    const struct exposition *e, size_t *ret_len, struct diag *reterr)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, ret_len);
	bool failed = e->failed || to == NULL;

	for (size_t i = 0; i < e->n && !failed; i++) {
		const struct family *f = &e->family[i];
		const struct samples *s = &e->samples[i];

		if (s->to == NULL)
			continue;
		failed = fflush(s->to) != 0 || ferror(s->to);
		fprintf(to, "# TYPE %s %s\n# HELP %s %s\n", f->name,
		    types[f->type], f->name, f->help);
		failed = failed || fwrite(s->text, 1, s->len, to) != s->len;
	}
	if (to != NULL) {
		fputs("# EOF\n", to);
		failed = fclose(to) != 0 || failed;
	}
	if (!failed)
		return text;
	free(text);
	(void)diag_nomem(reterr);
	return NULL;
}
