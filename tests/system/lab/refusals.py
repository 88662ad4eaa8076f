"""A mail server that talks as Exchange Online does and ends as it is told to,
in a thread of the test: with every text that Microsoft's documentation or
public reports have for a login that fails."""

import socketserver
import ssl
import threading
from dataclasses import dataclass

from .exchange import BANNER, CHALLENGE
from .front import bearer


@dataclass(frozen=True)
class Refusal:
    """What is said, by whom, and when: to the greeting, the login, or what
    shows that the mailbox opens."""
    service: str
    stage: str          # connect, login or open
    words: str
    code: str = ""      # before the words, by the protocol


def _smtp(stage, text):
    code, _, words = text.partition(" ")
    return Refusal("smtp", stage, words, code)


SERVER = "FR3P281CA0094.DEUP281.PROD.OUTLOOK.COM"
FAILED = "535 5.7.139 Authentication unsuccessful, "
EXCEPTION = "STOREDRV.Submission.Exception:"
# Documented by Microsoft or seen in public reports.
REFUSALS = {
    "unsuccessful": _smtp(
        "login", f"535 5.7.3 Authentication unsuccessful [{SERVER}]"),
    "disabled-tenant": _smtp(
        "login", f"{FAILED}SmtpClientAuthentication is disabled for the "
        "Tenant. Visit https://aka.ms/smtp_auth_disabled for more "
        f"information. [{SERVER}]"),
    "disabled-mailbox": _smtp(
        "login", f"{FAILED}SmtpClientAuthentication is disabled for the "
        "Mailbox. Visit https://aka.ms/smtp_auth_disabled for more "
        f"information. [{SERVER}]"),
    "basic-disabled": _smtp(
        "login", f"{FAILED}basic authentication is disabled. [{SERVER}]"),
    "credentials": _smtp(
        "login",
        f"{FAILED}the user credentials were incorrect. [{SERVER}]"),
    "criteria": _smtp(
        "login", f"{FAILED}the request did not meet the criteria to be "
        f"authenticated successfully. Contact your administrator. [{SERVER}]"),
    "security-defaults": _smtp(
        "login", f"{FAILED}user is locked by your organization's security "
        "defaults policy. Contact your administrator."),
    "sts-unreachable": _smtp(
        "login", f"{FAILED}federated STS service was unreachable."),
    "sts-https": _smtp(
        "login",
        f"{FAILED}the federated STS URL does not support HTTPS."),
    "expires-soon": _smtp(
        "login", "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire"
        " soon"),
    "basic-retired": _smtp(
        "login", "550 5.7.30 Basic authentication is not supported for "
        "Client Submission."),
    "not-authenticated": _smtp(
        "open",
        f"530 5.7.57 Client not authenticated to send mail. [{SERVER}]"),
    "send-as": _smtp(
        "open", "550 5.7.60 SMTP; Client does not have permissions to send "
        "as this sender."),
    "send-as-denied": _smtp(
        "open", "554 5.2.252 SendAsDenied; anna@contoso.example not allowed "
        f"to send as relay@contoso.example; {EXCEPTION}"
        "SendAsDeniedException.MapiExceptionSendAsDenied;"),
    "send-as-denied-older": _smtp(
        "open", f"554 5.2.0 {EXCEPTION}SendAsDeniedException."
        "MapiExceptionSendAsDenied; Failed to process message due to a "
        "permanent exception with message Cannot submit message."),
    "threads": _smtp(
        "login", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit "
        "exceeded [Hostname=LAB.EXAMPLE]"),
    "concurrent": _smtp(
        "login", "432 4.3.2 Concurrent connections limit exceeded. Visit "
        "https://aka.ms/concurrent_sending for more information. "
        "[Hostname=LAB.EXAMPLE]"),
    "quota": _smtp(
        "open", f"554 5.2.0 {EXCEPTION}SubmissionQuotaExceededException"),
    "full": _smtp(
        "open", f"554 5.2.2 mailbox full; {EXCEPTION}QuotaExceededException."
        "MapiExceptionShutoffQuotaExceeded"),
    "outbound": _smtp("open", "550 5.1.8 Bad outbound sender"),
    "threshold": _smtp(
        "open", "550 5.7.705 Access denied, tenant has exceeded threshold"),
    "address": _smtp(
        "open",
        "550 5.7.708 Access denied, traffic not accepted from this IP"),
    "imap-failed": Refusal("imap", "login", "AUTHENTICATE failed.", "NO"),
    "imap-not-connected": Refusal(
        "imap", "open", "User is authenticated but not connected.", "BAD"),
    "imap-closed": Refusal("imap", "login", "Connection closed. 14", "* BYE"),
    "imap-throttled": Refusal(
        "imap", "open", "Request is throttled. Suggested Backoff Time: 89117 "
        "milliseconds", "BAD"),
    "imap-throttled-no": Refusal(
        "imap", "login", "Request is throttled. Suggested Backoff Time: 1000 "
        "milliseconds", "NO"),
    "imap-expired": Refusal(
        "imap", "open", "Session invalidated - AccessTokenExpired", "* BYE"),
    "imap-invalid-state": Refusal(
        "imap", "open", "Command received in Invalid state.", "BAD"),
    "imap-unavailable": Refusal(
        "imap", "login", "Server Unavailable. 15", "NO"),
    "pop-failed": Refusal(
        "pop", "login", "Authentication failure: unknown user name or bad "
        "password.", "-ERR"),
}


