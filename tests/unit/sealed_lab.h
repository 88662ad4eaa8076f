/* sealed_lab.h - a state directory that is sealed, and its key. */
#ifndef TESTS_SEALED_LAB_H
#define TESTS_SEALED_LAB_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "sealing.h"

#define A	 "a@contoso.example"
#define B	 "b@contoso.example"
#define PLAIN	 "*@contoso.example" /* written by a version before */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct lab {
	char dir[64], state[80], key_path[80];
	struct secret_ref key;
	struct store s;
};

static inline int
setup(void **state)
{
	static struct lab lab;
	struct diag d = DIAG_INIT;

	strcpy(lab.dir, "/tmp/test_sealing.XXXXXX");
	if (mkdtemp(lab.dir) == NULL)
		return -1;
	(void)snprintf(lab.state, sizeof(lab.state), "%s/state", lab.dir);
	(void)snprintf(
	    lab.key_path, sizeof(lab.key_path), "%s/seal.key", lab.dir);
	lab.key = (struct secret_ref){ SECRET_REF_FILE, lab.key_path, 0 };
	*state = &lab;
	return mkdir(lab.state, 0700) < 0 ||
		       sealing_open(&lab.s, lab.state, &lab.key, true, &d) < 0 ?
		   -1 :
		   0;
}

static inline int
teardown(void **state)
{
	static const char *const names[] = { A ".grant", A ".lock",
		"." A ".grant.new", B ".grant", B ".lock", "." B ".grant.new",
		PLAIN ".grant", PLAIN ".lock", "." PLAIN ".grant.new" };
	struct lab *lab = *state;
	char tmp[160];

	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlinkat(lab->s.dirfd, names[i], 0);
	store_close(&lab->s);
	(void)unlink(lab->key_path);
	(void)snprintf(tmp, sizeof(tmp), "%s/.seal.key.new", lab->dir);
	(void)unlink(tmp);
	/* Both fail if anything else was left. */
	return rmdir(lab->state) < 0 || rmdir(lab->dir) < 0 ? -1 : 0;
}

static inline int
put(const struct store *s, const char *account, int64_t generation,
    struct diag *d)
{
	struct store_lock l = STORE_LOCK_INIT;
	auto_grant struct grant g = GRANT_INIT;
	int rc;

	g.generation = generation;
	assert_true(secret_set(&g.refresh_token, "canary-rt", 9));
	assert_int_equal(store_lock(s, account, &l, d), 0);
	rc = store_write(s, &l, account, &g, d);
	store_unlock(&l);
	return rc;
}

/* Its generation; or -1. */
static inline int64_t
get(const struct store *s, const char *account, struct diag *d)
{
	auto_grant struct grant g = GRANT_INIT;

	g.generation = -7;
	if (store_read(s, account, &g, d) < 0) {
		assert_int_equal(g.generation, -7);
		return -1;
	}
	return g.generation;
}

static inline size_t
load(int dirfd, const char *name, char *bytes, size_t max)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, max);
	assert_true(n >= 0 && (size_t)n < max);
	return (size_t)n;
}

static inline void
save(int dirfd, const char *name, const char *bytes, size_t n)
{
	auto_close int fd =
	    openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(write(fd, bytes, n), n);
}

static inline void
save_plain(struct lab *lab)
{
	static const char text[] =
	    "version=1\naccount=" PLAIN
	    "\ngeneration=7\nrefresh_token=canary-rt\n\n";

	save(lab->s.dirfd, PLAIN ".grant", text, sizeof(text) - 1);
}

#endif
