/*
 * grants.c - grants CONFIG TOKEN LIFE: state for every account of a
 * configuration, as if each had been asked for just now.
 *
 * All have the access token that the file TOKEN holds, for LIFE seconds.
 * The files belong to the owner of the state directory, and are sealed as the
 * configuration says; they are not synced.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "config.h"
#include "sealed_grant.h"
#include "sealing.h"
#include "wire.h"

#define TOKEN_MAX 32768

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	fprintf(stderr, "grants: %s\n", d->text);
}

static size_t
read_token(const char *path, char *token)
{
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(token, 1, TOKEN_MAX, f) : 0;

	if (f != NULL)
		(void)fclose(f);
	return n;
}

static int
write_grant(const struct store *s, const char *name, const struct buf *b)
{
	char file[WIRE_ACCOUNT_MAX + sizeof(".grant")];
	auto_close int fd = -1;

	(void)snprintf(file, sizeof(file), "%s.grant", name);
	fd = openat(
	    s->dirfd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fchown(fd, s->uid, s->gid) < 0 ||
	    write(fd, b->ptr, b->len) != (ssize_t)b->len) {
		perror(file);
		return -1;
	}
	return 0;
}

static int
format(const struct keyring *k, struct buf *b, const char *name,
    const struct grant *g, struct diag *d)
{
	if (k->n == 0)
		return grant_format(b, name, g, d);
	return sealed_grant_format(
	    &k->item[0].key, k->item[0].id, b, name, g, d);
}

static int
write_all(const struct config *c, const struct store *s, struct grant *g)
{
	for (size_t i = 0; i < c->n_accounts; i++) {
		auto_buf struct buf b = BUF_INIT(SEALED_MAX_BYTES);
		const char *name = c->accounts[i]->name;
		struct diag d = DIAG_INIT;

		g->binding = account_binding(c->accounts[i]);
		if (format(s->ring, &b, name, g, &d) < 0) {
			complain(NULL, &d);
			return -1;
		}
		if (write_grant(s, name, &b) < 0)
			return -1;
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	char token[TOKEN_MAX];
	struct config *c;
	auto_grant struct grant g = GRANT_INIT;
	size_t len = argc == 4 ? read_token(argv[2], token) : 0;
	struct store store = STORE_INIT;
	struct diag d = DIAG_INIT;
	int rc;

	if (len == 0) {
		fputs("usage: grants CONFIG TOKEN LIFE\n", stderr);
		return 64;
	}
	if ((c = config_load(argv[1], complain, NULL)) == NULL ||
	    !secret_set(&g.access_token, token, len))
		return 1;
	g.generation = 1;
	g.obtained_at = time(NULL);
	g.expires_at = g.obtained_at + atoi(argv[3]);
	rc = sealing_open(&store, c->state_dir, &c->seal_key, true, &d);
	if (rc < 0)
		complain(NULL, &d);
	else
		rc = write_all(c, &store, &g);
	store_close(&store);
	config_unref(&c);
	return rc < 0 ? 1 : 0;
}
