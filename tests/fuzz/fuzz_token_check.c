/* Claims of any kind: whole sentences, and PowerShell that holds only ours. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exchange_online.h"
#include "token_check.h"

#define CLAIMS_MAX 32768

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_line(const char *s)
{
	if (*s == '\0')
		abort();
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			abort();
}

/* Nothing of the claims gets there but GUIDs. */
static void
check_script(const struct token_facts *f)
{
	auto_buf struct buf b = BUF_INIT(8192);

	exchange_online_setup(&b, f, NULL, "o'brien@contoso.example");
	buf_add(&b, "", 1);
	if (b.failed || strlen(b.ptr) + 1 != b.len)
		abort();
	for (const char *s = b.ptr; *s != '\0'; s++)
		if (strchr(
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			"0123456789-<>_$:|'@.\n ",
			*s) == NULL)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json *claims =
	    json_read((const char *)data, size, CLAIMS_MAX);
	struct account a = { .name = (char[]){ "robot" },
		.tenant = (char[]){ "aaaaaaaa-1111-2222-3333-444444444444" },
		.client_id = (char[]){ "11111111-2222-3333-4444-555555555555" },
		.services = SERVICE_SMTP | SERVICE_IMAP | SERVICE_POP };
	struct token_finding found[TOKEN_FINDINGS_MAX];
	struct token_facts f;
	size_t n;

	if (claims == NULL)
		return 0;
	token_facts_read(claims, &f);
	n = token_check(&f, &a, "anna@contoso.example", 1790000000, found);
	if (n > TOKEN_FINDINGS_MAX)
		abort();
	for (size_t i = 0; i < n; i++) {
		check_line(found[i].cause);
		check_line(found[i].todo);
	}
	(void)token_check(&f, NULL, NULL, 0, found);
	check_script(&f);
	return 0;
}
