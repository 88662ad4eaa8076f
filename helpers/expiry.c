#include "expiry.h"

#include <stddef.h>

#include "credential.h"
#include "log.h"

#define DAY_S (24 * 3600)

static const int days_left[] = { 30, 7, 1, 0 };

const char *
expiry_what(const struct account *a)
{
	if (a->client_certificate != NULL)
		return "certificate";
	return a->client_secret.kind != SECRET_REF_NONE ? "client_secret" :
							  NULL;
}

void
expiry_look(struct expiry *e, const struct account *a)
{
	int64_t at = credential_expires_at(a);

	if (at != e->at)
		*e = (struct expiry){ .at = at };
}

static unsigned
passed(int64_t left_s)
{
	unsigned n = 0;

	while (n < sizeof(days_left) / sizeof(days_left[0]) &&
	       left_s <= (int64_t)days_left[n] * DAY_S)
		n++;
	return n;
}

static void
describe(const struct account *a, int64_t left_s, struct diag *ret)
{
	const char *ends = left_s > 0 ? "ends" : "has ended";

	if (a->client_certificate != NULL)
		(void)diag_set(ret, DIAG_CONFIG,
		    "%s %s: make a new one, add it to the application, then "
		    "replace the file",
		    a->client_certificate, ends);
	else
		(void)diag_set(ret, DIAG_CONFIG,
		    "the client secret %s: make a new one and store it, then "
		    "write its client_secret_expires",
		    ends);
}

bool
expiry_say(
    struct expiry *e, const struct account *a, int64_t now_s, struct diag *ret)
{
	int64_t left_s = e->at - now_s;
	int64_t days = left_s > 0 ? left_s / DAY_S : 0;
	unsigned n = e->at != 0 ? passed(left_s) : 0;
	bool news = n > e->said;
	struct log_line l;

	e->said = n;
	if (!news)
		return false;
	describe(a, left_s, ret);
	l = log_event(left_s > 0 ? LOG_WARNING : LOG_ERR, "expires");
	log_str(&l, "account", a->name);
	log_str(&l, "what", expiry_what(a));
	log_int(&l, "days", days);
	log_str(&l, "text", ret->text);
	log_send(&l);
	if (left_s > 0)
		(void)diag_wrap(ret, "in %lld days", (long long)days);
	return true;
}
