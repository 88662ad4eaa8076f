#include "cli_mailbox.h"

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What is said where the server's own words say nothing. */
static const struct verdict {
	const char *words, *key;
	enum diag_kind kind;
	const char *cause, *todo;
} verdicts[] = {
	[MAILBOX_OK] = { "ok", "ok", DIAG_OK, NULL, NULL },
	[MAILBOX_NO_CONNECTION] = { "cannot connect", "cannot_connect",
	    DIAG_RETRY, "there is no way to the server",
	    "check the host's name and port, the resolver, and that the "
	    "firewall lets this port out" },
	[MAILBOX_NOT_TRUSTED] = { "TLS not trusted", "tls_not_trusted",
	    DIAG_CONFIG,
	    "the server's certificate is not of this name or of no authority "
	    "known here",
	    "check the host's name and the clock, install ca-certificates, or "
	    "name the authority's file with --ca; a proxy that opens TLS must "
	    "let mail through" },
	[MAILBOX_NO_TLS] = { "no TLS", "no_tls", DIAG_CONFIG,
	    "the server offers no TLS that can be used, and a token must not "
	    "go over a line in clear",
	    "check the host's name and port: 587 for SMTP with STARTTLS, 465, "
	    "993 and 995 with TLS from the start" },
	[MAILBOX_NO_XOAUTH2] = { "no XOAUTH2 offered", "no_xoauth2",
	    DIAG_CONFIG, "the server does not offer XOAUTH2",
	    "check the host's name; at Exchange, see that modern "
	    "authentication and this protocol are on for the mailbox" },
	[MAILBOX_REFUSED] = { "token refused", "token_refused", DIAG_CONFIG,
	    "the server takes this token for no login to this mailbox",
	    "run: mailtoken inspect ACCOUNT, which shows what the token is "
	    "for; check whose mailbox it is, and its permissions" },
	[MAILBOX_AUTH_OFF] = { "SMTP AUTH off", "smtp_auth_off", DIAG_CONFIG,
	    "SMTP AUTH is switched off",
	    "Set-CASMailbox MAILBOX -SmtpClientAuthenticationDisabled "
	    "$false" },
	[MAILBOX_NOT_OPENED] = { "mailbox not reachable",
	    "mailbox_not_reachable", DIAG_CONFIG,
	    "the token is good, but the mailbox is not opened for it",
	    "check the mailbox's name and licence, and that the user or "
	    "application has FullAccess to it" },
	[MAILBOX_THROTTLED] = { "throttled or busy", "throttled", DIAG_RETRY,
	    "the server asks to come back later",
	    "wait, and keep fewer connections" },
	[MAILBOX_LOST] = { "no answer", "no_answer", DIAG_RETRY,
	    "the server stopped answering", "try again later" },
	[MAILBOX_FAILED] = { "cannot test", "cannot_test", DIAG_NOMEM,
	    "this host has no memory left, or libcurl lacks the protocol",
	    "try again, or install libcurl with SMTP, IMAP and POP3" },
};
_Static_assert(COUNT(verdicts) == MAILBOX__COUNT, "words for each verdict");

const char *
mailbox_verdict_words(enum mailbox_verdict v)
{
	return verdicts[v].words;
}

const char *
mailbox_verdict_key(enum mailbox_verdict v)
{
	return verdicts[v].key;
}

unsigned
mailbox_port(enum service s)
{
	return speech_of(s)->port;
}

static int
watch(CURL *curl, curl_infotype type, char *data, size_t n, void *arg)
{
	struct dialogue *d = arg;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		dialogue_sent(d, data, n);
	else if (type == CURLINFO_HEADER_IN)
		dialogue_heard(d, data, n);
	return 0;
}

static size_t
swallow(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

/*
 * Without a body, POP3's STAT is known to have one line; but what IMAP's
 * EXAMINE answers counts as a body from libcurl 8 on, and is refused then.
 */
static bool
set_options(CURL *c, const struct mailbox_login *l, struct dialogue *d,
    char *failure, bool tls)
{
	static const char *const schemes = "smtp,smtps,imap,imaps,pop3,pop3s";

#define SET(option, value) (curl_easy_setopt(c, option, value) == CURLE_OK)
	return SET(CURLOPT_PROTOCOLS_STR, schemes) && SET(CURLOPT_PROXY, "") &&
	       SET(CURLOPT_NOSIGNAL, 1L) &&
	       SET(CURLOPT_TIMEOUT, (long)MAILBOX_TIMEOUT_S) &&
	       SET(CURLOPT_CONNECTTIMEOUT, (long)MAILBOX_TIMEOUT_S) &&
	       SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)MAILBOX_TIMEOUT_S) &&
	       SET(CURLOPT_USE_SSL,
		   (long)(tls ? CURLUSESSL_NONE : CURLUSESSL_ALL)) &&
	       SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
	       SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       (l->ca_file == NULL || (SET(CURLOPT_CAINFO, l->ca_file) &&
					  SET(CURLOPT_CAPATH, NULL))) &&
	       SET(CURLOPT_USERNAME, l->user) &&
	       SET(CURLOPT_XOAUTH2_BEARER, l->token->ptr) &&
	       SET(CURLOPT_LOGIN_OPTIONS, "AUTH=XOAUTH2") &&
	       SET(CURLOPT_NOBODY, (long)(l->service != SERVICE_IMAP)) &&
	       SET(CURLOPT_WRITEFUNCTION, swallow) &&
	       SET(CURLOPT_ERRORBUFFER, failure) &&
	       SET(CURLOPT_DEBUGFUNCTION, watch) && SET(CURLOPT_DEBUGDATA, d) &&
	       SET(CURLOPT_VERBOSE, 1L);
}

