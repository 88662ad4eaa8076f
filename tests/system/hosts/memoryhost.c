/*
 * memoryhost.c - a program that has logged in and holds still, so that its
 * memory can be searched: for what plugin and libsasl2 have left there, since
 * it has kept nothing itself.
 *
 * memoryhost USER LOGINS [PASSFILE]
 *
 * The password is "mailtoken:" or the file's first line, which is overwritten
 * after the last login.  Prints "held" while the last login's connection is
 * there, "disposed" after it, "done" after sasl_client_done(); goes on with
 * each line of its input.
 */
#include "login.h"

#define LINE 8192

static void
hold(const char *what)
{
	char c = '\0';

	dprintf(STDOUT_FILENO, "%s\n", what);
	while (c != '\n' && read(STDIN_FILENO, &c, 1) == 1)
		continue;
}

/* Nothing of stdio: its buffers would keep it. */
static sasl_secret_t *
read_secret(const char *path)
{
	sasl_secret_t *s = calloc(1, sizeof(*s) + LINE);
	FILE *f = fopen(path, "r");

	if (s == NULL || f == NULL || setvbuf(f, NULL, _IONBF, 0) != 0)
		exit(2);
	for (int c; (c = fgetc(f)) != EOF && c != '\n' && s->len < LINE - 1;)
		s->data[s->len++] = (unsigned char)c;
	(void)fclose(f);
	return s;
}

int
main(int argc, char *argv[])
{
	struct person who;
	struct login l;
	int logins = argc > 2 ? atoi(argv[2]) : 0;

	if (logins < 1 || !library_init())
		return 2;
	who = (struct person){ argv[1],
		argc > 3 ? read_secret(argv[3]) : secret_make("mailtoken:") };
	for (int i = 1; i <= logins; i++) {
		if (login_new(&l, &who) != SASL_OK ||
		    login_start(&l, "XOAUTH2") != SASL_CONTINUE)
			return 1;
		if (i % 2 == 0 && login_step(&l, "") != SASL_OK)
			return 1;
		if (i == logins)
			hold("held");
		login_end(&l);
	}
	explicit_bzero(who.secret, sizeof(*who.secret) + who.secret->len);
	hold("disposed");
	sasl_client_done();
	free(who.secret);
	hold("done");
	return 0;
}
