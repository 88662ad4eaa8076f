/* test_owned_file.c - whose a file is that root makes for somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "owned_file.h"

#define OWNER 65534

struct lab {
	char path[64];
	struct owned_dir dir;
};

static int
set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	(void)snprintf(lab->path, sizeof(lab->path), "/tmp/test_owned.XXXXXX");
	assert_non_null(mkdtemp(lab->path));
	lab->dir.fd = open(lab->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lab->dir.uid = geteuid() == 0 ? OWNER : geteuid();
	lab->dir.gid = geteuid() == 0 ? OWNER : getegid();
	assert_int_equal(fchown(lab->dir.fd, lab->dir.uid, lab->dir.gid), 0);
	*state = lab;
	return 0;
}

static int
tear_down(void **state)
{
	struct lab *lab = *state;

	(void)unlinkat(lab->dir.fd, "file", 0);
	(void)close(lab->dir.fd);
	(void)rmdir(lab->path);
	free(lab);
	return 0;
}

static struct stat
look(const struct lab *lab)
{
	struct stat st;

	assert_int_equal(fstatat(lab->dir.fd, "file", &st, 0), 0);
	return st;
}

static void
is_the_owners_from_the_beginning(void **state)
{
	struct lab *lab = *state;
	auto_close int fd =
	    owned_file_open(&lab->dir, "file", O_RDWR | O_CREAT | O_EXCL);
	struct stat st = look(lab);

	assert_true(fd >= 0);
	assert_int_equal(st.st_uid, lab->dir.uid);
	assert_int_equal(st.st_gid, lab->dir.gid);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* And we are who we were: what cannot be changes nothing. */
	assert_int_equal(setfsuid((uid_t)-1), geteuid());
	assert_int_equal(setfsgid((gid_t)-1), getegid());
}

static void
is_given_where_the_owner_may_not_make_it(void **state)
{
	struct lab *lab = *state;
	auto_close int fd = -1;

	if (geteuid() != 0)
		skip();
	assert_int_equal(fchmod(lab->dir.fd, 0500), 0);
	fd = owned_file_open(&lab->dir, "file", O_RDWR | O_CREAT);
	assert_true(fd >= 0);
	assert_int_equal(look(lab).st_uid, 0);
	assert_int_equal(owned_file_give(&lab->dir, fd), 0);
	assert_int_equal(look(lab).st_uid, OWNER);
	assert_int_equal(look(lab).st_gid, OWNER);
}

static void
a_file_with_two_names_is_not_given(void **state)
{
	struct lab *lab = *state;
	auto_close int fd = -1;
	struct stat st;

	if (geteuid() != 0)
		skip();
	fd = openat(lab->dir.fd, "roots", O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(
	    linkat(lab->dir.fd, "roots", lab->dir.fd, "file", 0), 0);
	(void)close(take_fd(&fd));
	assert_int_equal(
	    owned_file_lock(&lab->dir, "file", O_RDWR | O_CREAT, &fd), -1);
	assert_int_equal(errno, EMLINK);
	st = look(lab);
	assert_int_equal(st.st_uid, 0);
	/* The owner's own is no danger, whatever its group. */
	assert_int_equal(fchownat(lab->dir.fd, "file", OWNER, 0, 0), 0);
	assert_int_equal(
	    owned_file_lock(&lab->dir, "file", O_RDWR | O_CREAT, &fd), 1);
	assert_int_equal(unlinkat(lab->dir.fd, "roots", 0), 0);
}

static void
a_failure_is_the_first_one(void **state)
{
	struct lab *lab = *state;
	auto_close int fd =
	    owned_file_open(&lab->dir, "file", O_RDWR | O_CREAT | O_EXCL);

	assert_true(fd >= 0);
	assert_int_equal(
	    owned_file_open(&lab->dir, "file", O_RDWR | O_CREAT | O_EXCL), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(setfsuid((uid_t)-1), geteuid());
}

static void
is_locked_by_one(void **state)
{
	struct lab *lab = *state;
	auto_close int one = -1, two = -1;

	assert_int_equal(
	    owned_file_lock(&lab->dir, "file", O_RDWR | O_CREAT, &one), 1);
	assert_int_equal(
	    owned_file_lock(&lab->dir, "file", O_RDWR | O_CREAT, &two), 0);
	assert_int_equal(two, -1);
	(void)close(take_fd(&one));
	assert_int_equal(owned_file_lock(&lab->dir, "file", O_RDONLY, &two), 1);
	assert_int_equal(look(lab).st_uid, lab->dir.uid);
	assert_int_equal(unlinkat(lab->dir.fd, "file", 0), 0);
	assert_int_equal(
	    owned_file_lock(&lab->dir, "file", O_RDONLY, &one), -1);
	assert_int_equal(errno, ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_the_owners_from_the_beginning),
		TEST(is_given_where_the_owner_may_not_make_it),
		TEST(a_file_with_two_names_is_not_given),
		TEST(a_failure_is_the_first_one),
		TEST(is_locked_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
