/* The plugin and its host: entry points, callbacks, prompts and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../sasl-plugin/ask.c"
#include "../../sasl-plugin/plugin.c"
#include "fake_host.h"

static void
callbacks_that_fail(void **unused)
{
	static const int codes[] = { SASL_FAIL, SASL_NOMEM, SASL_BADPARAM };

	(void)unused;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		const char *out;
		unsigned len;
		void *c;

		host_init(ALL, 0, "/nonexistent");
		host.text[ASK_AUTHNAME] = RELAY;
		host.callback_rc = codes[i];
		assert_int_equal(start(&c, &out, &len), codes[i]);
		assert_memory_equal(host.error, "mailtoken: ", 11);
		dispose(c);
	}
}

/* Hosts that have their callbacks for all connections, not for one. */
static void
no_list_for_the_connection(void **unused)
{
	const char *out;
	unsigned len;
	void *c;

	(void)unused;
	host_init(ALL, 0, "/nonexistent");
	params.prompt_supp = NULL;
	host.text[ASK_USER] = BOX;
	host.text[ASK_AUTHNAME] = RELAY;
	host.text[ASK_PASS] = "lit";
	assert_int_equal(start(&c, &out, &len), SASL_CONTINUE);
	assert_memory_equal(out, "user=" BOX "\001", 6 + strlen(BOX));
	dispose(c);

	/* A USER that is not there leaves no error text behind. */
	host_init(POSTFIX_, 0, "/nonexistent");
	params.prompt_supp = NULL;
	host.text[ASK_AUTHNAME] = RELAY;
	host.text[ASK_PASS] = "lit";
	assert_int_equal(start(&c, &out, &len), SASL_CONTINUE);
	assert_string_equal(host.error, "");
	assert_true(host.errors > 0);
	dispose(c);
}

static void
prompts_left_alone(void **unused)
{
	sasl_interact_t *need = NULL;
	const char *out;
	unsigned len;
	void *c;

	(void)unused;
	/* The host gives up after SASL_INTERACT. */
	host_init(0, ALL, "/nonexistent");
	assert_int_equal(plug->mech_new(NULL, &params, &c), SASL_OK);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, &need, &out, &len, &oparams),
	    SASL_INTERACT);
	assert_non_null(need);
	assert_int_equal(need[0].id, SASL_CB_USER);
	assert_int_equal(need[1].id, SASL_CB_AUTHNAME);
	assert_int_equal(need[2].id, SASL_CB_PASS);
	assert_int_equal(need[3].id, SASL_CB_LIST_END);
	dispose(c);

	/* It has no place for prompts, or answers none of them. */
	assert_int_equal(plug->mech_new(NULL, &params, &c), SASL_OK);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, NULL, &out, &len, &oparams),
	    SASL_FAIL);
	need = NULL;
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, &need, &out, &len, &oparams),
	    SASL_INTERACT);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, &need, &out, &len, &oparams),
	    SASL_FAIL);
	assert_null(need);
	dispose(c);
}

static void
canon_user_decides(void **unused)
{
	static const struct {
		int rc[2];
		bool forgets;
		int want;
	} canons[] = {
		{ { SASL_BUFOVER, SASL_OK }, false, SASL_BUFOVER },
		{ { SASL_FAIL, SASL_OK }, false, SASL_FAIL },
		{ { SASL_OK, SASL_BADPROT }, false, SASL_BADPROT },
		{ { SASL_OK, SASL_NOMEM }, false, SASL_NOMEM },
		{ { SASL_OK, SASL_OK }, true, SASL_FAIL },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(canons) / sizeof(canons[0]); i++) {
		const char *out;
		unsigned len;
		void *c;

		host_init(ALL, 0, "/nonexistent");
		host.text[ASK_USER] = BOX;
		host.text[ASK_AUTHNAME] = RELAY;
		host.text[ASK_PASS] = "lit";
		memcpy(host.canon_rc, canons[i].rc, sizeof(host.canon_rc));
		host.canon_forgets = canons[i].forgets;
		assert_int_equal(start(&c, &out, &len), canons[i].want);
		assert_int_equal(len, 0);
		assert_memory_equal(host.error, "mailtoken: ", 11);
		dispose(c);
	}
}

