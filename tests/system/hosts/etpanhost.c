/*
 * etpanhost.c - libetpan's IMAP, as claws-mail and others use it.
 *
 * etpanhost MECH HOST PORT CA USER PASSWORD
 *
 * Logs in by IMAPS and says how many messages are in INBOX.  libetpan-dev
 * cannot be installed beside what the rest needs, so that it is built by the
 * test that wants it, not by make.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libetpan/libetpan.h>

#define TIMEOUT_S 20

static void
trust(struct mailstream_ssl_context *context, void *ca)
{
	(void)mailstream_ssl_set_server_certicate(context, ca, NULL);
}

static int
failed(const char *what, mailimap *imap, int rc)
{
	printf("%s rc=%d %s\n", what, rc,
	    imap->imap_response != NULL ? imap->imap_response : "");
	return 1;
}

static int
count_messages(mailimap *imap, char *argv[])
{
	const char *host = argv[2], *user = argv[5], *password = argv[6];
	int rc;

	rc = mailimap_ssl_connect_with_callback(
	    imap, host, (uint16_t)atoi(argv[3]), trust, argv[4]);
	if (rc != MAILIMAP_NO_ERROR &&
	    rc != MAILIMAP_NO_ERROR_NON_AUTHENTICATED)
		return failed("connect", imap, rc);
	rc = mailimap_authenticate(
	    imap, argv[1], host, NULL, NULL, user, user, password, NULL);
	if (rc != MAILIMAP_NO_ERROR)
		return failed("authenticate", imap, rc);
	rc = mailimap_select(imap, "INBOX");
	if (rc != MAILIMAP_NO_ERROR)
		return failed("select", imap, rc);
	printf("messages=%u\n", imap->imap_selection_info->sel_exists);
	(void)mailimap_logout(imap);
	return 0;
}

int
main(int argc, char *argv[])
{
	mailimap *imap;
	int status;

	if (argc != 7)
		return 2;
	imap = mailimap_new(0, NULL);
	if (imap == NULL)
		return 2;
	mailimap_set_timeout(imap, TIMEOUT_S);
	status = count_messages(imap, argv);
	mailimap_free(imap);
	return status;
}
