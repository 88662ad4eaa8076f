/*
 * state.c - what sealing costs who reads state: state DIRECTORY COUNT.
 *
 * Writes COUNT grants into each of two new directories below DIRECTORY, sealed
 * and plain, and reads them ROUNDS times each, in turns.  Prints the median
 * nanoseconds of one reading of one file, sealed and then plain.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "sealed_grant.h"
#include "sealing.h"

#define ROUNDS	    21
#define TOKEN_BYTES 2000

struct side {
	char dir[4096];
	struct store store;
	int64_t ns[ROUNDS];
};

static int64_t
now_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const char *
name_of(int i)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "user%d@contoso.example", i);
	return name;
}

/* Without fsync: it is the reading that counts. */
static int
write_one(const struct store *s, int i, const struct grant *g, struct diag *d)
{
	auto_buf struct buf b = BUF_INIT(SEALED_MAX_BYTES);
	const struct keyring *k = s->ring;
	auto_close int fd = -1;
	char file[80];
	int rc = k->n > 0 ? sealed_grant_format(&k->item[0].key, k->item[0].id,
				&b, name_of(i), g, d) :
			    grant_format(&b, name_of(i), g, d);

	if (rc < 0)
		return -1;
	(void)snprintf(file, sizeof(file), "%s.grant", name_of(i));
	fd = openat(
	    s->dirfd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, b.ptr, b.len) != (ssize_t)b.len)
		return diag_set(d, DIAG_RETRY, "%s: cannot be written", file);
	return 0;
}

static int
side_make(
    struct side *side, const struct secret_ref *key, int count, struct diag *d)
{
	static char token[TOKEN_BYTES];
	auto_grant struct grant g = GRANT_INIT;

	memset(token, 't', sizeof(token));
	g.generation = 1;
	g.expires_at = 1;
	if (mkdir(side->dir, 0700) < 0)
		return diag_set(d, DIAG_CONFIG, "%s: not made", side->dir);
	if (!secret_set(&g.access_token, token, sizeof(token)) ||
	    !secret_set(&g.refresh_token, token, sizeof(token) / 2))
		return diag_nomem(d);
	if (sealing_open(&side->store, side->dir, key, true, d) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		if (write_one(&side->store, i, &g, d) < 0)
			return -1;
	return 0;
}

static int
side_read(struct side *side, int count, int64_t *ret_ns, struct diag *d)
{
	int64_t start = now_ns();

	for (int i = 0; i < count; i++) {
		auto_grant struct grant g = GRANT_INIT;

		if (store_read(&side->store, name_of(i), &g, d) < 0)
			return -1;
	}
	*ret_ns = (now_ns() - start) / count;
	return 0;
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char *argv[])
{
	static struct side side[2] = { { .store = STORE_INIT },
		{ .store = STORE_INIT } };
	char path[4096];
	struct secret_ref key = { SECRET_REF_FILE, path, 0 },
			  none = { SECRET_REF_NONE, NULL, 0 };
	struct diag d = DIAG_INIT;
	int count = argc == 3 ? atoi(argv[2]) : 0, rc = 0;

	if (count <= 0 || strlen(argv[1]) > sizeof(path) - 16) {
		fputs("usage: state DIRECTORY COUNT\n", stderr);
		return 64;
	}
	(void)snprintf(path, sizeof(path), "%s/seal.key", argv[1]);
	(void)snprintf(side[0].dir, sizeof(side[0].dir), "%s/sealed", argv[1]);
	(void)snprintf(side[1].dir, sizeof(side[1].dir), "%s/plain", argv[1]);
	if (side_make(&side[0], &key, count, &d) < 0 ||
	    side_make(&side[1], &none, count, &d) < 0)
		rc = -1;
	for (int i = 0; rc == 0 && i < 2 * ROUNDS; i++)
		rc = side_read(&side[i % 2], count, &side[i % 2].ns[i / 2], &d);
	for (int i = 0; i < 2; i++) {
		qsort(side[i].ns, ROUNDS, sizeof(side[i].ns[0]), by_size);
		store_close(&side[i].store);
	}
	if (rc < 0) {
		fprintf(stderr, "state: %s\n", d.text);
		return 1;
	}
	printf("%lld %lld\n", (long long)side[0].ns[ROUNDS / 2],
	    (long long)side[1].ns[ROUNDS / 2]);
	return 0;
}
