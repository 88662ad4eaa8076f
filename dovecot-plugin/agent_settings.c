#include "agent_settings.h"

#include <settings-parser.h>
#include <str.h>
#if HAVE_SETTINGS_BY_EVENT
#include <settings.h>
#endif

/* Whoever waits for the agent serves nobody else. */
#define TIMEOUT_MAX_MS 60000

/* timeout_ms == 0: not set. */
static int
set_agent(const char *path, unsigned timeout_ms, pool_t pool,
    struct agent_settings *ret, const char **error_r)
{
	if (path != NULL && *path != '\0' && *path != '/') {
		*error_r = t_strdup_printf(
		    "mailtoken: the agent's socket must be an absolute path: "
		    "%s",
		    path);
		return -1;
	}
	if (timeout_ms > TIMEOUT_MAX_MS) {
		*error_r = t_strdup_printf("mailtoken: the agent's timeout "
					   "must not be longer than %d s",
		    TIMEOUT_MAX_MS / 1000);
		return -1;
	}
	*ret = (struct agent_settings)AGENT_SETTINGS_DEFAULT;
	if (path != NULL && *path != '\0')
		ret->path = p_strdup(pool, path);
	if (timeout_ms != 0)
		ret->timeout_ms = (int)timeout_ms;
	return 0;
}

#if HAVE_SETTINGS_BY_EVENT

struct agent_setting_values {
	pool_t pool;
	const char *mailtoken_socket_path;
	unsigned int mailtoken_timeout;
};

static const struct setting_define defines[] = {
	SETTING_DEFINE_STRUCT_STR("mailtoken_socket_path",
	    mailtoken_socket_path, struct agent_setting_values),
	SETTING_DEFINE_STRUCT_TIME_MSECS("mailtoken_timeout", mailtoken_timeout,
	    struct agent_setting_values),
	SETTING_DEFINE_LIST_END
};

static const struct agent_setting_values defaults = {
	.mailtoken_socket_path = "",
	.mailtoken_timeout = TOKEN_TIMEOUT_MS,
};

const struct setting_parser_info agent_setting_parser_info = {
	.name = "mailtoken",
	.defines = defines,
	.defaults = &defaults,
	.struct_size = sizeof(struct agent_setting_values),
	.pool_offset1 = 1 + offsetof(struct agent_setting_values, pool),
};

int
agent_settings_get(struct event *event, pool_t pool, struct agent_settings *ret,
    const char **error_r)
{
	const struct agent_setting_values *values;
	int rc;

	if (settings_get(
		event, &agent_setting_parser_info, 0, &values, error_r) < 0)
		return -1;
	rc = set_agent(values->mailtoken_socket_path, values->mailtoken_timeout,
	    pool, ret, error_r);
	settings_free(values);
	return rc;
}

#else

int
agent_settings_parse(const char *path, const char *timeout, pool_t pool,
    struct agent_settings *ret, const char **error_r)
{
	unsigned int timeout_ms = 0;
	const char *why;

	if (timeout != NULL &&
	    settings_get_time_msecs(timeout, &timeout_ms, &why) < 0) {
		*error_r = t_strdup_printf(
		    "mailtoken: the agent's timeout is no time: %s", why);
		return -1;
	}
	return set_agent(path, timeout_ms, pool, ret, error_r);
}

int
agent_settings_parse_args(const char *args, pool_t pool,
    struct agent_settings *ret, const char **error_r)
{
	const char *path = NULL, *timeout = NULL;
	const char *const *arg = t_strsplit_spaces(args, " ");

	for (; *arg != NULL; arg++) {
		if (strncmp(*arg, "socket=", 7) == 0) {
			path = *arg + 7;
		} else if (strncmp(*arg, "timeout=", 8) == 0) {
			timeout = *arg + 8;
		} else {
			*error_r = t_strdup_printf(
			    "mailtoken: unknown argument \"%s\": socket=PATH "
			    "and timeout=TIME are known",
			    *arg);
			return -1;
		}
	}
	return agent_settings_parse(path, timeout, pool, ret, error_r);
}

#endif
