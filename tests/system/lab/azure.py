"""Azure's endpoints for machines, as Microsoft documents them, in a thread of
the test: the Instance Metadata Service, App Service, Azure Arc, and a token
endpoint that takes somebody else's assertion (workload identity federation).

Numbers come as strings, App Service says expires_on only, and Arc names a
file first.  What does not look as documented is refused with status 400.
"""

import json
import os
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RESOURCE = "https://outlook.office365.com"
METADATA = "/metadata/identity/oauth2/token"
APP_SERVICE = "/msi/token"
FEDERATION = "/tenant/oauth2/v2.0/token"
TOKENS = "/var/opt/azcmagent/tokens"    # of Arc, in programs' eyes
LIFE_S = 86400
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Azure:
    """keys: where Arc's key files are really made; group: who reads them."""

    def __init__(self, keys: Path, group: int):
        self.keys, self.group = keys, group
        self.identity_header = secrets.token_urlsafe(24)
        self.assertion = "none yet"     # what FEDERATION wants to see
        self.refuse = None      # (status, object) instead of any token
        self.asked = []         # (path, parameters) of good requests
        self.issued = []
        self.secrets = []       # keys that were shown
        self.challenges = 0
        self.realm = None       # instead of the file that was made
        self.deaf = False       # no key is good enough
        azure = self

        class Handler(_Handler):
            owner = azure

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def token(self) -> str:
        self.issued.append("at-" + secrets.token_urlsafe(48))
        return self.issued[-1]

    def new_key(self) -> str:
        """A file as himds makes it; returns its name in programs' eyes."""
        name = secrets.token_hex(8) + ".key"
        path = self.keys / name
        self.secrets.append(secrets.token_hex(24))
        path.write_text(self.secrets[-1])
        os.chown(path, 0, self.group)
        path.chmod(0o640)
        self.challenges += 1
        return self.realm or f"{TOKENS}/{name}"


class _Handler(BaseHTTPRequestHandler):
    timeout = 30

    def log_message(self, *args):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        form = dict(urllib.parse.parse_qsl(query))
        version = form.pop("api-version", None)
        speak = {(METADATA, "2018-02-01"): self._imds,
                 (METADATA, "2020-06-01"): self._arc,
                 (APP_SERVICE, "2019-08-01"): self._app_service}
        answer = speak.get((path, version))
        if answer is None or "X-Forwarded-For" in self.headers:
            self._answer(400, {"error": "bad_request"})
        elif self.owner.refuse:
            self._answer(*self.owner.refuse)
        elif form.get("resource") != RESOURCE:
            self._answer(400, {"error": "invalid_resource"})
        else:
            answer(path, form)

    def _imds(self, path: str, form: dict):
        if self.headers["Metadata"] != "true":
            self._answer(400, {"error": "bad_request_102", "error_description":
                               "Required metadata header not specified"})
            return
        self.owner.asked.append((path, form))
        self._answer(200, self._times(
            expires_in=str(LIFE_S - 1), ext_expires_in=str(LIFE_S - 1)))

    def _app_service(self, path: str, form: dict):
        if self.headers["X-IDENTITY-HEADER"] != self.owner.identity_header:
            self._answer(403, {"statusCode": 403, "message": "Forbidden"})
            return
        self.owner.asked.append((path, form))
        answer = self._times()
        del answer["not_before"]
        self._answer(200, answer)

    def _arc(self, path: str, form: dict):
        sent = self.headers["Authorization"]
        if self.headers["Metadata"] != "true":
            self._answer(400, {"error": "bad_request"})
        elif sent is None or self.owner.deaf:
            self._answer(401, {}, {
                "WWW-Authenticate": f"Basic realm={self.owner.new_key()}"})
        elif sent != f"Basic {self.owner.secrets[-1]}":
            self._answer(403, {"error": {"code": "Forbidden",
                                         "message": "not that key"}})
        else:
            self.owner.asked.append((path, form))
            self._answer(200, self._times(expires_in=str(LIFE_S - 1)))

    def _times(self, **more) -> dict:
        now = int(time.time())
        return {"access_token": self.owner.token(), "token_type": "Bearer",
                "resource": RESOURCE, "client_id": "id-of-the-machine",
                "expires_on": str(now + LIFE_S), "not_before": str(now)} | more

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = dict(urllib.parse.parse_qsl(body.decode()))
        good = (self.path == FEDERATION
                and form.get("grant_type") == "client_credentials"
                and form.get("client_assertion_type") == ASSERTION_TYPE
                and form.get("scope") == RESOURCE + "/.default"
                and "client_secret" not in form)
        if not good:
            self._answer(400, {"error": "invalid_request"})
        elif form.get("client_assertion") != self.owner.assertion:
            self._answer(401, {
                "error": "invalid_client", "error_description":
                "AADSTS700213: No matching federated identity record found"})
        else:
            self.owner.asked.append((self.path, form))
            self._answer(200, {"access_token": self.owner.token(),
                               "token_type": "Bearer", "expires_in": 3599})

    def _answer(self, status: int, answer: dict, headers: dict = None):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
