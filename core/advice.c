#include "advice.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(table) (sizeof(table) / sizeof((table)[0]))

#define LOOP_DETECTED  50196 /* what a throttled user flow hears */
#define LOOP_WAIT_S    120   /* until Entra lets go, as users report */
#define CREDENTIAL_LEN 40    /* a GUID has 36 */

static const char log_in[] =
    "log in again and import the new refresh token (mailtoken import)";
static const char mfa[] =
    "log in again with multi-factor authentication, or let the policy leave "
    "this account out, or use grant = client_credentials";
static const char policy[] =
    "an administrator must change that policy for this account or host, then "
    "log in again";
static const char wrong_place[] =
    "check client_id, tenant and cloud: they must belong together";
static const char scopes[] =
    "check scope, services and grant: one resource per token";
static const char later[] = "it will be asked again";

/* What an `error` means if nothing else is known. */
static const struct {
	const char *error;
	enum diag_kind kind;
	const char *advice;
} errors[] = {
	{ "invalid_grant", DIAG_REAUTH, log_in },
	{ "interaction_required", DIAG_REAUTH, log_in },
	{ "login_required", DIAG_REAUTH, log_in },
	{ "account_selection_required", DIAG_REAUTH, log_in },
	{ "expired_token", DIAG_REAUTH, log_in },
	{ "access_denied", DIAG_REAUTH, log_in },
	{ "authorization_declined", DIAG_REAUTH, log_in },
	{ "consent_required", DIAG_REAUTH,
	    "consent to the application's permissions, then log in again" },
	{ "temporarily_unavailable", DIAG_RETRY, later },
	{ "server_error", DIAG_RETRY, later },
	{ "slow_down", DIAG_RETRY, later },
	{ "authorization_pending", DIAG_RETRY, later },
	{ "invalid_client", DIAG_CONFIG,
	    "check client_id, client_secret and that the provider is the "
	    "right one" },
	{ "unauthorized_client", DIAG_CONFIG, wrong_place },
	{ "invalid_tenant", DIAG_CONFIG, "check tenant and cloud" },
	{ "invalid_scope", DIAG_CONFIG, scopes },
	{ "invalid_resource", DIAG_CONFIG, scopes },
	{ "invalid_target", DIAG_CONFIG, scopes },
	{ "unsupported_grant_type", DIAG_CONFIG,
	    "check grant and token_endpoint" },
};

/* The numbers seen most: a better advice than their `error` has. */
static const struct {
	int64_t number;
	const char *advice;
} numbers[] = {
	{ 50072, mfa },
	{ 50074, mfa },
	{ 50076, mfa },
	{ 50078, mfa },
	{ 50079, mfa },
	{ 50034, "there is no such user in this tenant: check whose login it "
		 "was, and tenant" },
	{ 50053, "the user is locked out or its address is blocked: unlock "
		 "it, then log in again" },
	{ 50057, "the user is disabled: enable it, then log in again" },
	{ 50105, "assign the user to the application in its tenant" },
	{ 50173, "the password was changed or the login revoked: log in again "
		 "(mailtoken import)" },
	{ 50194, "the application is for one tenant: write that tenant" },
	{ 53003, policy },
	{ 530032, policy },
	{ 530035, policy },
	{ 65001, "grant admin consent for the application's mail permissions" },
	{ 70043, "a sign-in frequency policy ended the login: let it leave "
		 "this account out, then log in again" },
	{ 700016, wrong_place },
	{ 700022, scopes },
	{ 700025, "the application is a public client: remove client_secret" },
	{ 700082, "the refresh token was not used for too long: log in again "
		  "(mailtoken import) and keep the agent running" },
	{ 700084, "the application's redirect URI is of type spa: register it "
		  "as mobile and desktop, then log in again" },
	{ 7000112, "the application is disabled in its tenant: enable it" },
	{ 7000215, "client_secret is wrong: store the secret's value, not its "
		   "ID" },
	{ 7000218, "set client_secret, or allow public client flows for the "
		   "application" },
	{ 7000222, "client_secret has expired: make a new one; the refresh "
		   "token stays good" },
	{ 9001023, "write the tenant's own name or ID as tenant" },
	{ 9002332, "write the tenant's own name or ID as tenant" },
	{ 90002, "check tenant and cloud" },
	{ 90038, "the tenant lives in another cloud: set cloud" },
};

/* Documented to pass by themselves, under whatever `error` they come. */
static const int64_t transient[] = { LOOP_DETECTED, 40010, 50033, 50087, 50088,
	50166, 501621, 70012, 70021, 80001, 80002, 80005, 80014, 90006, 90012,
	90024, 90033, 90055, 90090 };

static bool
status_is_transient(long status)
{
	return status == 408 || status == 429 || status >= 500;
}

static int64_t
cap(int64_t s)
{
	if (s < 0)
		return 0;
	return s < ADVICE_RETRY_AFTER_MAX_S ? s : ADVICE_RETRY_AFTER_MAX_S;
}

static bool
is_credential_char(char c)
{
	return c != '\0' &&
	       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		      "abcdefghijklmnopqrstuvwxyz0123456789._~+/=-",
		   c) != NULL;
}

/*
 * n bytes of the provider's words into ret[size].  Runs are judged before
 * anything is cut, so that no half of a token is left.
 */
