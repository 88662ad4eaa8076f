/*
 * cli_file.h - writing a whole file or nothing of it: new, fsynced, renamed,
 * and the directory fsynced.  What fails leaves the old file as it was.  Only
 * regular files are replaced.
 */
#ifndef HELPERS_CLI_FILE_H
#define HELPERS_CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"
#include "diag.h"

struct cli_file {
	const char *path;
	mode_t mode;
	uid_t uid; /* (uid_t)-1 and (gid_t)-1: as the kernel makes it */
	gid_t gid;
	bool keep; /* never replace what is there: -1, and reterr says so */
	/*
	 * Write what a symbolic link leads to.  Not where others can make
	 * links, as in /tmp: the kernel's protection there is not for us.
	 */
	bool follow;
};

/* Returns -1 with *reterr (CONFIG, RETRY: disk full and the like, NOMEM). */
int cli_file_write(const struct cli_file *f, const void *bytes, size_t n,
    struct diag *reterr);

/*
 * Appends a file's bytes, up to max, or standard input's if path is "-".
 * what names it in *reterr (CONFIG, NOMEM).
 */
int cli_file_read(
    const char *path, size_t max, struct buf *b, struct diag *reterr);
/* The same of a file, and *st is that of the bytes. */
int cli_file_read_stat(const char *path, size_t max, struct buf *b,
    struct stat *st, struct diag *reterr);

#endif
