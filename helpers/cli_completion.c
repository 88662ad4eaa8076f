/* cli_completion.c - mailtoken completion: made from the command table. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"
#include "import_file.h"

#define WORD_MAX 64

/* A command's arguments' text, "ACCOUNT [--from FILE|-]", bit by bit. */
struct words {
	const char *next;
	char word[WORD_MAX];  /* "ACCOUNT", "--from", "bash" */
	char value[WORD_MAX]; /* what goes behind an option: "FILE", or "" */
};

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static size_t
take_word(struct words *w, char word[static WORD_MAX])
{
	size_t n = 0;

	for (; is_word(*w->next); w->next++)
		if (n < WORD_MAX - 1)
			word[n++] = *w->next;
	word[n] = '\0';
	return n;
}

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] == '-' && word[2] != '\0';
}

static bool
words_next(struct words *w)
{
	while (*w->next != '\0' && !is_word(*w->next))
		w->next++;
	*w->value = '\0';
	if (take_word(w, w->word) == 0)
		return false;
	if (is_option(w->word) && w->next[0] == ' ' &&
	    isupper((unsigned char)w->next[1])) {
		w->next++;
		(void)take_word(w, w->value);
	}
	return true;
}

/* The placeholder stands for an argument of its own. */
static bool
takes(const struct cli_command *cmd, const char *placeholder)
{
	struct words w = { .next = cmd->args };

	while (words_next(&w))
		if (strcmp(w.word, placeholder) == 0)
			return true;
	return false;
}

typedef void each_word(const char *command, const char *word, bool value);

/* "--KEY" stands for every key of an account. */
static void
for_keys(const char *command, each_word *each)
{
	char word[WORD_MAX];

	for (size_t i = 0; i < account_n_settings; i++) {
		(void)snprintf(
		    word, sizeof(word), "--%s", account_settings[i].key);
		for (char *c = word; *c != '\0'; c++)
			if (*c == '_')
				*c = '-';
		each(command, word, true);
	}
}

/* Options, and arguments that are given as they are written. */
static void
for_words(const struct cli_command *cmd, each_word *each)
{
	struct words w = { .next = cmd->args };

	each(cmd->name, "--help", false);
	while (words_next(&w))
		if (strcmp(w.word, "--KEY") == 0)
			for_keys(cmd->name, each);
		else if (is_option(w.word) || islower((unsigned char)*w.word))
			each(cmd->name, w.word, *w.value != '\0');
}

/* Rows of commands, without the headings. */
static bool
command_at(size_t *i)
{
	while (*i < cli_n_commands && cli_commands[*i].name == NULL)
		(*i)++;
	return *i < cli_n_commands;
}

static void
print_formats(void)
{
	for (unsigned i = 0; i < IMPORT__COUNT; i++)
		printf(" %s", import_format_name((enum import_format)i));
}

/* "-c|-s|--from": a pattern of the options that a file's name follows. */
static void
print_file_options(void)
{
	fputs("-c|-s|--*-file|--*-certificate|--client-key", stdout);
	for (size_t i = 0; command_at(&i); i++) {
		struct words w = { .next = cli_commands[i].args };

		while (words_next(&w))
			if (strcmp(w.value, "FILE") == 0)
				printf("|%s", w.word);
	}
}

static void
print_word(const char *command, const char *word, bool value)
{
	(void)command;
	(void)value;
	printf(" %s", word);
}

static void
print_flags(const struct cli_command *cmd)
{
	printf("%s%s", takes(cmd, "ACCOUNT") ? "; accounts=1" : "",
	    takes(cmd, "FILE") ? "; files=1" : "");
}

/*
 * An account's name is nothing but text, which somebody else may have chosen:
 * compgen -W would run what is in it, and so would the line, since not even
 * for files' names does the shell quote a dollar.  What is quoted here would be
 * quoted twice inside quotes: there only names are offered that need none.
 */
static void
print_bash_choice(void)
{
	fputs("\t[[ -z $accounts || $cur == -* ]] || mapfile -t names < <("
	      "\"${COMP_WORDS[0]}\" \"${opts[@]}\" list --names "
	      "2>/dev/null)\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor w in \"${words[@]}\" \"${names[@]}\"; do\n"
	      "\t\t[[ $w != \"$text\"* ]] || _mailtoken_offer \"$w\"\n"
	      "\tdone\n"
	      "\t[[ -n $files && $cur != -* ]] || return 0\n"
	      "\tmapfile -t names < <(compgen -f -- \"$cur\")\n"
	      "\tif ((${#COMPREPLY[@]} == 0)); then\n"
	      "\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tCOMPREPLY=(\"${names[@]}\")\n"
	      "\telse\n"
	      "\t\tfor w in \"${names[@]}\"; do\n"
	      "\t\t\t_mailtoken_offer \"$w\"\n"
	      "\t\tdone\n"
	      "\tfi\n",
	    stdout);
}

