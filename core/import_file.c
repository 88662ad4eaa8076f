#include "import_file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fernet.h"
#include "form.h"
#include "json.h"
#include "oauth2.h"
#include "proxy_config.h"
#include "wire.h"

/* What email-oauth2-proxy used before it wrote the count down, and since. */
#define ITERATIONS_BEFORE 100000
#define ITERATIONS_SINCE  1200000

static const char *const names[] = {
	[IMPORT_ANY] = "auto",
	[IMPORT_TOKEN] = "token",
	[IMPORT_JSON] = "json",
	[IMPORT_SASL_XOAUTH2] = "sasl-xoauth2",
	[IMPORT_MUTT] = "mutt_oauth2",
	[IMPORT_OAMA] = "oama",
	[IMPORT_EMAIL_PROXY] = "email-oauth2-proxy",
};
_Static_assert(
    sizeof(names) / sizeof(names[0]) == IMPORT__COUNT, "one word per format");

const char *
import_format_name(enum import_format f)
{
	return names[f];
}

bool
import_format_parse(const char *word, enum import_format *ret)
{
	for (size_t i = 0; i < IMPORT__COUNT; i++)
		if (strcmp(names[i], word) == 0) {
			*ret = (enum import_format)i;
			return true;
		}
	return false;
}

void
import_file_wipe(struct import_file *f)
{
	free(f->mailbox);
	free(f->client_id);
	free(f->token_endpoint);
	free(f->tenant);
	secret_wipe(&f->refresh_token);
	buf_wipe(&f->salt);
	*f = (struct import_file)IMPORT_FILE_INIT;
}

/* NULL and "" leave the field as it is.  It will be shown at a terminal. */
static int
keep(char **slot, const char *value, struct diag *reterr)
{
	char *copy;

	if (value == NULL || *value == '\0')
		return 0;
	if (wire_text(value, strlen(value)) == WIRE_TEXT_CONTROL)
		return diag_set(reterr, DIAG_CONFIG,
		    "has control characters where it tells of mailbox and "
		    "application: it is damaged, or somebody's trick");
	if ((copy = strdup(value)) == NULL)
		return diag_nomem(reterr);
	free(*slot);
	*slot = copy;
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word of printable ASCII, whatever blanks surround it. */
static int
keep_token(struct import_file *f, const char *s, size_t n, struct diag *reterr)
{
	while (n > 0 && is_blank(*s)) {
		s++;
		n--;
	}
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	if (n == 0)
		return diag_set(reterr, DIAG_CONFIG, "has no refresh token");
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || n > OAUTH2_TOKEN_MAX)
			return diag_set(reterr, DIAG_CONFIG,
			    "its refresh token is longer than %d bytes, is "
			    "more than one word, or has characters that none "
			    "can have",
			    OAUTH2_TOKEN_MAX);
	return secret_set(&f->refresh_token, s, n) ? 0 : diag_nomem(reterr);
}

/* https://login.microsoftonline.com/TENANT/oauth2/... */
static int
keep_endpoint(struct import_file *f, const char *url, struct diag *reterr)
{
	static const char https[] = "https://login.";
	const char *tenant, *end;

	if (keep(&f->token_endpoint, url, reterr) < 0)
		return -1;
	if (url == NULL || strncmp(url, https, sizeof(https) - 1) != 0 ||
	    (strncmp(url + 14, "microsoftonline.", 16) != 0 &&
		strncmp(url + 14, "partner.microsoftonline.", 24) != 0) ||
	    (tenant = strchr(url + 14, '/')) == NULL ||
	    (end = strchr(++tenant, '/')) == NULL || end == tenant)
		return 0;
	f->tenant = strndup(tenant, (size_t)(end - tenant));
	return f->tenant != NULL ? 0 : diag_nomem(reterr);
}

static int
check_mailbox(
    const struct import_file *f, const char *mailbox, struct diag *reterr)
{
	if (mailbox == NULL || f->mailbox == NULL ||
	    strcasecmp(f->mailbox, mailbox) == 0)
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "is the login of %.80s, not of %.80s", f->mailbox, mailbox);
}

