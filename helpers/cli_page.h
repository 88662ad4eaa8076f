/*
 * cli_page.h - the page that a person ends on in the browser: HTML for any
 * screen, without script, and with nothing from elsewhere.
 */
#ifndef HELPERS_CLI_PAGE_H
#define HELPERS_CLI_PAGE_H

struct evhttp_request;

struct cli_page {
	int status;	   /* of HTTP */
	const char *title; /* these three as plain text */
	const char *what;  /* has happened */
	const char *next;  /* what to do */
	const char *allow; /* of a 405; or NULL */
};

/* Answers the request with it and closes the connection. */
void cli_page_send(struct evhttp_request *req, const struct cli_page *p);

#endif
