#include "expiry.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM	     1
#define HASH_FUNCTION(s, len, hashv) HASH_OAT(s, len, hashv)
#include <uthash.h>

#include "credential.h"
#include "log.h"

#define DAY_S (24 * 3600)

static const int days_left[] = { 30, 7, 1, 0 };

const char *
expiry_what(const struct account *a)
{
	if (a->client_certificate != NULL)
		return "certificate";
	return a->client_secret.kind != SECRET_REF_NONE ? "client_secret" :
							  NULL;
}

struct expiry_file {
	UT_hash_handle hh;
	int64_t at;
	char path[];
};

void
expiry_files_wipe(struct expiry_files *files)
{
	struct expiry_file *f = files->by_path, *next;

	HASH_CLEAR(hh, files->by_path);
	for (; f != NULL; f = next) {
		next = f->hh.next;
		free(f);
	}
}

/* Without memory it is read again for the next account. */
static void
keep(struct expiry_files *files, const char *path, int64_t at)
{
	size_t n = strlen(path);
	struct expiry_file *f = calloc(1, sizeof(*f) + n + 1);

	if (f == NULL)
		return;
	memcpy(f->path, path, n);
	f->at = at;
	HASH_ADD_KEYPTR(hh, files->by_path, f->path, n, f);
	if (f->hh.tbl == NULL)
		free(f);
}

/* The same path is the same file: they are looked at within a moment. */
static bool
find_end(const struct account *a, struct expiry_files *files, int64_t *ret)
{
	const char *path = a->client_certificate;
	struct expiry_file *f = NULL;

	if (path == NULL || files == NULL) {
		*ret = credential_expires_at(a);
		return true;
	}
	HASH_FIND(hh, files->by_path, path, strlen(path), f);
	if (f != NULL) {
		*ret = f->at;
		return true;
	}
	if (HASH_COUNT(files->by_path) >= EXPIRY_FILES_MAX)
		return false;
	*ret = credential_expires_at(a);
	keep(files, path, *ret);
	return true;
}

bool
expiry_look(
    struct expiry *e, const struct account *a, struct expiry_files *files)
{
	int64_t at = 0;

	if (!find_end(a, files, &at))
		return false;
	if (at != e->at)
		*e = (struct expiry){ .at = at };
	return true;
}

static unsigned
passed(int64_t left_s)
{
	unsigned n = 0;

	while (n < sizeof(days_left) / sizeof(days_left[0]) &&
	       left_s <= (int64_t)days_left[n] * DAY_S)
		n++;
	return n;
}

static void
describe(const struct account *a, int64_t left_s, struct diag *ret)
{
	const char *ends = left_s > 0 ? "ends" : "has ended";

	if (a->client_certificate != NULL)
		(void)diag_set(ret, DIAG_CONFIG,
		    "%s %s: make a new one, add it to the application, then "
		    "replace the file",
		    a->client_certificate, ends);
	else
		(void)diag_set(ret, DIAG_CONFIG,
		    "the client secret %s: make a new one and store it, then "
		    "write its client_secret_expires",
		    ends);
}

bool
expiry_say(
    struct expiry *e, const struct account *a, int64_t now_s, struct diag *ret)
{
	int64_t left_s = e->at - now_s;
	int64_t days = left_s > 0 ? left_s / DAY_S : 0;
	unsigned n = e->at != 0 ? passed(left_s) : 0;
	bool news = n > e->said;
	struct log_line l;

	e->said = n;
	if (!news)
		return false;
	describe(a, left_s, ret);
	l = log_event(left_s > 0 ? LOG_WARNING : LOG_ERR, "expires");
	log_str(&l, "account", a->name);
	log_str(&l, "what", expiry_what(a));
	log_int(&l, "days", days);
	log_str(&l, "text", ret->text);
	log_send(&l);
	if (left_s > 0)
		(void)diag_wrap(ret, "in %lld days", (long long)days);
	return true;
}
