/* cli_page.c - the page that a login ends on. */
#include "cli_page.h"

#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "cleanup.h"

/* A change needs a new hash: tests/system/test_login.py tells it. */
static const char style[] =
    "body{margin:0;min-height:100vh;display:flex;align-items:center;"
    "justify-content:center;font:1.0625rem/1.5 system-ui,sans-serif;"
    "background:#eef1f5;color:#1c2430}"
    "main{box-sizing:border-box;width:100%;max-width:34rem;margin:1rem;"
    "padding:1.5rem 1.75rem;border-radius:.75rem;background:#fff;"
    "border-top:.4rem solid #b3261e;overflow-wrap:anywhere;"
    "box-shadow:0 1px 4px rgba(0,0,0,.2)}"
    "main.good{border-color:#1b7f3b}"
    "h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}"
    "p{margin:.75rem 0 0}small{color:#5b6675}"
    "@media(prefers-color-scheme:dark){body{background:#12161c;"
    "color:#e6eaf0}main{background:#1d232c}small{color:#9aa5b4}}";
#define STYLE_HASH "sha256-4QxVupZoeFrSl0Jtc9n0mggth7hh6BFL9D8zPh2/o0Q="

static const struct {
	const char *name, *value;
} headers[] = {
	{ "Content-Type", "text/html; charset=utf-8" },
	{ "Content-Security-Policy",
	    "default-src 'none'; style-src '" STYLE_HASH "'; base-uri 'none'; "
	    "form-action 'none'; frame-ancestors 'none'" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cache-Control", "no-store" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Connection", "close" },
};

static void
add_paragraph(struct evbuffer *b, const char *tag, const char *text)
{
	auto_free char *escaped = evhttp_htmlescape(text);

	if (escaped != NULL)
		(void)evbuffer_add_printf(
		    b, "<%s>%s</%s>\n", tag, escaped, tag);
}

static void
write_page(struct evbuffer *b, const struct cli_page *p)
{
	auto_free char *title = evhttp_htmlescape(p->title);

	(void)evbuffer_add_printf(b,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" "
	    "content=\"width=device-width, initial-scale=1\">\n"
	    "<title>%s</title>\n<style>%s</style>\n</head>\n"
	    "<body>\n<main%s>\n",
	    title != NULL ? title : "mailtoken", style,
	    p->status == HTTP_OK ? " class=\"good\"" : "");
	add_paragraph(b, "h1", p->title);
	add_paragraph(b, "p", p->what);
	add_paragraph(b, "p", p->next);
	(void)evbuffer_add_printf(
	    b, "<p><small>mailtoken</small></p>\n</main>\n</body>\n</html>\n");
}

void
cli_page_send(struct evhttp_request *req, const struct cli_page *p)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	struct evbuffer *b = evbuffer_new();

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)evhttp_add_header(out, headers[i].name, headers[i].value);
	if (p->allow != NULL)
		(void)evhttp_add_header(out, "Allow", p->allow);
	if (b != NULL)
		write_page(b, p);
	evhttp_send_reply(req, p->status, NULL, b);
	if (b != NULL)
		evbuffer_free(b);
}