/* The command after the login, and the URL. */
static bool
set_place(CURL *c, const struct mailbox_login *l, const struct speech *s,
    unsigned port, bool tls)
{
	char url[320], probe[320];

	(void)snprintf(url, sizeof(url), "%s://%s:%u/", tls ? s->tls : s->plain,
	    l->host, port);
	(void)snprintf(probe, sizeof(probe), "%s",
	    l->service == SERVICE_IMAP ? "EXAMINE INBOX" : "STAT");
	if (l->service == SERVICE_SMTP)
		(void)snprintf(probe, sizeof(probe), "MAIL FROM:<%s>", l->user);
	return SET(CURLOPT_URL, url) && SET(CURLOPT_CUSTOMREQUEST, probe);
#undef SET
}

/* What libcurl says about the way there and the security of it. */
static enum mailbox_verdict
judge_way(CURLcode rc, const struct dialogue *d)
{
	switch ((int)rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return MAILBOX_NO_CONNECTION;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return MAILBOX_NOT_TRUSTED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_USE_SSL_FAILED:
		return MAILBOX_NO_TLS;
	case CURLE_LOGIN_DENIED:
		return MAILBOX_NO_XOAUTH2;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_NOT_BUILT_IN:
	case CURLE_FAILED_INIT:
		return MAILBOX_FAILED;
	case CURLE_OPERATION_TIMEDOUT:
	default:
		return d->len > 0 ? MAILBOX_LOST : MAILBOX_NO_CONNECTION;
	}
}

static enum mailbox_verdict
judge(CURLcode rc, const struct dialogue *d, const struct advice *a)
{
	/* Without XOAUTH2 libcurl's SMTP goes on without a login. */
	if (!d->login_sent && (rc == CURLE_OK || d->stage != MAILBOX_CONNECT))
		return MAILBOX_NO_XOAUTH2;
	if (rc == CURLE_OK)
		return MAILBOX_OK;
	if (a != NULL && a->kind == DIAG_RETRY)
		return MAILBOX_THROTTLED;
	if (d->stage == MAILBOX_CONNECT)
		return judge_way(rc, d);
	if (d->len == 0 && rc != CURLE_LOGIN_DENIED)
		return MAILBOX_LOST;
	if (strstr(d->heard, "SmtpClientAuthentication") != NULL)
		return MAILBOX_AUTH_OFF;
	return d->stage == MAILBOX_LOGIN ? MAILBOX_REFUSED : MAILBOX_NOT_OPENED;
}

static void
conclude(CURLcode rc, struct dialogue *d, const char *failure,
    struct mailbox_result *ret)
{
	const struct verdict *v;

	if (rc != CURLE_OK && d->len > 0)
		ret->advice = advice_mail(d->heard);
	ret->verdict = judge(rc, d, ret->advice);
	ret->stage = d->stage;
	v = &verdicts[ret->verdict];
	if (ret->verdict == MAILBOX_OK)
		return;
	/* The greeting of a server that then has no TLS is no answer. */
	if (d->stage != MAILBOX_CONNECT || ret->advice != NULL)
		dialogue_show(d->heard, ret->said, sizeof(ret->said));
	else
		dialogue_show(
		    *failure != '\0' ? failure : curl_easy_strerror(rc),
		    ret->failure, sizeof(ret->failure));
	ret->kind = ret->advice != NULL ? ret->advice->kind : v->kind;
	ret->stale = ret->advice != NULL ? ret->advice->stale :
					   ret->verdict == MAILBOX_REFUSED;
	ret->cause = ret->advice != NULL ? ret->advice->cause : v->cause;
	ret->todo = ret->advice != NULL ? ret->advice->todo : v->todo;
}

void
mailbox_try(const struct mailbox_login *l, struct mailbox_result *ret)
{
	const struct speech *s = speech_of(l->service);
	unsigned port = l->port != 0 ? l->port : s->port;
	bool tls = s->starttls_port != 0 ? port != s->starttls_port :
					   port == s->tls_port;
	struct dialogue d = { .speech = s };
	char failure[CURL_ERROR_SIZE] = "";
	CURLcode rc = CURLE_OUT_OF_MEMORY;
	CURL *c = curl_easy_init();

	*ret = (struct mailbox_result){ .kind = DIAG_OK };
	if (c != NULL && set_options(c, l, &d, failure, tls) &&
	    set_place(c, l, s, port, tls))
		rc = curl_easy_perform(c);
	d.over = true;
	curl_easy_cleanup(c);
	conclude(rc, &d, failure, ret);
}
