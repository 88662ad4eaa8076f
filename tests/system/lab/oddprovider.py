"""A provider that people log in to by device, and that does as it is told:
a thread of the test, plain HTTP on loopback."""

import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PENDING = {"error": "authorization_pending"}


class OddProvider:
    """device: what the device endpoint says besides the codes.
    script: the token endpoint's answers to codes, the last one for good;
    with an "error" they come with status 400.
    refreshed: its answer to a refresh token.
    revoked: the revocation endpoint's status, or what finds it for a form;
    pause: seconds before that."""

    def __init__(self, script: list, device: dict = None,
                 refreshed: dict = None, revoked: int = 200):
        self.script = list(script)
        self.refreshed = refreshed or {}
        self.revoked = revoked
        self.pause = 0
        self.times = []             # of requests with a code
        self.forms = []             # of all requests
        odd = self

        class Handler(_Handler):
            owner = odd

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.device = {
            "device_code": "the-device-code", "user_code": "CODE-1",
            "verification_uri": self.issuer + "/page"} | (device or {})
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def account(self, **more) -> dict:
        """Keys of an account here."""
        return {"provider": "custom", "grant": "refresh_token",
                "issuer": self.issuer, "insecure_http": "yes",
                "client_id": "native", "scope": "mail offline_access"} | more

    def token(self, form: dict) -> dict:
        if form["grant_type"] == "refresh_token":
            return self.refreshed
        self.times.append(time.monotonic())
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def _answer(self, status: int, body: dict):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        issuer = self.owner.issuer
        self._answer(200, {
            "issuer": issuer, "token_endpoint": issuer + "/token",
            "device_authorization_endpoint": issuer + "/device",
            "revocation_endpoint": issuer + "/revoke"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
        self.owner.forms.append((self.path, form))
        if self.path == "/device":
            self._answer(200, self.owner.device)
        elif self.path == "/revoke":
            time.sleep(self.owner.pause)
            status = self.owner.revoked
            self._answer(status(form) if callable(status) else status, {})
        else:
            answer = self.owner.token(form)
            self._answer(400 if "error" in answer else 200, answer)
