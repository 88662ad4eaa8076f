#include "exchange_online.h"

#include <string.h>

#define ADDRESS_MAX 254 /* RFC 5321 section 4.5.3.1 */

static const struct {
	const char *cloud, *environment;
} environments[] = {
	{ "gcc-high", "O365USGovGCCHigh" },
	{ "dod", "O365USGovDoD" },
	{ "china", "O365China" },
};

bool
exchange_online_address(const char *s)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789.!#%&'*+-/=?^_{|}~@";
	const char *at;

	if (s == NULL || strlen(s) > ADDRESS_MAX ||
	    s[strspn(s, allowed)] != '\0')
		return false;
	at = strchr(s, '@');
	return at != NULL && at != s && at[1] != '\0' &&
	       strchr(at + 1, '@') == NULL;
}

/* In single quotes PowerShell looks at nothing but the quote itself. */
static void
add_quoted(struct buf *b, const char *s)
{
	buf_adds(b, "'");
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			buf_adds(b, "'");
		buf_add(b, s, 1);
	}
	buf_adds(b, "'");
}

static void
add_guid(struct buf *b, const char *guid, const char *instead)
{
	buf_adds(b, token_is_guid(guid) ? guid : instead);
}

static void
add_mailbox(struct buf *b, const char *mailbox)
{
	if (exchange_online_address(mailbox))
		add_quoted(b, mailbox);
	else
		buf_adds(b, "<MAILBOX>");
}

static void
add_connect(struct buf *b, const struct account *a)
{
	buf_adds(b, "Connect-ExchangeOnline");
	for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]);
	     i++)
		if (a != NULL && a->cloud != NULL &&
		    strcmp(a->cloud, environments[i].cloud) == 0) {
			buf_adds(b, " -ExchangeEnvironmentName ");
			buf_adds(b, environments[i].environment);
		}
	buf_adds(b, "\n");
}

static void
add_smtp(struct buf *b, const char *mailbox, const char *object_id)
{
	buf_adds(b, "Add-RecipientPermission -Identity ");
	add_mailbox(b, mailbox);
	buf_adds(b, " -Trustee ");
	add_guid(b, object_id, "<OBJECT_ID_OF_THE_ENTERPRISE_APPLICATION>");
	buf_adds(b, " -AccessRights SendAs -Confirm:$false\n");
	buf_adds(b, "Set-CASMailbox -Identity ");
	add_mailbox(b, mailbox);
	buf_adds(b, " -SmtpClientAuthenticationDisabled $false\n"
		    "Get-TransportConfig | Format-List "
		    "SmtpClientAuthenticationDisabled\n");
}

void
exchange_online_setup(struct buf *b, const struct token_facts *f,
    const struct account *a, const char *mailbox)
{
	unsigned services = a != NULL ? a->services : 0;
	static const char object[] =
	    "<OBJECT_ID_OF_THE_ENTERPRISE_APPLICATION>";

	add_connect(b, a);
	buf_adds(b, "New-ServicePrincipal -AppId ");
	add_guid(b, f->app_id, "<APPLICATION_ID>");
	buf_adds(b, " -ObjectId ");
	add_guid(b, f->object_id, object);
	buf_adds(b, "\nAdd-MailboxPermission -Identity ");
	add_mailbox(b, mailbox);
	buf_adds(b, " -User ");
	add_guid(b, f->object_id, object);
	buf_adds(b, " -AccessRights FullAccess\n");
	if (services == 0 || (services & SERVICE_SMTP) != 0)
		add_smtp(b, mailbox, f->object_id);
}