/* Comments, which some of these programs take in JSON, become blanks. */
static void
blank_comments(char *s, size_t n)
{
	bool string = false;

	for (size_t i = 0; i + 1 < n; i++) {
		const char *end;

		if (string && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			string = !string;
		if (string || s[i] != '/' ||
		    (s[i + 1] != '/' && s[i + 1] != '*'))
			continue;
		end = s[i + 1] == '/' ? memchr(s + i, '\n', n - i) :
					memmem(s + i + 2, n - i - 2, "*/", 2);
		if (end == NULL)
			end = s + n;
		else if (s[i + 1] == '*')
			end += 2;
		memset(s + i, ' ', (size_t)(end - (s + i)));
		i = (size_t)(end - s) - 1;
	}
}

static enum import_format
json_format(const struct json *o)
{
	if (json_str(o, "registration") != NULL)
		return IMPORT_MUTT;
	if (json_str(o, "exp_date") != NULL || json_str(o, "service") != NULL)
		return IMPORT_OAMA;
	if (json_str(o, "expiry") != NULL ||
	    json_str(o, "token_endpoint") != NULL ||
	    (json_str(o, "client_id") != NULL &&
		json_str(o, "refresh_token") == NULL))
		return IMPORT_SASL_XOAUTH2;
	return IMPORT_JSON;
}

static const char *
first_str(const struct json *o, const char *a, const char *b)
{
	const char *s = json_str(o, a);

	return s != NULL ? s : json_str(o, b);
}

static int
read_json(char *text, size_t len, const char *mailbox, struct import_file *f,
    struct diag *reterr)
{
	auto_json struct json *o = NULL;
	const char *token;

	blank_comments(text, len);
	if ((o = json_read(text, len, IMPORT_FILE_MAX)) == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "is no JSON object, though it begins like one: is all of "
		    "it there?");
	if (f->format == IMPORT_ANY)
		f->format = json_format(o);
	if (keep(&f->mailbox, first_str(o, "email", "user"), reterr) < 0 ||
	    keep(&f->client_id, json_str(o, "client_id"), reterr) < 0 ||
	    keep_endpoint(
		f, first_str(o, "token_endpoint", "token_uri"), reterr) < 0 ||
	    check_mailbox(f, mailbox, reterr) < 0)
		return -1;
	token = json_str(o, "refresh_token");
	if (token != NULL)
		return keep_token(f, token, strlen(token), reterr);
	if (f->client_id != NULL)
		return 0;
	return diag_set(reterr, DIAG_CONFIG,
	    "has no refresh_token%s: there is nothing that lasts; run: "
	    "mailtoken login ACCOUNT",
	    json_str(o, "access_token") != NULL ? ", only an access token" :
						  "");
}

static int
read_ini(char *text, size_t len, const char *mailbox, struct import_file *f,
    struct diag *reterr)
{
	struct proxy_login l;

	if (proxy_config_find(text, len, mailbox, &l, reterr) < 0)
		return -1;
	f->format = IMPORT_EMAIL_PROXY;
	f->sealed = true;
	f->iterations = l.iterations;
	if (l.salt == NULL || *l.salt == '\0' ||
	    !base64_decode(&f->salt, l.salt, strlen(l.salt)))
		return diag_set(reterr, DIAG_CONFIG,
		    "[%.80s] has no token_salt, or a damaged one", l.mailbox);
	if (keep(&f->mailbox, l.mailbox, reterr) < 0 ||
	    keep(&f->client_id, l.client_id, reterr) < 0 ||
	    keep_endpoint(f, l.token_url, reterr) < 0)
		return -1;
	return keep_token(f, l.refresh_token, strlen(l.refresh_token), reterr);
}

static bool
begins(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* The packets that an encrypted message begins with (RFC 9580). */
static bool
is_openpgp(const char *text, size_t len)
{
	static const unsigned char first[] = { 0x84, 0x85, 0x86, 0x8c, 0x8d,
		0xc1, 0xc3 };

	return begins(text, len, "-----BEGIN PGP MESSAGE") ||
	       (len > 0 && memchr(first, (unsigned char)text[0],
			       sizeof(first)) != NULL);
}

static bool
is_binary(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < ' ' && !is_blank(text[i])) ||
		    text[i] == 0x7f)
			return true;
	return false;
}