static void
missing_arguments(void **unused)
{
	const char *out;
	unsigned len;
	void *c = NULL;

	(void)unused;
	host_init(ALL, 0, "/nonexistent");
	assert_int_equal(plug->mech_new(NULL, NULL, &c), SASL_BADPARAM);
	assert_int_equal(plug->mech_new(NULL, &params, NULL), SASL_BADPARAM);
	assert_int_equal(plug->mech_new(NULL, &params, &c), SASL_OK);
	assert_int_equal(
	    plug->mech_step(NULL, &params, NULL, 0, NULL, &out, &len, &oparams),
	    SASL_BADPARAM);
	assert_int_equal(
	    plug->mech_step(c, NULL, NULL, 0, NULL, &out, &len, &oparams),
	    SASL_BADPARAM);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, NULL, NULL, &len, &oparams),
	    SASL_BADPARAM);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, NULL, &out, NULL, &oparams),
	    SASL_BADPARAM);
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, NULL, &out, &len, NULL),
	    SASL_BADPARAM);
	params.canon_user = NULL;
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, NULL, &out, &len, &oparams),
	    SASL_BADPARAM);
	plug->mech_dispose(NULL, &utils);
	plug->mech_dispose(c, NULL);
	dispose(c);
}

static void *
no_malloc(size_t n)
{
	(void)n;
	return NULL;
}

static void
no_memory(void **unused)
{
	sasl_interact_t *need = NULL;
	const char *out;
	unsigned len;
	void *c = NULL;

	(void)unused;
	host_init(0, ALL, "/nonexistent");
	utils.malloc = no_malloc;
	assert_int_equal(plug->mech_new(NULL, &params, &c), SASL_NOMEM);
	utils.malloc = host_malloc;
	assert_int_equal(plug->mech_new(NULL, &params, &c), SASL_OK);
	utils.malloc = no_malloc;
	assert_int_equal(
	    plug->mech_step(c, &params, NULL, 0, &need, &out, &len, &oparams),
	    SASL_NOMEM);
	assert_null(need);
	dispose(c);
}

static void
entry_point(void **unused)
{
	sasl_client_plug_t *list = NULL;
	int version = -1, count = -1;

	(void)unused;
	host_init(ALL, 0, "/nonexistent");
	assert_int_equal(
	    sasl_client_plug_init(&utils, 3, &version, &list, &count),
	    SASL_BADVERS);
	assert_int_equal(
	    sasl_client_plug_init(NULL, 3, &version, &list, &count),
	    SASL_BADVERS);
	assert_int_equal(sasl_client_plug_init(&utils, 4, NULL, &list, &count),
	    SASL_BADPARAM);
	assert_int_equal(
	    sasl_client_plug_init(&utils, 5, &version, &list, &count), SASL_OK);
	assert_int_equal(version, 4);
	assert_int_equal(count, 2);
	assert_string_equal(list->mech_name, "XOAUTH2");
	assert_string_equal(list[1].mech_name, "OAUTHBEARER");
	assert_int_equal(list->max_ssf, 0);
	assert_int_equal(list->security_flags, SASL_SEC_NOANONYMOUS |
						   SASL_SEC_PASS_CREDENTIALS |
						   SASL_SEC_NODICTIONARY);
	assert_int_equal(list->features,
	    SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_ALLOWS_PROXY);
	assert_int_equal(list->required_prompts[0], SASL_CB_AUTHNAME);
	assert_int_equal(list->required_prompts[1], SASL_CB_LIST_END);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_point),
		cmocka_unit_test(callbacks_that_fail),
		cmocka_unit_test(no_list_for_the_connection),
		cmocka_unit_test(prompts_left_alone),
		cmocka_unit_test(canon_user_decides),
		cmocka_unit_test(missing_arguments),
		cmocka_unit_test(no_memory),
	};

	plug = plugs;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
