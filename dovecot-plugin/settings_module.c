/*
 * settings_module.c - makes the settings known to Dovecot 2.4, which refuses
 * a configuration with others than it knows.
 */
#include "agent_settings.h"

#include <settings-parser.h>

#pragma GCC visibility push(default)
extern const char *mailtoken_settings_version;
extern const struct setting_parser_info *mailtoken_settings_set_infos[];
#pragma GCC visibility pop

const char *mailtoken_settings_version = DOVECOT_ABI_VERSION;
const struct setting_parser_info *mailtoken_settings_set_infos[] = {
	&agent_setting_parser_info, NULL
};
