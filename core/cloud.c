#include "cloud.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Applications are registered in each separately.  The mail resource of dod
 * is what Microsoft's own scripts use, but no page of theirs says so; `scope`
 * overrides it.
 */
static const struct cloud clouds[] = {
	{ "global", "login.microsoftonline.com", "https://outlook.office.com",
	    "https://outlook.office365.com", "outlook.office365.com",
	    "smtp.office365.com" },
	{ "gcc-high", "login.microsoftonline.us",
	    "https://outlook.office365.us", "https://outlook.office365.us",
	    "outlook.office365.us", "smtp.office365.us" },
	{ "dod", "login.microsoftonline.us", "https://outlook-dod.office365.us",
	    "https://outlook-dod.office365.us", "outlook-dod.office365.us",
	    NULL },
	{ "china", "login.partner.microsoftonline.cn",
	    "https://partner.outlook.cn", "https://partner.outlook.cn",
	    "partner.outlook.cn", "smtp.partner.outlook.cn" },
};

/* Other names of the global cloud's host. */
static const char *const aliases[] = { "login.windows.net",
	"login.microsoft.com", "sts.windows.net" };

const struct cloud *
cloud_find(const char *name)
{
	if (name == NULL)
		return &clouds[0];
	for (size_t i = 0; i < COUNT(clouds); i++)
		if (strcmp(clouds[i].name, name) == 0)
			return &clouds[i];
	return NULL;
}

static bool
host_is(const char *host, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(host, name, n) == 0;
}

const struct cloud *
cloud_at(const char *authority)
{
	const char *host = authority;
	size_t n;

	if (strncasecmp(host, "https://", 8) != 0)
		return NULL;
	host += 8;
	n = strcspn(host, "/");
	if (host[n] == '/' && host[n + 1] != '\0')
		return NULL;
	for (size_t i = 0; i < COUNT(clouds); i++)
		if (host_is(host, n, clouds[i].login))
			return &clouds[i];
	for (size_t i = 0; i < COUNT(aliases); i++)
		if (host_is(host, n, aliases[i]))
			return &clouds[0];
	return NULL;
}

char *
cloud_endpoint(const struct cloud *c, const char *tenant, const char *name)
{
	char *url;

	if (asprintf(&url, "https://%s/%s/oauth2/v2.0/%s", c->login, tenant,
		name) < 0)
		return NULL;
	return url;
}

/* It becomes a part of the endpoint's path, so no "..", no "/", no "?". */
bool
tenant_ok(const char *s)
{
	if (!isalnum((unsigned char)*s) || strlen(s) > 253 ||
	    strstr(s, "..") != NULL)
		return false;
	for (; *s != '\0'; s++)
		if (!isascii((unsigned char)*s) ||
		    (!isalnum((unsigned char)*s) && *s != '.' && *s != '-'))
			return false;
	return true;
}

bool
tenant_is_shared(const char *s)
{
	return strcasecmp(s, "common") == 0 ||
	       strcasecmp(s, "organizations") == 0 ||
	       strcasecmp(s, "consumers") == 0;
}
