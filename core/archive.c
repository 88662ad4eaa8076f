#include "archive.h"

#include <stdbool.h>
#include <string.h>

#include "seal.h"
#include "wire.h"

#define FIRST_LINE  "mailtoken archive "
#define MAGIC	    FIRST_LINE "1\n"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define HEAD_BYTES  (MAGIC_BYTES + SEAL_SALT_BYTES)
#define ITEM_MAX    16384 /* of the message in front of an item */
#define MODE_MAX    07777

static const char *const kinds[] = {
	[ARCHIVE_CONFIG] = "config",
	[ARCHIVE_FILE] = "file",
	[ARCHIVE_GRANT] = "grant",
};
_Static_assert(
    sizeof(kinds) / sizeof(kinds[0]) == ARCHIVE__COUNT, "one word per kind");

void
archive_begin(struct buf *b, const char *host, int64_t created_at)
{
	wire_put(b, "version", WIRE_VERSION);
	wire_put(b, "host", host);
	wire_put_int(b, "created_at", created_at);
	wire_end(b);
}

void
archive_add(struct buf *b, const struct archive_item *item)
{
	wire_put(b, "kind", kinds[item->kind]);
	wire_put(b, "name", item->name);
	wire_put(b, "owner", item->owner);
	wire_put(b, "group", item->group);
	wire_put_int(b, "mode", item->mode);
	wire_put_int(b, "bytes", (int64_t)item->len);
	wire_end(b);
	buf_add(b, item->bytes, item->len);
}

static int
damaged(struct diag *reterr)
{
	return diag_set(reterr, DIAG_CONFIG,
	    "is damaged inside, or was not made by mailtoken");
}

static int
take_message(struct archive_reader *r, struct wire_msg *msg)
{
	struct diag ignored = DIAG_INIT;
	ssize_t n = wire_parse(
	    r->next, (size_t)(r->end - r->next), ITEM_MAX, msg, &ignored);

	if (n <= 0)
		return -1;
	r->next += n;
	return 0;
}

int
archive_open(
    struct archive_reader *r, char *text, size_t len, struct diag *reterr)
{
	struct wire_msg msg;
	const char *version;

	*r = (struct archive_reader){ .next = text, .end = text + len };
	if (len == 0 || take_message(r, &msg) < 0 ||
	    (version = wire_get(&msg, "version")) == NULL)
		return damaged(reterr);
	if (strcmp(version, WIRE_VERSION) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "was written by a newer mailtoken; upgrade this one");
	r->host = wire_get(&msg, "host");
	(void)wire_get_int(&msg, "created_at", &r->created_at);
	return 0;
}

static bool
kind_parse(const char *word, enum archive_kind *ret)
{
	for (size_t i = 0; word != NULL && i < ARCHIVE__COUNT; i++)
		if (strcmp(word, kinds[i]) == 0) {
			*ret = (enum archive_kind)i;
			return true;
		}
	return false;
}

int
archive_next(
    struct archive_reader *r, struct archive_item *ret, struct diag *reterr)
{
	struct archive_item item = { 0 };
	struct wire_msg msg;
	int64_t bytes = -1;

	if (r->next == r->end)
		return 0;
	if (take_message(r, &msg) < 0 ||
	    !kind_parse(wire_get(&msg, "kind"), &item.kind) ||
	    (item.name = wire_get(&msg, "name")) == NULL ||
	    *item.name == '\0' || !wire_get_int(&msg, "mode", &item.mode) ||
	    item.mode < 0 || item.mode > MODE_MAX ||
	    !wire_get_int(&msg, "bytes", &bytes) || bytes < 0 ||
	    bytes > r->end - r->next)
		return damaged(reterr);
	item.owner = wire_get(&msg, "owner");
	item.group = wire_get(&msg, "group");
	item.bytes = r->next;
	item.len = (size_t)bytes;
	r->next += bytes;
	*ret = item;
	return 1;
}

int
archive_seal(const struct buf *text, const struct secret *passphrase,
    struct buf *ret, struct diag *reterr)
{
	auto_secret struct secret key = SECRET_INIT;
	char head[HEAD_BYTES];

	memcpy(head, MAGIC, MAGIC_BYTES);
	if (seal_random(head + MAGIC_BYTES, SEAL_SALT_BYTES, reterr) < 0 ||
	    seal_key_from_passphrase(passphrase,
		(const unsigned char *)head + MAGIC_BYTES, &key, reterr) < 0)
		return -1;
	buf_add(ret, head, sizeof(head));
	return seal_close(
	    &key, head, sizeof(head), text->ptr, text->len, ret, reterr);
}

static int
check_file(const char *file, size_t len, struct diag *reterr)
{
	size_t word = sizeof(FIRST_LINE) - 1;

	if (len < word || memcmp(file, FIRST_LINE, word) != 0)
		return diag_set(
		    reterr, DIAG_CONFIG, "is no archive of mailtoken export");
	if (len > MAGIC_BYTES && memcmp(file, MAGIC, MAGIC_BYTES) != 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "was written by a newer mailtoken; upgrade this one");
	if (len < HEAD_BYTES + SEAL_OVERHEAD)
		return diag_set(reterr, DIAG_CONFIG, "is cut short");
	return 0;
}

int
archive_unseal(const char *file, size_t len, const struct secret *passphrase,
    struct buf *ret, struct diag *reterr)
{
	auto_secret struct secret key = SECRET_INIT;

	if (check_file(file, len, reterr) < 0 ||
	    seal_key_from_passphrase(passphrase,
		(const unsigned char *)file + MAGIC_BYTES, &key, reterr) < 0)
		return -1;
	if (seal_open(&key, file, HEAD_BYTES, file + HEAD_BYTES,
		len - HEAD_BYTES, ret, reterr) == 0)
		return 0;
	return reterr->kind == DIAG_NOMEM ?
		   -1 :
		   diag_set(reterr, DIAG_CONFIG,
		       "the passphrase is another one, or the archive is cut "
		       "short or altered: nothing was restored");
}
