/* cli_export.c - mailtoken export: everything that a new host needs. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "archive.h"
#include "cleanup.h"
#include "cli.h"
#include "cli_file.h"
#include "cli_passphrase.h"
#include "cli_prompt.h"
#include "cli_store.h"
#include "clock.h"

#define FILE_MAX (1 << 20) /* of a secret, a certificate, a key */

/* What an export is busy with. */
struct export
{
	struct cli *c;
	struct buf text;
	const char **paths; /* borrowed from the configuration */
	size_t n_paths, cap;
	unsigned missing; /* things that could not be had */
	unsigned logins;
};

static int
add_path(struct export *e, const char *path)
{
	size_t cap = e->cap > 0 ? 2 * e->cap : 64;
	const char **more;

	if (path == NULL || *path != '/')
		return 0;
	if (e->n_paths == e->cap) {
		more = realloc(e->paths, cap * sizeof(*more));
		if (more == NULL)
			return -1;
		e->paths = more;
		e->cap = cap;
	}
	e->paths[e->n_paths++] = path;
	return 0;
}

static int
add_ref(struct export *e, const struct account *a, const char *key,
    const struct secret_ref *ref)
{
	if (ref->kind == SECRET_REF_NONE)
		return 0;
	if (ref->kind == SECRET_REF_FILE)
		return add_path(e, ref->name);
	cli_say("account %s: its %s is no file, but %s: the archive will not "
		"have it",
	    a->name, key,
	    ref->kind == SECRET_REF_CREDENTIAL ? "a credential of systemd's" :
						 "what a program prints");
	return 0;
}

static int
add_paths_of(struct export *e, const struct account *a)
{
	return add_ref(e, a, "client_secret", &a->client_secret) < 0 ||
		       add_ref(e, a, "client_key_passphrase",
			   &a->client_key_passphrase) < 0 ||
		       add_ref(e, a, "service_account_key",
			   &a->service_account_key) < 0 ||
		       add_path(e, a->client_certificate) < 0 ||
		       add_path(e, a->client_key) < 0 ||
		       add_path(e, a->ca_file) < 0 ?
		   -1 :
		   0;
}

/* The file's bytes, and whose it is by name: numbers differ between hosts. */
static int
add_file(struct export *e, enum archive_kind kind, const char *path, size_t max,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(max + 65536);
	struct archive_item item = { .kind = kind, .name = path };
	const struct passwd *pw;
	const struct group *gr;
	struct stat st;

	if (cli_file_read_stat(path, max, &b, &st, reterr) < 0)
		return -1;
	pw = getpwuid(st.st_uid);
	gr = getgrgid(st.st_gid);
	item.owner = pw != NULL ? pw->pw_name : NULL;
	item.group = gr != NULL ? gr->gr_name : NULL;
	item.mode = st.st_mode & 07777;
	item.bytes = b.len > 0 ? b.ptr : "";
	item.len = b.len;
	archive_add(&e->text, &item);
	return 0;
}

static int
add_grant(struct export *e, const struct store *s, const struct account *a,
    struct diag *reterr)
{
	auto_buf struct buf b = BUF_INIT(GRANT_MAX_BYTES);
	auto_grant struct grant g = GRANT_INIT;
	struct archive_item item = { .kind = ARCHIVE_GRANT, .name = a->name };
	int rc = store_read(s, a->name, &g, reterr);

	/* Without a login there is nothing that could not be had again. */
	if (rc < 0 || (rc >= 0 && secret_empty(&g.refresh_token)))
		return rc < 0 ? -1 : 0;
	if (grant_format(&b, a->name, &g, reterr) < 0)
		return -1;
	item.bytes = b.ptr;
	item.len = b.len;
	archive_add(&e->text, &item);
	e->logins++;
	return 0;
}

