#include "mail_dialogue.h"

#include <string.h>

#include "buf.h"
#include "form.h"
#include "quote.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct speech speeches[] = {
	{ SERVICE_SMTP, "smtp", "smtps", 587, 0, 465, "AUTH ", "MAIL FROM:" },
	{ SERVICE_IMAP, "imap", "imaps", 993, 143, 993, "AUTHENTICATE ",
	    "EXAMINE " },
	{ SERVICE_POP, "pop3", "pop3s", 995, 110, 995, "AUTH ", "STAT" },
};

static const char *const stages[] = {
	[MAILBOX_CONNECT] = "connect",
	[MAILBOX_LOGIN] = "login",
	[MAILBOX_OPEN] = "open",
};
_Static_assert(COUNT(stages) == MAILBOX_STAGE__COUNT, "a word for each stage");

const struct speech *
speech_of(enum service s)
{
	for (size_t i = 0; i < COUNT(speeches); i++)
		if (speeches[i].service == s)
			return &speeches[i];
	return &speeches[0];
}

const char *
mailbox_stage_name(enum mailbox_stage s)
{
	return stages[s];
}

static bool
begins(const char *line, size_t n, const char *words)
{
	size_t len = strlen(words);

	return n >= len && strncmp(line, words, len) == 0;
}

/* IMAP's commands come behind a tag of ours, its answers the same. */
static void
skip_tag(const struct dialogue *d, const char **line, size_t *n)
{
	const char *blank;

	if (d->speech->service != SERVICE_IMAP ||
	    (blank = memchr(*line, ' ', *n)) == NULL)
		return;
	*n -= (size_t)(blank + 1 - *line);
	*line = blank + 1;
}

void
dialogue_sent(struct dialogue *d, const char *line, size_t n)
{
	if (d->over)
		return;
	skip_tag(d, &line, &n);
	if (begins(line, n, "QUIT") || begins(line, n, "LOGOUT"))
		d->over = true;
	if (d->over)
		return;
	if (begins(line, n, d->speech->login)) {
		d->stage = MAILBOX_LOGIN;
		d->login_sent = true;
	} else if (begins(line, n, d->speech->probe)) {
		d->stage = MAILBOX_OPEN;
	}
	d->len = 0;
	d->heard[0] = '\0';
}

static void
keep(struct dialogue *d, const char *line, size_t n)
{
	size_t room = sizeof(d->heard) - 1 - d->len;

	if (d->len > 0 && room > 0) {
		d->heard[d->len++] = ' ';
		room--;
	}
	for (size_t i = 0; i < n && i < room; i++)
		d->heard[d->len++] =
		    line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
	d->heard[d->len] = '\0';
}

/* XOAUTH2's error challenge is JSON in base64; a prompt is empty. */
static void
keep_challenge(struct dialogue *d, const char *text, size_t n)
{
	auto_buf struct buf json = BUF_INIT(DIALOGUE_HEARD_MAX);

	if (n > 0 && base64_decode(&json, text, n) && json.len > 0)
		keep(d, json.ptr, json.len);
}

static void
hear_line(struct dialogue *d, const char *line, size_t n)
{
	bool imap = d->speech->service == SERVICE_IMAP;

	if (begins(line, n, "334 ") && d->speech->service == SERVICE_SMTP) {
		keep_challenge(d, line + 4, n - 4);
	} else if (begins(line, n, "+ ")) {
		keep_challenge(d, line + 2, n - 2);
	} else if (imap && begins(line, n, "* ")) {
		/* Not what it can do, nor what is in the mailbox. */
		if (begins(line, n, "* BYE") || begins(line, n, "* BAD") ||
		    begins(line, n, "* NO"))
			keep(d, line, n);
	} else {
		skip_tag(d, &line, &n);
		keep(d, line, n);
	}
}

void
dialogue_heard(struct dialogue *d, const char *text, size_t n)
{
	for (const char *end = text + n; text < end && !d->over;) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((eol != NULL ? eol : end) - text);

		while (len > 0 && (text[len - 1] == '\r'))
			len--;
		if (len > 0)
			hear_line(d, text, len);
		text = eol != NULL ? eol + 1 : end;
	}
}

void
dialogue_show(const char *s, char *ret, size_t size)
{
	quote(ret, size, s, strlen(s));
}
