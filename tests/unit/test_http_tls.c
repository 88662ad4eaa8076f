/* TLS: which servers are who they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_lab.h"

/*
 * A TLS server in another process: three ports, with a good certificate, one
 * for another name and an expired one, all by the test's CA.
 */
static const char tls_server[] =
    "import http.server, signal, ssl, sys, threading\n"
    "signal.alarm(60)\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.send_header('Content-Length', '4')\n"
    "        self.end_headers()\n"
    "        self.wfile.write(b'body')\n"
    "    def log_message(self, *args): pass\n"
    "class S(http.server.ThreadingHTTPServer):\n"
    "    def handle_error(self, *args): pass\n"
    "d = sys.argv[1]\n"
    "for name in ('good', 'name', 'old'):\n"
    "    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "    c.load_cert_chain(d + '/' + name + '.pem', d + '/key')\n"
    "    s = S(('127.0.0.1', 0), H)\n"
    "    s.socket = c.wrap_socket(s.socket, server_side=True,\n"
    "        do_handshake_on_connect=False)\n"
    "    threading.Thread(target=s.serve_forever, daemon=True).start()\n"
    "    print(s.server_port, flush=True)\n"
    "sys.stdin.read()\n";

static const char make_certificates[] =
    "cd \"$1\" || exit 1\n"
    "exec 2>/dev/null\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "for ca in ca other; do\n"
    "    openssl req -x509 $ec -keyout $ca.key -out $ca.crt \\\n"
    "        -subj \"/CN=$ca\" -days 2 || exit 1\n"
    "done\n"
    "openssl req $ec -keyout key -out req -subj /CN=x || exit 1\n"
    "sign() {\n"
    "    echo \"subjectAltName=$2\" >ext\n"
    "    openssl x509 -req -in req -CA ca.crt -CAkey ca.key -set_serial 7 \\\n"
    "        -days \"$3\" -extfile ext -out \"$1.pem\"\n"
    "}\n"
    "sign good IP:127.0.0.1 2 && sign name DNS:mail.example.com 2 &&\n"
    "    sign old IP:127.0.0.1 0\n";

static void
child_becomes(const char *const argv[], int in, int out)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(126);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool
certificates(const char *dir)
{
	const char *const argv[] = { "sh", "-c", make_certificates, "sh", dir,
		NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0)
		child_becomes(argv, 0, 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
verifies_servers(void **state)
{
	static const struct {
		const char *name, *ca;
		int port;
		enum diag_kind kind;
		const char *says;
	} tls[] = {
		{ "good", "ca.crt", 0, DIAG_OK, "" },
		{ "unknown CA", "other.crt", 0, DIAG_CONFIG, "not trusted by" },
		{ "system's CAs", NULL, 0, DIAG_CONFIG, "in ca_file" },
		{ "wrong name", "ca.crt", 1, DIAG_CONFIG, "another host" },
		{ "expired", "ca.crt", 2, DIAG_CONFIG, "clock" },
		{ "no file", "none.crt", 0, DIAG_CONFIG, "readable file" },
		{ "no CA", "key", 0, DIAG_CONFIG, "ca_file" },
	};
	struct lab *lab = *state;
	char dir[] = "/tmp/test_http.XXXXXX", url[64], ca[128], rm[64];
	const char *const argv[] = { "python3", "-c", tls_server, dir, NULL };
	int in[2], out[2];
	unsigned port[3] = { 0 };
	pid_t pid;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	assert_true(certificates(dir));
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)close(in[1]);
		child_becomes(argv, in[0], out[1]);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	assert_non_null(f = fdopen(out[0], "r"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(fscanf(f, "%u", &port[i]), 1);
	for (size_t i = 0; i < sizeof(tls) / sizeof(tls[0]); i++) {
		struct http_request q = { .url = url,
			.timeout_ms = 5000,
			.answer_max = 15,
			.ca_file = tls[i].ca ? ca : NULL };
		struct result r;

		(void)snprintf(
		    ca, sizeof(ca), "%s/%s", dir, tls[i].ca ? tls[i].ca : "");
		(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
		    port[tls[i].port]);
		run(lab, &q, &r);
		if (r.why.kind != tls[i].kind ||
		    strstr(r.why.text, tls[i].says) == NULL)
			fail_msg("%s: %s", tls[i].name, r.why.text);
		if (r.why.kind == DIAG_OK)
			assert_string_equal(r.body, "body");
	}
	(void)fclose(f);
	(void)close(in[1]); /* and it goes */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)snprintf(rm, sizeof(rm), "rm -r %s", dir);
	assert_int_equal(system(rm), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(verifies_servers),
	};

	return cmocka_run_group_tests_name("http TLS", tests, start_curl, NULL);
}
