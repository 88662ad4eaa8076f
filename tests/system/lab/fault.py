"""A token endpoint that misbehaves on order, in a thread of the test.

Every endpoint is a path of its own with a mode of its own, so that one
agent's accounts can each have a different trouble:

    ok          a new access token
    rotate      the same, and a new refresh token; the old one is dead, and
                using it kills the grant (as Auth0, Okta and oidc-provider do);
                grace: the last one used gets the same answer again, as there
                for some seconds; cut: so many answers break off on their way
    hang        the request is read and never answered
    500, 429    that status; 429 with Retry-After: retry_after
    html        200 and a captive portal's page
    empty       200 and nothing
    big         200 and 10 MB of JSON
    truncated   200 and the first half of an answer
    close       the connection is closed after the request
    fresh       as rotate; what comes on a connection that has served a
                request before is never answered
    NAME        a row of tests/unit/data/entra-answers.jsonl
"""

import contextlib
import json
import secrets
import select
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWERS = Path(__file__).parents[2] / "unit" / "data" / "entra-answers.jsonl"
BIG = 10 << 20
FORM = "application/x-www-form-urlencoded"


def captured() -> dict:
    """Answers of Entra ID by name."""
    rows = map(json.loads, ANSWERS.read_text().splitlines())
    return {row["name"]: row for row in rows}


@dataclass
class Endpoint:
    url: str
    mode: str = "ok"
    life: int = 3600
    said: str = None            # the answer's other members, as JSON has them
    delay: float = 0
    retry_after: int = 30
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    alive: bool = True          # the grant; a replay kills it
    grace: bool = False
    cut: int = 0
    used: tuple = (None, None)  # the refresh token, and what it has brought
    count: int = 0              # token requests
    in_flight: int = 0
    most_in_flight: int = 0
    times: list = field(default_factory=list)
    access_token: str = None    # to give out, instead of random ones
    access_tokens: list = field(default_factory=list)
    secrets: list = field(default_factory=list)     # all ever given out

    def __post_init__(self):
        self.secrets.append(self.refresh_token)


class Fault:
    def __init__(self):
        self.endpoints = {}
        self.rows = captured()
        self.lock = threading.Lock()
        self.ended = threading.Event()
        fault = self

        class Handler(_Handler):
            owner = fault

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def endpoint(self, name: str, **settings) -> Endpoint:
        path = f"/{urllib.parse.quote(name)}/token"
        made = Endpoint(self.base + path, **settings)
        self.endpoints[path] = made
        return made

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.served = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endpoint = self.owner.endpoints.get(self.path)
        if endpoint is None or self.headers.get("Content-Type") != FORM:
            self._answer(404, "{}")
            return
        with self.owner.lock:
            endpoint.count += 1
            endpoint.times.append(time.time())
            endpoint.in_flight += 1
            endpoint.most_in_flight = max(endpoint.most_in_flight,
                                          endpoint.in_flight)
        try:
            self.owner.ended.wait(endpoint.delay)
            form = dict(urllib.parse.parse_qsl(body.decode()))
            self._token(endpoint, form)
        except OSError:
            pass                # the client gave up
        finally:
            with self.owner.lock:
                endpoint.in_flight -= 1
        if endpoint.mode == "close":
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _token(self, endpoint: Endpoint, form: dict):
        mode, again = endpoint.mode, self.served
        self.served = True
        if mode in ("ok", "rotate") or mode == "fresh" and not again:
            self._good(endpoint, form)
        elif mode in ("hang", "fresh"):
            self._hang()
        elif mode == "close":
            pass                # do_POST does it, when all is counted
        elif mode in ("500", "429"):
            headers = {"Retry-After": endpoint.retry_after}
            self._answer(int(mode), "", headers if mode == "429" else {})
        elif mode == "html":
            self._answer(200, "<html><h1>Welcome to our Wi-Fi</h1></html>",
                         {"Content-Type": "text/html"})
        elif mode == "empty":
            self._answer(200, "")
        elif mode == "big":
            self._answer(200, json.dumps({"access_token": "x" * BIG}))
        elif mode == "truncated":
            self._answer(200, '{"token_type":"Bearer","expires_in":3599,"acc')
        else:
            self._captured(mode)

    def _hang(self):
        """Says nothing until the client gives up."""
        self.close_connection = True
        while not self.owner.ended.is_set():
            if select.select([self.connection], [], [], 0.2)[0]:
                return

    def _captured(self, name: str):
        row = self.owner.rows[name]
        body = row["raw"] if "raw" in row else json.dumps(row["body"])
        self._answer(row["http"], body, row.get("headers", {}))

    def _good(self, endpoint: Endpoint, form: dict):
        answer = {"token_type": "Bearer"}
        if endpoint.said is None:
            answer["expires_in"] = endpoint.life
        again = endpoint.grace and form.get("refresh_token") == endpoint.used[0]
        with self.owner.lock:
            good = not again and endpoint.alive and (
                form.get("grant_type") == "client_credentials" or
                form.get("refresh_token") == endpoint.refresh_token)
            if good:
                answer["access_token"] = (
                    endpoint.access_token or
                    "at-" + secrets.token_urlsafe(60))
                endpoint.access_tokens.append(answer["access_token"])
                endpoint.secrets.append(answer["access_token"])
                if endpoint.mode in ("rotate", "fresh"):
                    endpoint.refresh_token = secrets.token_urlsafe(32)
                    endpoint.secrets.append(endpoint.refresh_token)
                    answer["refresh_token"] = endpoint.refresh_token
                    endpoint.used = form.get("refresh_token"), answer
            elif endpoint.mode in ("rotate", "fresh") and not again:
                endpoint.alive = False
        if good or again:
            more = f", {endpoint.said}" if endpoint.said else ""
            self._send(endpoint, json.dumps(answer if good else
                                            endpoint.used[1])[:-1] + more + "}")
        else:
            self._answer(400, json.dumps({
                "error": "invalid_grant",
                "error_description": "grant request is invalid"}))

    def _send(self, endpoint: Endpoint, text: str):
        if not endpoint.cut:
            self._answer(200, text)
            return
        endpoint.cut -= 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:len(text) // 2].encode())
        self.close_connection = True

    def _answer(self, status: int, text: str, headers: dict = None):
        body = text.encode()
        headers = {"Content-Type": "application/json"} | (headers or {})
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
