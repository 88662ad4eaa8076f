/*
 * The text of a reference to a secret, a line; and behind it what a program
 * prints, or a file has in it, which is to become the secret.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "secret_ref.h"

#define TIMEOUT_MS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is refused is never shown: it may be the secret.  Our own words are. */
static void
check_reference(const char *text)
{
	struct secret_ref ref = { .kind = SECRET_REF_NONE };
	struct diag d = DIAG_INIT;

	if (secret_ref_parse(text, &ref, &d) == 0) {
		if (ref.kind == SECRET_REF_NONE || ref.name == NULL ||
		    *ref.name == '\0' || strstr(text, ref.name) == NULL)
			abort();
	} else if (d.kind != DIAG_CONFIG || ref.name != NULL ||
		   (strlen(text) >= 32 && strstr(d.text, text) != NULL)) {
		abort();
	}
	secret_ref_free(&ref);
	(void)command_check(text, &d);
}

static void
check_secret(int rc, const struct secret *s, const struct diag *d,
    const uint8_t *data, size_t size)
{
	if (rc < 0) {
		if (d->kind != DIAG_CONFIG || s->ptr != NULL)
			abort();
		return;
	}
	if (s->len == 0 || s->len > size || size - s->len > 1 ||
	    memcmp(s->ptr, data, s->len) != 0 || strlen(s->ptr) != s->len ||
	    (s->len < size && data[s->len] != '\n'))
		abort();
}

/* The bytes as a file, read by us and by a program. */
static void
check_contents(const uint8_t *data, size_t size)
{
	struct secret read = SECRET_INIT, printed = SECRET_INIT;
	struct secret_ref ref = { .kind = SECRET_REF_FILE };
	struct diag d = DIAG_INIT;
	int fd = memfd_create("contents", MFD_CLOEXEC), rc, by_program;
	char path[64], text[96];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	(void)snprintf(text, sizeof(text), "/bin/cat %s", path);
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    write(fd, data, size) != (ssize_t)size)
		abort();
	ref.name = path;
	rc = secret_ref_read(&ref, "root", &read, &d);
	check_secret(rc, &read, &d, data, size);
	by_program = command_run(text, TIMEOUT_MS, &printed, &d);
	check_secret(by_program, &printed, &d, data, size);
	if (rc != by_program)
		abort();
	secret_wipe(&read);
	secret_wipe(&printed);
	(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t n = end != NULL ? (size_t)(end - data) : size;
	char *text = strndup((const char *)data, n);

	if (text == NULL)
		return 0;
	check_reference(text);
	free(text);
	if (end != NULL)
		check_contents(end + 1, size - n - 1);
	return 0;
}
