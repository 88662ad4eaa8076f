"""A submission server that answers AUTH as told, in a thread of the test.

Modes:
    ok          235
    535         535 at once, as Office 365 refuses a token
    challenge   334 with JSON, then 535, as Google and Dovecot do
    454         a temporary failure
    hang        no answer to AUTH

refuse, if set, is asked with the token and may choose another mode."""

import base64
import json
import socketserver
import threading
from dataclasses import dataclass

CHALLENGE = {"status": "401", "schemes": "bearer",
             "scope": "https://mail.google.com/"}
REFUSED = "535 5.7.8 Username and Password not accepted. No, really"
REFUSED_OFFICE = "535 5.7.3 Authentication unsuccessful [LAB.PROD.EXAMPLE]"


@dataclass
class Login:
    mode: str
    user: str
    token: str
    after_challenge: str = None     # what the client sent; None: not asked


class FakeSmtp:
    def __init__(self, mode: str = "ok"):
        self.mode = mode
        self.refuse = None
        self.logins = []
        self.messages = []          # envelope senders of accepted messages
        self.ended = threading.Event()
        fake = self

        class Handler(_Handler):
            owner = fake

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def _parse(response: str):
    """XOAUTH2's initial response -> user, token."""
    fields = base64.b64decode(response).decode().split("\x01")
    assert fields[2:] == ["", ""], "not an XOAUTH2 response"
    return (fields[0].removeprefix("user="),
            fields[1].removeprefix("auth=Bearer "))


class _Handler(socketserver.StreamRequestHandler):
    timeout = 60

    def say(self, line: str):
        self.wfile.write(line.encode() + b"\r\n")

    def hear(self) -> str:
        return self.rfile.readline(1 << 20).decode("latin-1").rstrip("\r\n")

    def handle(self):
        try:
            self.session()
        except OSError:
            pass                # the client went away

    def session(self):
        self.say("220 fake.example ESMTP")
        sender = None
        while line := self.hear():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250-fake.example\r\n250-ENHANCEDSTATUSCODES\r\n"
                         "250 AUTH XOAUTH2")
            elif verb == "AUTH":
                self.auth(line.split(" ")[2:])
            elif verb == "DATA":
                self.data(sender)
            elif verb == "QUIT":
                self.say("221 2.0.0 Bye")
                return
            else:
                if verb == "MAIL":
                    sender = line.partition("<")[2].partition(">")[0]
                self.say("250 2.0.0 Ok")

    def auth(self, rest: list):
        if not rest:
            self.say("334 ")
            rest = [self.hear()]
        user, token = _parse(rest[0])
        owner = self.owner
        mode = (owner.refuse and owner.refuse(user, token)) or owner.mode
        login = Login(mode, user, token)
        owner.logins.append(login)
        if mode == "ok":
            self.say("235 2.7.0 Accepted")
        elif mode == "454":
            self.say("454 4.7.0 Temporary authentication failure")
        elif mode == "hang":
            owner.ended.wait(60)
        elif mode == "535":
            self.say(REFUSED_OFFICE)
        else:
            self.say("334 " + base64.b64encode(
                json.dumps(CHALLENGE).encode()).decode())
            login.after_challenge = self.hear()
            self.say(REFUSED)

    def data(self, sender: str):
        self.say("354 Go ahead")
        while self.hear() != ".":
            pass
        self.owner.messages.append(sender)
        self.say("250 2.0.0 Ok")
