/*
 * mail_plugin.c - imap, pop3, lmtp and doveadm on imapc storage log in
 * upstream with the agent's tokens.
 */
#include "mechanism.h"

#include <mail-storage-hooks.h>
#include <module-dir.h>

#pragma GCC visibility push(default)
extern const char *mailtoken_plugin_version;
void mailtoken_plugin_init(struct module *module);
void mailtoken_plugin_deinit(void);
#pragma GCC visibility pop

static const struct mail_storage_hooks hooks = {
	.mail_user_created = mechanism_read_settings,
};

const char *mailtoken_plugin_version = DOVECOT_ABI_VERSION;

void
mailtoken_plugin_init(struct module *module)
{
	mechanisms_register();
	mail_storage_hooks_add(module, &hooks);
}

void
mailtoken_plugin_deinit(void)
{
	mail_storage_hooks_remove(&hooks);
	mechanisms_restore();
	mechanism_forget_settings();
}
