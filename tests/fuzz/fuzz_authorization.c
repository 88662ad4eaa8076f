/* A redirect's query, as any program on the computer may send it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authorization.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(enum authorization_answer answer, const struct secret *code,
    const struct diag *why)
{
	for (const char *s = why->text; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			abort();
	for (size_t i = 0; i < code->len; i++)
		if (code->ptr[i] < ' ' || code->ptr[i] > '~')
			abort();
	if ((answer == AUTHORIZATION_CODE) != (code->len > 0) ||
	    (answer == AUTHORIZATION_REFUSED) != (why->text[0] != '\0'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char issuer[] = "https://id.example.com";
	const struct account account = { .issuer = issuer };
	struct authorization a = AUTHORIZATION_INIT;
	struct secret code = SECRET_INIT;
	struct diag why = DIAG_INIT;
	enum authorization_answer answer;
	char *query = malloc(size + (size == 0));

	if (query == NULL || !secret_set(&a.state, "s", 1)) {
		free(query);
		return 0;
	}
	memcpy(query, data, size);
	answer = authorization_read(&a, &account, query, size, &code, &why);
	check(answer, &code, &why);
	if (a.answered && authorization_read(&a, &account, query, size, &code,
			      &why) != AUTHORIZATION_AGAIN)
		abort();
	free(query);
	secret_wipe(&code);
	authorization_wipe(&a);
	return 0;
}