static void
complete_bash(void)
{
	fputs(
	    "# bash completion for mailtoken(1), made by itself\n"
	    "_mailtoken_offer() {\n"
	    "\tlocal quoted\n"
	    "\tprintf -v quoted %q \"$1\"\n"
	    "\t[[ -n $in_quotes && $quoted != \"$1\" ]] || "
	    "COMPREPLY+=(\"$quoted\")\n"
	    "}\n"
	    "_mailtoken() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd= accounts= files= i w\n"
	    "\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]} text=${cur//\\\\/}\n"
	    "\tlocal in_quotes=\n"
	    "\t[[ $cur != [\\\"\\']* ]] || in_quotes=1 text=${cur:1}\n"
	    "\tlocal -a opts=() words=() names=()\n"
	    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	    "\t\tcase ${COMP_WORDS[i]} in\n"
	    "\t\t-c|-s) opts+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i + 1]}\")"
	    "; ((i++)) ;;\n"
	    "\t\t-*) ;;\n"
	    "\t\t*) cmd=${COMP_WORDS[i]}; break ;;\n"
	    "\t\tesac\n"
	    "\tdone\n"
	    "\tcase $prev in\n\t",
	    stdout);
	print_file_options();
	fputs(") files=1 ;;\n\t--format) words=(", stdout);
	print_formats();
	fputs(" ) ;;\n\t*) case $cmd in\n\t'') words=(-c -s --help --version",
	    stdout);
	for (size_t i = 0; command_at(&i); i++)
		printf(" %s", cli_commands[i].name);
	fputs(") ;;\n", stdout);
	for (size_t i = 0; command_at(&i); i++) {
		printf("\t%s) words=(", cli_commands[i].name);
		for_words(&cli_commands[i], print_word);
		fputs(" )", stdout);
		print_flags(&cli_commands[i]);
		fputs(" ;;\n", stdout);
	}
	fputs("\tesac ;;\n\tesac\n", stdout);
	print_bash_choice();
	fputs("}\ncomplete -F _mailtoken mailtoken\n", stdout);
}

/* Inside single quotes, as the shell has them. */
static void
print_quoted(const char *s, const char *quote)
{
	putchar('\'');
	for (; *s != '\0'; s++)
		if (*s == '\'')
			fputs(quote, stdout);
		else
			putchar(*s);
	putchar('\'');
}

static void
complete_zsh(void)
{
	fputs("#compdef mailtoken\n"
	      "# zsh completion for mailtoken(1), made by itself\n"
	      "_mailtoken() {\n"
	      "\tlocal cmd= accounts= files= i prev=${words[CURRENT-1]}\n"
	      "\tlocal -a opts choice names\n"
	      "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	      "\t\tcase ${words[i]} in\n"
	      "\t\t-c|-s) opts+=(${words[i]} ${words[i+1]}); ((i++)) ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) cmd=${words[i]}; break ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase $prev in\n\t",
	    stdout);
	print_file_options();
	fputs(") _files; return ;;\n\t--format) choice=(", stdout);
	print_formats();
	fputs(" ) ;;\n\t*) case $cmd in\n\t'') names=(\n", stdout);
	for (size_t i = 0; command_at(&i); i++) {
		printf("\t\t%s:", cli_commands[i].name);
		print_quoted(cli_commands[i].does, "'\\''");
		putchar('\n');
	}
	fputs("\t) choice=(-c -s --help --version) ;;\n", stdout);
	for (size_t i = 0; command_at(&i); i++) {
		printf("\t%s) choice=(", cli_commands[i].name);
		for_words(&cli_commands[i], print_word);
		fputs(" )", stdout);
		print_flags(&cli_commands[i]);
		fputs(" ;;\n", stdout);
	}
	fputs("\tesac ;;\n\tesac\n"
	      "\t[[ -z $accounts ]] || choice+=(${(f)\"$("
	      "${words[1]} $opts list --names 2>/dev/null)\"})\n"
	      "\t(( ! $#names )) || _describe command names\n"
	      "\t(( ! $#choice )) || compadd -- $choice\n"
	      "\t[[ -z $files ]] || _files\n"
	      "}\n"
	      "_mailtoken \"$@\"\n",
	    stdout);
}

static void
print_fish(const char *command, const char *word, bool value)
{
	printf("complete -c mailtoken -n '__fish_seen_subcommand_from %s' ",
	    command);
	if (strcmp(word, "--format") == 0) {
		fputs("-l format -x -a '", stdout);
		print_formats();
		fputs("'\n", stdout);
	} else if (is_option(word))
		printf("-l %s%s\n", word + 2, value ? " -r -F" : "");
	else
		printf("-a %s\n", word);
}

static void
complete_fish(void)
{
	fputs("# fish completion for mailtoken(1), made by itself\n"
	      "complete -c mailtoken -f\n"
	      "complete -c mailtoken -s c -r -F -d 'the configuration'\n"
	      "complete -c mailtoken -s s -r -F -d 'the socket of the agent'\n",
	    stdout);
	for (size_t i = 0; command_at(&i); i++) {
		const struct cli_command *cmd = &cli_commands[i];

		printf("complete -c mailtoken -n __fish_use_subcommand -a %s "
		       "-d ",
		    cmd->name);
		print_quoted(cmd->does, "\\'");
		putchar('\n');
		for_words(cmd, print_fish);
		if (takes(cmd, "ACCOUNT"))
			printf("complete -c mailtoken -n "
			       "'__fish_seen_subcommand_from %s' -a "
			       "'(mailtoken list --names 2>/dev/null)'\n",
			    cmd->name);
		if (takes(cmd, "FILE"))
			printf("complete -c mailtoken -n "
			       "'__fish_seen_subcommand_from %s' -F\n",
			    cmd->name);
	}
}

int
cmd_completion(struct cli *c, int argc, char *argv[])
{
	(void)c;
	if (argc == 2 && strcmp(argv[1], "bash") == 0)
		complete_bash();
	else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
		complete_zsh();
	else if (argc == 2 && strcmp(argv[1], "fish") == 0)
		complete_fish();
	else
		return cli_usage(argv[0]);
	return EX_OK;
}
