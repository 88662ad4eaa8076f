#include "inifile.h"

#include <stdbool.h>
#include <string.h>

void
inifile_init(struct inifile *f, char *text, size_t len)
{
	f->next = text;
	f->end = text + len;
	f->line = 0;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		f->next += 3;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Ends s before its trailing blanks and returns it behind its leading ones. */
static char *
trim(char *s)
{
	char *end;

	while (is_blank(*s))
		s++;
	end = s + strlen(s);
	while (end > s && is_blank(end[-1]))
		end--;
	*end = '\0';
	return s;
}

/* Takes one line off the text, without its end. */
static char *
take_line(struct inifile *f, size_t *len)
{
	char *line = f->next;
	char *nl = memchr(line, '\n', (size_t)(f->end - line));
	char *end = nl != NULL ? nl : f->end;

	f->next = nl != NULL ? nl + 1 : f->end;
	f->line++;
	if (end > line && end[-1] == '\r')
		end--;
	*end = '\0';
	*len = (size_t)(end - line);
	return line;
}

static bool
has_control(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
			return true;
	return false;
}

static enum inifile_item
item_bad(struct inifile_entry *ret, const char *why)
{
	ret->why = why;
	return INIFILE_BAD;
}

static enum inifile_item
item_section(char *s, struct inifile_entry *ret)
{
	char *close = strchr(s, ']');
	const char *rest;

	if (close == NULL)
		return item_bad(ret, "a section's line must end in ']'");
	*close = '\0';
	rest = trim(close + 1);
	if (*rest != '\0' && *rest != ';' && *rest != '#')
		return item_bad(ret,
		    "something stands behind the ']' of a section: write it "
		    "in a line of its own");
	ret->name = trim(s + 1);
	return INIFILE_SECTION;
}

static enum inifile_item
item_key(char *s, struct inifile_entry *ret)
{
	char *eq = strchr(s, '=');

	if (eq == NULL || eq == s)
		return item_bad(ret,
		    "neither a section nor key = value; a value cannot go on "
		    "in a second line");
	*eq++ = '\0';
	for (char *c = eq; *c != '\0'; c++) {
		if (is_blank(c[0]) && c[1] == ';') {
			*c = '\0';
			break;
		}
	}
	ret->name = trim(s);
	ret->value = trim(eq);
	return INIFILE_KEY;
}

enum inifile_item
inifile_next(struct inifile *f, struct inifile_entry *ret)
{
	*ret = (struct inifile_entry){ 0, NULL, NULL, NULL };
	while (f->next < f->end) {
		size_t len;
		char *s = take_line(f, &len);

		ret->line = f->line;
		if (has_control(s, len))
			return item_bad(ret,
			    "has a control character: the file must be plain "
			    "text, UTF-8 or ASCII");
		s = trim(s);
		if (*s == '\0' || *s == '#' || *s == ';')
			continue;
		return *s == '[' ? item_section(s, ret) : item_key(s, ret);
	}
	return INIFILE_END;
}
