#include "login_place.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "advice_name.h"

/* "https://host:port" of a URL that provider_check_url() has passed. */
struct origin {
	const char *host;
	size_t n;
	bool tls;
};

/* Without the port that is the scheme's own. */
static struct origin
origin_of(const char *url)
{
	bool tls = strncasecmp(url, "https://", 8) == 0;
	struct origin o = { url + (tls ? 8 : 7), 0, tls };
	const char *port = tls ? ":443" : ":80";
	size_t n = strlen(port);

	o.n = strcspn(o.host, "/?");
	if (o.n > n && strncmp(o.host + o.n - n, port, n) == 0)
		o.n -= n;
	return o;
}

static const char *
url_of(const struct account *a)
{
	return a->token_endpoint != NULL ? a->token_endpoint : a->issuer;
}

/* FNV-1a. */
int64_t
login_place(const struct account *a)
{
	const char *url = url_of(a);
	struct origin o;
	uint64_t h;

	if (url == NULL)
		return 0;
	o = origin_of(url);
	h = 14695981039346656037U + o.tls;
	for (size_t i = 0; i < o.n; i++)
		h = (h ^ (unsigned char)tolower((unsigned char)o.host[i])) *
		    1099511628211U;
	return (int64_t)(h >> 1) | 1;
}

bool
login_place_same(const struct account *a, int64_t place)
{
	return place == 0 || place == login_place(a);
}

int
login_place_check(const struct account *a, int64_t place, struct diag *reterr)
{
	const char *url = url_of(a);
	struct origin o = origin_of(url != NULL ? url : "https://?");

	if (login_place_same(a, place))
		return 0;
	return diag_set(reterr, DIAG_REAUTH,
	    "the login is of another provider than %.*s, and nothing was sent "
	    "there: run mailtoken login %s, or change the section back",
	    o.n > 200 ? 200 : (int)o.n, o.host, ADVICE_WORD(a->name));
}