class Scripted:
    """One service on loopback, of which `refusal` says how it ends: a row of
    REFUSALS, "challenge" (XOAUTH2's own), "silent" (no answer to the login),
    "gone" (the connection, then) or None.  mechanisms: what it offers.
    STARTTLS for smtp (offered if starttls), TLS from the start for others."""

    def __init__(self, ca, service: str):
        self.service = service
        self.refusal = None
        self.mechanisms = "LOGIN XOAUTH2"
        self.starttls = True
        self.tokens = []            # that were shown
        self.senders = []           # of MAIL FROM
        self.commands = []          # their first words
        self.ended = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca.server_certificate, ca.server_key)
        scripted = self

        class Handler(_Speaker):
            owner = scripted
            tls = context

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

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


class _Gone(Exception):
    pass


class _Speaker(socketserver.BaseRequestHandler):
    LIMIT_S = 60

    def handle(self):
        self.request.settimeout(self.LIMIT_S)
        try:
            if self.owner.service != "smtp":
                self.wrap()
            else:
                self.file = self.request.makefile("rwb", 0)
            getattr(self, self.owner.service)()
        except (OSError, _Gone):
            pass                # the client went away, or is sent away

    def wrap(self):
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        self.file = self.request.makefile("rwb", 0)

    def finish(self):
        self.request.close()

    def say(self, line: str):
        self.file.write(line.encode() + b"\r\n")

    def hear(self) -> str:
        line = self.file.readline(1 << 17)
        if not line:
            raise _Gone
        return line.decode().rstrip("\r\n")

    def refuse(self, stage: str, tag: str = "") -> bool:
        """Says the words, if it is time for them."""
        owner = self.owner
        row = REFUSALS.get(owner.refusal)
        if stage == "login" and owner.refusal == "silent":
            owner.ended.wait(self.LIMIT_S)
        if stage == "login" and owner.refusal in ("gone", "silent"):
            raise _Gone
        if row is None or row.stage != stage:
            return False
        untagged = not tag or row.code.startswith("*")
        self.say(f"{'' if untagged else tag + ' '}{row.code} {row.words}")
        if row.code == "* BYE":
            raise _Gone
        return True

    def take(self, prompt: str, response: str):
        """The response to the challenge, or with the command; -> ok?"""
        if not response:
            self.say(prompt)
            response = self.hear()
        self.owner.tokens.append(bearer(response.encode()))
        if self.owner.refusal == "challenge":
            self.say(prompt + CHALLENGE.decode())
            self.hear()
            return False
        return True

    def smtp(self):
        owner, secure = self.owner, False
        if self.refuse("connect"):
            return
        self.say(f"220 {SERVER} Microsoft ESMTP MAIL Service ready")
        while line := self.hear():
            verb = line.split(" ")[0].upper()
            owner.commands.append(verb)
            if verb == "EHLO":
                self.say(f"250-{SERVER} Hello [127.0.0.1]")
                if secure and owner.mechanisms:
                    self.say(f"250-AUTH {owner.mechanisms}")
                if not secure and owner.starttls:
                    self.say("250-STARTTLS")
                self.say("250 SMTPUTF8")
            elif verb == "STARTTLS":
                self.say("220 2.0.0 SMTP server ready")
                self.wrap()
                secure = True
            elif verb == "AUTH":
                if not self.take("334 ", " ".join(line.split(" ")[2:])):
                    self.say(f"535 5.7.3 Authentication unsuccessful [{SERVER}]")
                elif not self.refuse("login"):
                    self.say("235 2.7.0 Authentication successful")
            elif verb == "MAIL":
                owner.senders.append(line)
                if not self.refuse("open"):
                    self.say("250 2.1.0 Sender OK")
            elif verb == "QUIT":
                self.say("221 2.0.0 Service closing transmission channel")
                return
            else:
                self.say("250 2.0.0 OK")

    def imap(self):
        owner = self.owner
        self.say("* OK " + BANNER.format("IMAP4"))
        mechanisms = " ".join(f"AUTH={m}" for m in owner.mechanisms.split())
        while line := self.hear():
            tag, verb, *rest = line.split(" ")
            owner.commands.append(verb.upper())
            if verb.upper() == "CAPABILITY":
                self.say(f"* CAPABILITY IMAP4 IMAP4rev1 {mechanisms} SASL-IR")
                self.say(f"{tag} OK CAPABILITY completed.")
            elif verb.upper() == "AUTHENTICATE":
                if not self.take("+ ", " ".join(rest[1:])):
                    self.say(f"{tag} NO AUTHENTICATE failed.")
                elif not self.refuse("login", tag):
                    self.say(f"{tag} OK AUTHENTICATE completed.")
            elif verb.upper() == "EXAMINE":
                if not self.refuse("open", tag):
                    self.say("* 3 EXISTS")
                    self.say(f"{tag} OK [READ-ONLY] EXAMINE completed.")
            else:
                self.say(f"{tag} OK completed.")
                if verb.upper() == "LOGOUT":
                    return

    def pop(self):
        owner = self.owner
        self.say("+OK " + BANNER.format("POP3"))
        while line := self.hear():
            verb, *rest = line.split(" ")
            owner.commands.append(verb.upper())
            if verb.upper() == "CAPA":
                self.say(f"+OK\r\nTOP\r\nUIDL\r\nSASL {owner.mechanisms}"
                         "\r\n.")
            elif verb.upper() == "AUTH" and len(rest) > 1:
                self.say("-ERR Protocol error. 14")
            elif verb.upper() == "AUTH":
                if not self.take("+ ", ""):
                    self.say("-ERR Authentication failure: unknown user name "
                             "or bad password.")
                elif not self.refuse("login"):
                    self.say("+OK User successfully authenticated.")
            elif verb.upper() == "STAT":
                if not self.refuse("open"):
                    self.say("+OK 3 4711")
            else:
                self.say("+OK")
                if verb.upper() == "QUIT":
                    return