static void
note(struct export *e, const struct diag *d)
{
	cli_say("%s", d->text);
	e->missing++;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
add_files(struct export *e)
{
	if (e->n_paths > 1)
		qsort(e->paths, e->n_paths, sizeof(*e->paths), by_path);
	for (size_t i = 0; i < e->n_paths; i++) {
		struct diag d = DIAG_INIT;

		if (i > 0 && strcmp(e->paths[i], e->paths[i - 1]) == 0)
			continue;
		if (add_file(e, ARCHIVE_FILE, e->paths[i], FILE_MAX, &d) < 0)
			note(e, &d);
	}
}

/* Nobody has logged in yet: then there is no directory either. */
static int
open_store(struct export *e, struct store *s, struct diag *reterr)
{
	if (access(e->c->config->state_dir, F_OK) < 0)
		return 0;
	return cli_store_there(e->c, s, reterr);
}

static int
collect(struct export *e, char *names[], size_t n_names, struct diag *reterr)
{
	const struct config *c = e->c->config;
	size_t n = n_names > 0 ? n_names : c->n_accounts;
	struct store store = STORE_INIT;

	if (add_file(e, ARCHIVE_CONFIG, c->path, CONFIG_MAX_BYTES, reterr) <
		0 ||
	    open_store(e, &store, reterr) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct account *a =
		    n_names > 0 ? config_account(c, names[i]) : c->accounts[i];
		struct diag d = DIAG_INIT;

		if (store.dirfd >= 0 && add_grant(e, &store, a, &d) < 0)
			note(e, &d);
		if (add_paths_of(e, a) < 0) {
			store_close(&store);
			return diag_nomem(reterr);
		}
	}
	store_close(&store);
	add_files(e);
	if (e->text.failed)
		return diag_set(reterr, DIAG_CONFIG,
		    "the archive would be larger than %d MiB, or a path has "
		    "control characters: export fewer accounts at once",
		    ARCHIVE_MAX_BYTES >> 20);
	return 0;
}

static int
write_archive(struct export *e, const char *to, const struct secret *passphrase,
    struct diag *reterr)
{
	auto_buf struct buf file = BUF_INIT(ARCHIVE_MAX_BYTES + 4096);
	const struct cli_file f = { to, 0600, (uid_t)-1, (gid_t)-1, false,
		false };

	if (archive_seal(&e->text, passphrase, &file, reterr) < 0)
		return -1;
	if (file.failed)
		return diag_nomem(reterr);
	if (strcmp(to, "-") != 0)
		return cli_file_write(&f, file.ptr, file.len, reterr);
	if (fwrite(file.ptr, 1, file.len, stdout) != file.len ||
	    fflush(stdout) != 0)
		return diag_set(
		    reterr, DIAG_RETRY, "standard output: cannot be written");
	return 0;
}

static int
export_to(struct export *e, const char *to, const char *passphrase_file,
    char *names[], size_t n_names)
{
	auto_secret struct secret passphrase = SECRET_INIT;
	char host[256] = "";
	struct diag d = DIAG_INIT;

	(void)gethostname(host, sizeof(host) - 1);
	archive_begin(&e->text, host, clock_now_s());
	if (collect(e, names, n_names, &d) < 0 ||
	    cli_passphrase(passphrase_file, true, &passphrase, &d) < 0 ||
	    write_archive(e, to, &passphrase, &d) < 0)
		return cli_fail(&d);
	cli_say("exported: the configuration and %u login%s; whoever has the "
		"file and the passphrase has the mail",
	    e->logins, e->logins == 1 ? "" : "s");
	if (e->missing == 0)
		return EX_OK;
	cli_say("but %u thing%s could not be had: see above", e->missing,
	    e->missing == 1 ? "" : "s");
	return EX_CONFIG;
}

int
cmd_export(struct cli *c, int argc, char *argv[])
{
	struct export e = { .c = c, .text = BUF_INIT(ARCHIVE_MAX_BYTES) };
	const char *to = NULL, *file = NULL;
	int n = 0, rc;

	/* Names move to the front of argv. */
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--passphrase-file") == 0 && i + 1 < argc)
			file = argv[++i];
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			return cli_usage(argv[0]);
		else if (to == NULL)
			to = argv[i];
		else
			argv[1 + n++] = argv[i];
	if (to == NULL)
		return cli_usage(argv[0]);
	if (strcmp(to, "-") == 0 && isatty(STDOUT_FILENO)) {
		cli_say("an archive is nothing for a terminal: name a file");
		return EX_USAGE;
	}
	if (cli_config(c) == NULL)
		return EX_CONFIG;
	for (int i = 0; i < n; i++)
		if (cli_account(c, argv[1 + i]) == NULL)
			return EX_CONFIG;
	rc = export_to(&e, to, file, argv + 1, (size_t)n);
	free(e.paths);
	buf_wipe(&e.text);
	return rc;
}
