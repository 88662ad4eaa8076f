"""A provider with refresh tokens that change at each use, which knows all
that it gave out, and which process asked for it.

one_time=False: those from before stay good, as Microsoft has it; else a login
ends when one is used twice.  A hook sees each request: hook(when, request)
with when "asked" (nothing has changed yet) and "answered"."""

import json
import os
import random
import secrets
import select
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GONE = "a process that has ended"


class Login:
    """What one login at the provider has become: its refresh tokens."""

    def __init__(self, account: str):
        self.account, self.alive = account, True
        self.tokens = [secrets.token_urlsafe(32)]
        self.requests = []      # requests[i] used tokens[i] and got the next

    def newest(self) -> str:
        return self.tokens[-1]


class Request:
    def __init__(self, account: str, used: str, process):
        self.account, self.used, self.process = account, used, process
        self.at, self.ok, self.login = time.time(), False, None


class Logins:
    def __init__(self, one_time: bool, seed: int = 0, life=(3600, 3600),
                 delay: float = 0):
        self.one_time, self.life, self.delay = one_time, life, delay
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.of, self.access, self.requests = {}, {}, []
        self.again = []         # requests with a token that was used before
        self.processes = {}     # pid -> who may ask
        self.blind = False      # /proc does not tell whose a descriptor is
        self.hook = lambda when, request: None
        owner = self

        class Handler(_Handler):
            provider = owner

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass            # a client was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def keys(self, account: str, **more) -> dict:
        """Of the account's section."""
        port, path = self.server.server_port, urllib.parse.quote(account)
        return {"provider": "custom", "grant": "refresh_token",
                "token_endpoint": f"http://127.0.0.1:{port}/{path}/token",
                "insecure_http": "yes", "client_id": "native",
                "scope": "mail", "allow": "postfix"} | more

    def log_in(self, account: str) -> str:
        """A person does; returns the refresh token."""
        with self.lock:
            login = Login(account)
            self.of[login.newest()] = login
        return login.newest()

    def good(self, account: str, refresh_token: str) -> bool:
        """Would it be taken?"""
        with self.lock:
            login = self.of.get(refresh_token)
            return bool(login and login.account == account and login.alive and
                        (not self.one_time or
                         login.newest() == refresh_token))

    def answer(self, request: Request) -> dict:
        with self.lock:
            self.requests.append(request)
            login = request.login = self.of.get(request.used)
            if not login or login.account != request.account:
                return {}
            if login.newest() != request.used:
                self.again.append(request)
                if self.one_time:
                    login.alive = False
            if not login.alive:
                return {}
            request.ok, life = True, self.random.randint(*self.life)
            access = "at-" + secrets.token_urlsafe(40)
            self.access[access] = (request.account, time.time() + life)
            login.requests.append(request)
            login.tokens.append(secrets.token_urlsafe(32))
            self.of[login.newest()] = login
            return {"token_type": "Bearer", "expires_in": life,
                    "access_token": access, "refresh_token": login.newest()}

    def process_at(self, port: int):
        """Who has that port here; None if that is nobody who is known."""
        inode = _inode(port, self.server.server_port)
        for pid, process in list(self.processes.items()):
            try:
                for fd in os.scandir(f"/proc/{pid}/fd"):
                    if inode and os.readlink(fd.path) == f"socket:[{inode}]":
                        return process
            except FileNotFoundError:
                pass            # it has just ended
            except PermissionError:
                self.blind = True
        return None


def _inode(port: int, server_port: int) -> str:
    """Of the client's socket."""
    mine, other = (f"0100007F:{n:04X}" for n in (port, server_port))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1] == mine and words[2] == other and words[9] != "0":
            return words[9]
    return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_POST(self):
        provider = self.provider
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = dict(urllib.parse.parse_qsl(body.decode()))
        process = None
        if provider.processes:
            process = provider.process_at(self.client_address[1])
            if not process and self._is_gone(0 if provider.blind else 1):
                process = GONE
        request = Request(urllib.parse.unquote(self.path.split("/")[1]),
                          form.get("refresh_token"), process)
        if provider.delay:
            time.sleep(provider.random.uniform(0, provider.delay))
        try:
            provider.hook("asked", request)
            answer = provider.answer(request)
            self._send(200 if answer else 400, answer or {
                "error": "invalid_grant",
                "error_description": "grant request is invalid"})
        except OSError:
            self.close_connection = True    # the client is gone
        finally:
            provider.hook("answered", request)

    def _is_gone(self, wait_s: float) -> bool:
        try:
            return bool(select.select([self.connection], [], [], wait_s)[0]
                        and not self.connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return True

    def _send(self, status: int, answer: dict):
        body = json.dumps(answer).encode()
        head = (f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(head.encode() + body)
