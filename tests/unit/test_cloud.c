/* Microsoft's clouds: who logs in where, and where the mail is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud.h"
#include "provider.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
finds_clouds_by_their_login_host(void **unused)
{
	static const struct {
		const char *url, *cloud;
	} at[] = {
		{ "https://login.microsoftonline.com/", "global" },
		{ "https://login.microsoftonline.com", "global" },
		{ "HTTPS://Login.MicrosoftOnline.com/", "global" },
		{ "https://login.windows.net/", "global" },
		{ "https://login.microsoftonline.us/", "gcc-high" },
		{ "https://login.partner.microsoftonline.cn/", "china" },
		{ "https://login.microsoftonline.de/", "none" },
		{ "https://login.microsoftonline.com/common", "none" },
		{ "https://login.microsoftonline.com.example.com/", "none" },
		{ "http://login.microsoftonline.com/", "none" },
		{ "login.microsoftonline.com", "none" },
		{ "https://", "none" },
		{ "", "none" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(at); i++) {
		const struct cloud *c = cloud_at(at[i].url);

		assert_string_equal(c != NULL ? c->name : "none", at[i].cloud);
	}
}

static void
knows_mail_hosts(void **unused)
{
	static const struct {
		const char *provider, *cloud;
		enum service service;
		const char *host;
	} hosts[] = {
		{ "microsoft", NULL, SERVICE_SMTP, "smtp.office365.com" },
		{ "microsoft", "global", SERVICE_POP, "outlook.office365.com" },
		{ "microsoft", "gcc-high", SERVICE_SMTP, "smtp.office365.us" },
		{ "microsoft", "dod", SERVICE_IMAP,
		    "outlook-dod.office365.us" },
		{ "microsoft", "dod", SERVICE_SMTP, "none" },
		{ "microsoft", "china", SERVICE_SMTP,
		    "smtp.partner.outlook.cn" },
		{ "microsoft", "mars", SERVICE_SMTP, "none" },
		{ "outlook.com", NULL, SERVICE_SMTP, "smtp-mail.outlook.com" },
		{ "outlook.com", NULL, SERVICE_IMAP, "outlook.office365.com" },
		{ "google", NULL, SERVICE_SMTP, "smtp.gmail.com" },
		{ "google", NULL, SERVICE_IMAP, "imap.gmail.com" },
		{ "google", NULL, SERVICE_POP, "pop.gmail.com" },
		{ "custom", NULL, SERVICE_SMTP, "none" },
		{ "yahoo", NULL, SERVICE_SMTP, "none" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		const char *got = provider_mail_host(
		    hosts[i].provider, hosts[i].cloud, hosts[i].service);

		assert_string_equal(got != NULL ? got : "none", hosts[i].host);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_clouds_by_their_login_host),
		cmocka_unit_test(knows_mail_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
