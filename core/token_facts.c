#include "token_facts.h"

#include <ctype.h>
#include <string.h>

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define GUID_LEN   36
#define TIME_MAX_S 253402300799 /* the last second of the year 9999 */

static const char *const microsoft_issuers[] = { "https://sts.windows.net/",
	"https://login.microsoftonline.com/",
	"https://login.microsoftonline.us/", "https://sts.chinacloudapi.cn/",
	"https://login.chinacloudapi.cn/",
	"https://login.partner.microsoftonline.cn/" };

const char *
token_show(const char *s, char *ret, size_t size)
{
	size_t n = 0;

	for (; s != NULL && s[n] != '\0' && n + 1 < size; n++)
		ret[n] = s[n] >= ' ' && s[n] <= '~' ? s[n] : '?';
	ret[n] = '\0';
	if (s != NULL && s[n] != '\0' && size > 4)
		memcpy(ret + size - 4, "...", 4);
	return ret;
}

bool
token_is_guid(const char *s)
{
	size_t i;

	for (i = 0; s != NULL && i < GUID_LEN && s[i] != '\0'; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return i == GUID_LEN && s[i] == '\0';
}

/* The first of the claims that is there. */
static const char *
first_of(const struct json *claims, const char *const names[])
{
	const char *s = NULL;

	for (size_t i = 0; s == NULL && names[i] != NULL; i++)
		s = json_str(claims, names[i]);
	return s;
}

static bool
is_microsoft(const char *issuer)
{
	for (size_t i = 0; issuer != NULL && i < COUNT(microsoft_issuers); i++)
		if (strncmp(issuer, microsoft_issuers[i],
			strlen(microsoft_issuers[i])) == 0)
			return true;
	return false;
}

/* Within what can be reckoned with: strangers write it. */
static void
read_time(const struct json *claims, const char *name, int64_t *ret)
{
	int64_t at;

	if (json_int(claims, name, &at) && at > 0)
		*ret = at < TIME_MAX_S ? at : TIME_MAX_S;
}

void
token_facts_read(const struct json *claims, struct token_facts *ret)
{
	static const char *const app_ids[] = { "appid", "azp", "client_id",
		NULL };
	static const char *const users[] = { "upn", "unique_name",
		"preferred_username", "email", NULL };
	static const char *const scopes[] = { "scp", "scope", NULL };
	const char *kind = json_str(claims, "idtyp");
	struct token_facts f = { .claims = claims };

	f.issuer = json_str(claims, "iss");
	f.microsoft = is_microsoft(f.issuer);
	f.audience = json_str(claims, "aud");
	if (f.audience == NULL)
		f.audience = json_str_at(claims, "aud", 0);
	f.tenant = json_str(claims, "tid");
	f.app_id = first_of(claims, app_ids);
	f.app_name = json_str(claims, "app_displayname");
	f.user = first_of(claims, users);
	f.object_id = json_str(claims, "oid");
	f.scopes = first_of(claims, scopes);
	read_time(claims, "iat", &f.issued_at);
	read_time(claims, "nbf", &f.not_before);
	read_time(claims, "exp", &f.expires_at);
	/* idtyp is optional; a person's token always has scopes. */
	f.app_only = kind != NULL ?
			 strcmp(kind, "app") == 0 :
			 f.microsoft && f.scopes == NULL && f.user == NULL;
	*ret = f;
}

const char *
token_facts_role(const struct token_facts *f, size_t i)
{
	return json_str_at(f->claims, "roles", i);
}