static void
quote(char *ret, size_t size, const char *s, size_t n)
{
	size_t used = 0, room = size - sizeof("..."), run, take;
	const char *end = s + n, *from;

	for (; s < end && *s != '\0'; s += run) {
		for (run = 0; s + run < end && is_credential_char(s[run]);)
			run++;
		from = run >= CREDENTIAL_LEN ? "***" : s;
		take = run >= CREDENTIAL_LEN ? 3 : run > 0 ? run : 1;
		run = run > 0 ? run : 1;
		if (take > room - used) {
			memcpy(ret + used, from, room - used);
			memcpy(ret + room, "...", sizeof("..."));
			return;
		}
		memcpy(ret + used, from, take);
		used += take;
	}
	ret[used] = '\0';
}

static int64_t
number_in(const char *description)
{
	const char *p = strstr(description, "AADSTS");
	long long n = p == NULL ? 0 : strtoll(p + 6, NULL, 10);

	return n > 0 && n < 100000000 ? n : 0;
}

/* The description's first sentence, without the number in front. */
static void
first_sentence(const char *description, char *ret, size_t size)
{
	const char *s = description;
	size_t n;

	if (strncmp(s, "AADSTS", 6) == 0) {
		s += 6 + strspn(s + 6, "0123456789");
		s += strspn(s, ": ");
	}
	n = strcspn(s, "\r\n");
	for (size_t i = 0; i < n; i++)
		if ((s[i] == '.' && (i + 1 == n || s[i + 1] == ' ')) ||
		    strncmp(s + i, " Trace ID", 9) == 0)
			n = i;
	quote(ret, size, s, n);
}

static enum diag_kind
judge(long status, const struct refusal *r, int64_t number, const char **advice)
{
	enum diag_kind kind = DIAG_CONFIG;

	*advice = "check the account's section of the configuration";
	for (size_t i = 0; i < N(errors); i++)
		if (strcmp(r->error, errors[i].error) == 0) {
			kind = errors[i].kind;
			*advice = errors[i].advice;
		}
	if (strcmp(r->error, "invalid_grant") == 0 && r->suberror != NULL &&
	    (strcmp(r->suberror, "client_mismatch") == 0 ||
		strcmp(r->suberror, "protection_policy_required") == 0)) {
		kind = DIAG_CONFIG;
		*advice = "no login cures this: check client_id and the "
			  "tenant's app protection policies";
	}
	for (size_t i = 0; i < N(numbers); i++)
		if (numbers[i].number == number)
			*advice = numbers[i].advice;
	for (size_t i = 0; i < N(transient); i++)
		if (transient[i] == number)
			kind = DIAG_RETRY;
	if (status_is_transient(status))
		kind = DIAG_RETRY;
	if (kind == DIAG_RETRY)
		*advice = later;
	return kind;
}

int
advice_refusal(long http_status, int64_t retry_after_s, const struct refusal *r,
    struct diag *reterr)
{
	const char *description = r->description ? r->description : "";
	int64_t number = r->number > 0 ? r->number : number_in(description);
	char error[64], sentence[184], aadsts[40] = "", trace[64] = "";
	const char *advice;
	enum diag_kind kind = judge(http_status, r, number, &advice);

	quote(error, sizeof(error), r->error, strlen(r->error));
	first_sentence(description, sentence, sizeof(sentence));
	if (number > 0)
		(void)snprintf(
		    aadsts, sizeof(aadsts), " (AADSTS%lld)", (long long)number);
	/* What Microsoft's support asks for first. */
	if (r->trace_id != NULL && strlen(r->trace_id) == 36)
		(void)snprintf(
		    trace, sizeof(trace), " (trace %s)", r->trace_id);
	(void)diag_set(reterr, kind, "provider says %s%s%s%s: %s%s", error,
	    aadsts, *sentence ? ": " : "", sentence, advice, trace);
	if (kind == DIAG_RETRY)
		reterr->retry_after_s = cap(retry_after_s);
	if (number == LOOP_DETECTED && reterr->retry_after_s < LOOP_WAIT_S)
		reterr->retry_after_s = LOOP_WAIT_S;
	return -1;
}

int
advice_status(long http_status, int64_t retry_after_s, const char *what,
    struct diag *reterr)
{
	const char *advice = "check token_endpoint, or provider and tenant";

	if (status_is_transient(http_status)) {
		(void)diag_set(reterr, DIAG_RETRY,
		    "provider answered with status %ld and %s: %s", http_status,
		    what, later);
		reterr->retry_after_s = cap(retry_after_s);
		return -1;
	}
	if (http_status >= 200 && http_status < 300) {
		(void)diag_set(reterr, DIAG_RETRY,
		    "provider answered with %s (a captive portal or proxy?): "
		    "%s",
		    what, later);
		reterr->retry_after_s = cap(retry_after_s);
		return -1;
	}
	if (http_status == 401 || http_status == 403 || http_status == 407)
		advice = "check client_id and client_secret, and any proxy";
	else if (http_status >= 300 && http_status < 400)
		advice = "redirects are not followed, check token_endpoint";
	return diag_set(reterr, DIAG_CONFIG,
	    "provider answered with status %ld and %s: %s", http_status, what,
	    advice);
}