/* What nobody could read, with the way to go. */
static int
check_readable(const char *text, size_t len, struct diag *reterr)
{
	if (len > IMPORT_FILE_MAX)
		return diag_set(reterr, DIAG_CONFIG,
		    "has more than %d bytes: that is no login",
		    IMPORT_FILE_MAX);
	if (is_openpgp(text, len))
		return diag_set(reterr, DIAG_CONFIG,
		    "is encrypted by GnuPG; decrypt it first: gpg -d FILE | "
		    "mailtoken import ACCOUNT --from -");
	if (begins(text, len, "age-encryption.org/") ||
	    begins(text, len, "-----BEGIN AGE ENCRYPTED FILE"))
		return diag_set(reterr, DIAG_CONFIG,
		    "is encrypted by age; decrypt it first: age -d FILE | "
		    "mailtoken import ACCOUNT --from -");
	if (is_binary(text, len))
		return diag_set(reterr, DIAG_CONFIG,
		    "is binary, and none of the forms that can be read: from "
		    "a dump of pizauth there is no way out; run: mailtoken "
		    "login ACCOUNT");
	return 0;
}

/* Of plain text, whatever has come before it: a UTF-8 mark or blanks. */
static enum import_format
kind_of(const char *text, size_t len)
{
	for (; len > 0 && is_blank(*text); len--)
		text++;
	if (len == 0)
		return IMPORT_ANY;
	if (*text == '{' || begins(text, len, "//") || begins(text, len, "/*"))
		return IMPORT_JSON;
	if (*text == '[' || *text == ';' || *text == '#' ||
	    memmem(text, len, "\n[", 2) != NULL)
		return IMPORT_EMAIL_PROXY;
	return IMPORT_TOKEN;
}

static int
dispatch(char *text, size_t len, const char *mailbox, struct import_file *f,
    struct diag *reterr)
{
	enum import_format kind = kind_of(text, len);
	bool json = f->format == IMPORT_JSON ||
		    f->format == IMPORT_SASL_XOAUTH2 ||
		    f->format == IMPORT_MUTT || f->format == IMPORT_OAMA;

	if (kind == IMPORT_ANY)
		return diag_set(reterr, DIAG_CONFIG, "is empty");
	/* Nobody knows what characters a provider begins its tokens with. */
	if (f->format == IMPORT_TOKEN && kind == IMPORT_EMAIL_PROXY)
		kind = IMPORT_TOKEN;
	if (f->format != IMPORT_ANY && kind != (json ? IMPORT_JSON : f->format))
		return diag_set(reterr, DIAG_CONFIG, "is not in the form of %s",
		    names[f->format]);
	if (kind == IMPORT_JSON)
		return read_json(text, len, mailbox, f, reterr);
	if (kind == IMPORT_EMAIL_PROXY)
		return read_ini(text, len, mailbox, f, reterr);
	f->format = IMPORT_TOKEN;
	return keep_token(f, text, len, reterr);
}

int
import_file_parse(char *text, size_t len, enum import_format format,
    const char *mailbox, struct import_file *ret, struct diag *reterr)
{
	auto_import_file struct import_file f = IMPORT_FILE_INIT;

	f.format = format;
	if (begins(text, len, "\xef\xbb\xbf")) {
		text += 3;
		len -= 3;
	}
	if (check_readable(text, len, reterr) < 0 ||
	    dispatch(text, len, mailbox, &f, reterr) < 0)
		return -1;
	import_file_wipe(ret);
	*ret = f;
	f = (struct import_file)IMPORT_FILE_INIT;
	return 0;
}

int
import_file_unseal(
    struct import_file *f, const struct secret *password, struct diag *reterr)
{
	auto_secret struct secret open = SECRET_INIT, sealed = SECRET_INIT;
	const int64_t counts[] = { ITERATIONS_BEFORE, ITERATIONS_SINCE };
	bool said = f->iterations > 0;
	int rc = -1;

	for (size_t i = 0; i < (said ? 1 : 2) && rc < 0; i++)
		rc = fernet_open(f->refresh_token.ptr, f->refresh_token.len,
		    password, f->salt.ptr, f->salt.len,
		    said ? f->iterations : counts[i], &open, reterr);
	if (rc < 0)
		return -1;
	secret_move(&sealed, &f->refresh_token);
	if (keep_token(f, open.ptr, open.len, reterr) < 0) {
		secret_move(&f->refresh_token, &sealed);
		return -1;
	}
	f->sealed = false;
	return 0;
}
