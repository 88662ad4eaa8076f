/* cli_list.c - mailtoken list: what the configuration says, without an agent. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"
#include "cli_json.h"

#define WORD_MAX 80

static const enum service services[] = { SERVICE_SMTP, SERVICE_IMAP,
	SERVICE_POP };
#define N_SERVICES (sizeof(services) / sizeof(services[0]))

/* As the configuration would have it: the name, else the number. */
static const char *
rule_word(const struct rule *r, char word[static WORD_MAX])
{
	const struct passwd *pw = r->group ? NULL : getpwuid((uid_t)r->id);
	const struct group *gr = r->group ? getgrgid((gid_t)r->id) : NULL;
	const char *prefix = r->group ? "group:" : "";

	if (pw != NULL || gr != NULL)
		(void)snprintf(word, WORD_MAX, "%s%s", prefix,
		    pw != NULL ? pw->pw_name : gr->gr_name);
	else
		(void)snprintf(word, WORD_MAX, "%s%u", prefix, r->id);
	return word;
}

static void
add_json(struct cli_json *rows, const struct account *a)
{
	struct cli_json *row = cli_json_object(), *words = cli_json_array(),
			*allow = cli_json_array();
	char word[WORD_MAX];

	cli_json_str(row, "account", a->name);
	cli_json_str(row, "provider", a->provider);
	cli_json_str(row, "cloud", a->cloud);
	cli_json_str(row, "tenant", a->tenant);
	cli_json_str(row, "grant", grant_name(a->grant));
	cli_json_str(row, "client_id", a->client_id);
	for (size_t i = 0; i < N_SERVICES; i++)
		if ((a->services & services[i]) != 0)
			cli_json_add_str(words, service_name(services[i]));
	cli_json_put(row, "services", words);
	for (size_t i = 0; i < a->allow.n; i++)
		cli_json_add_str(allow, rule_word(&a->allow.rule[i], word));
	cli_json_put(row, "allow", allow);
	cli_json_int(row, "line", a->line);
	cli_json_add(rows, row);
}

static int
list_json(const struct config *c)
{
	struct cli_json *rows = cli_json_array();
	int rc;

	for (size_t i = 0; i < c->n_accounts; i++)
		add_json(rows, c->accounts[i]);
	rc = cli_json_print(rows);
	cli_json_free(&rows);
	return rc;
}

static void
list_line(const struct account *a)
{
	char word[WORD_MAX], served[32] = "";
	size_t len = 0;

	for (size_t i = 0; i < N_SERVICES; i++)
		if ((a->services & services[i]) != 0)
			len += (size_t)snprintf(served + len,
			    sizeof(served) - len, "%s%s", len > 0 ? "," : "",
			    service_name(services[i]));
	printf("%-32s %-11s %-18s %-13s %-36s ", a->name, a->provider,
	    grant_name(a->grant), len > 0 ? served : "any",
	    a->client_id != NULL ? a->client_id : "-");
	for (size_t i = 0; i < a->allow.n; i++)
		printf("%s%s", i > 0 ? "," : "",
		    rule_word(&a->allow.rule[i], word));
	puts(a->allow.n > 0 ? "" : "-");
}

int
cmd_list(struct cli *c, int argc, char *argv[])
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	bool names = argc == 2 && strcmp(argv[1], "--names") == 0;

	if (argc > 2 || (argc == 2 && !json && !names))
		return cli_usage(argv[0]);
	if (cli_config(c) == NULL)
		return EX_CONFIG;
	if (json)
		return list_json(c->config);
	if (!names && c->config->n_accounts == 0)
		cli_say("%s has no account yet: run mailtoken add ACCOUNT",
		    c->conf_path);
	else if (!names)
		printf("%-32s %-11s %-18s %-13s %-36s %s\n", "ACCOUNT",
		    "PROVIDER", "GRANT", "SERVICES", "CLIENT_ID", "ALLOW");
	for (size_t i = 0; i < c->config->n_accounts; i++)
		if (names)
			puts(c->config->accounts[i]->name);
		else
			list_line(c->config->accounts[i]);
	return EX_OK;
}
