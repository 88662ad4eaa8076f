/* cli_state.h - what the agent says an account's state is, in a word. */
#ifndef HELPERS_CLI_STATE_H
#define HELPERS_CLI_STATE_H

enum cli_state {
	STATE_OK,
	STATE_NEW,
	STATE_RETRY,
	STATE_REAUTH,
	STATE_CONFIG,
	STATE__COUNT
};

const char *cli_state_name(enum cli_state state);
/* What is not known, and NULL, is RETRY: a newer agent's word, or none. */
enum cli_state cli_state_parse(const char *word);

#endif
