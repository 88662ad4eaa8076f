"""Programs without Cyrus SASL log in by `mailtoken token`, with what
docs/clients.md says, and the token is in no list of processes and no log."""

import os
import pwd
import shutil
import subprocess
from email import message_from_string
from pathlib import Path

import pexpect
import pytest

from lab import exim, imap, mailbox, maildir
from lab.agent import BUILD, client_environment
from lab.arguments import Watcher
from lab.page import Page
from lab.wait import until

SECTION = "With `mailtoken token`"
ANNA = "anna@contoso.example"
RELAY = "relay@contoso.example"
USER = pwd.getpwnam("nobody")
TO = "inbox@fabrikam.example"
MESSAGES = 3
LONG, SHORT = 2500, 300         # bytes of a token; see mutt on the page
TIMEOUT_S = 40
FILES = {"mutt": ".muttrc", "msmtp": ".msmtprc", "git": ".gitconfig",
         "nmh": ".mh_profile", "getmail": "getmailrc",
         "mpop": ".mpoprc", "offlineimap": ".offlineimaprc"}


class Home:
    """Of a user who follows the page, with nothing but its files."""

    def __init__(self, lab, page):
        self.lab, self.page = lab, page
        self.directory = lab.directory / "home"
        self.directory.mkdir(mode=0o700)
        self.programs = lab.directory / "bin"
        self.programs.mkdir(mode=0o755)
        shutil.copy(BUILD / "mailtoken", self.programs)
        self.environment = client_environment(
            HOME=str(self.directory), TERM="xterm", USER=USER.pw_name,
            MAILTOKEN_SOCKET=str(lab.socket),
            CURL_CA_BUNDLE=str(lab.ca.certificate), TMPDIR=str(self.directory))
        self.environment["PATH"] = (
            f"{self.programs}:/usr/bin/mh:" + self.environment["PATH"])
        for name, path in FILES.items():
            self.write(path, self.block(name))
        self.own()

    def block(self, name: str) -> str:
        ports, submission = self.lab.mailhost.ports, self.lab.up.port
        # Each program its own way to name a host and a port.
        block = self.page.block(name, {
            "outlook.office365.com": "localhost",
            "smtp.office365.com": "localhost",
            "/etc/ssl/certs/ca-certificates.crt": self.lab.ca.certificate})
        for port, here in ((993, ports.imaps), (995, ports.pop3s),
                           (587, submission)):
            block = block.replace(str(port), str(here))
        return block

    def write(self, name: str, text: str):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)

    def own(self):
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, USER.pw_uid, USER.pw_gid)

    def run(self, *argv, give: str = "", **more) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(a) for a in argv], input=give, text=True, errors="replace",
            capture_output=True, timeout=TIMEOUT_S, cwd=self.directory,
            env=self.environment | more, user=USER.pw_uid, group=USER.pw_gid,
            extra_groups=[])

    def do(self, *argv, **kw) -> str:
        done = self.run(*argv, **kw)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def shell(self, name: str) -> str:
        return self.do("sh", "-euc", self.block(name))

    def terminal(self, *argv) -> pexpect.spawn:
        return pexpect.spawn(
            "setpriv", [f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}",
                        "--clear-groups", *map(str, argv)],
            cwd=self.directory, env=self.environment, timeout=TIMEOUT_S,
            dimensions=(24, 80), encoding="utf-8", codec_errors="replace")

    def maildir(self, name: str):
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        for sub in ("cur", "new", "tmp"):
            (path / sub).mkdir(parents=True)
        self.own()
        return path


@pytest.fixture(scope="module")
def page():
    return Page("clients.md", SECTION)


@pytest.fixture(scope="module")
def home(shared_lab, page):
    lab = shared_lab
    imap.ensure_mail_user()
    lab.start_idp(size=LONG)
    lab.start_upstream()
    lab.mailhost = imap.upstream(lab.directory / "mailhost", lab.ca,
                                 lab.idp.introspection_url, lab.up.port)
    lab.ends.callback(lab.mailhost.stop)
    lab.mailhost.start()
    agent = lab.make_agent({
        ANNA: lab.delegated(services="imap pop smtp", allow=USER.pw_name),
        RELAY: lab.delegated(allow=exim.UID)}, sockets=[lab.socket])
    for name in (ANNA, RELAY):
        agent.do("import", name, give=lab.idp.login(name), agent=False)
    agent.start()
    mailbox.fill(lab.mailhost, ANNA, MESSAGES)
    made = Home(lab, page)
    with Watcher(USER.pw_uid) as watcher:
        made.watcher = watcher
        yield made


@pytest.fixture
def short(home):
    """Tokens that may stand in one line with AUTH."""
    home.lab.idp.set(bytes=SHORT)
    home.lab.agent.do("refresh", ANNA)
    yield
    home.lab.idp.set(bytes=LONG)
    home.lab.agent.do("refresh", ANNA)


def arrived(home, subject: str):
    until(lambda: any(subject in s for s in home.lab.arrived()), 20,
          f"the message {subject!r}")
    assert f"sasl_method=XOAUTH2, sasl_username={ANNA}" in home.lab.up.text()


def logins(home, service: str) -> int:
    """By a token, at the mail host."""
    return home.lab.mailhost.text().count(
        f"{service}-login: Info: Login: user=<{ANNA}>, method=XOAUTH2")


def test_the_token_is_a_long_one(home):
    assert len(home.do("mailtoken", "token", ANNA)) > LONG


@pytest.mark.parametrize("program, service", [
    ("mutt", "imap"), ("mutt", "pop3"), ("neomutt", "imap")])
def test_mutt_reads(home, program, service):
    before = logins(home, service)
    more = home.block("mutt-pop") if service == "pop3" else ""
    home.write("rc", home.block("mutt") + more)
    home.own()
    mutt = home.terminal(program, "-F", home.directory / "rc")
    try:
        mutt.expect(f"INBOX {MESSAGES - 1}")
        mutt.send("q")
        mutt.expect([pexpect.EOF])
    finally:
        mutt.close(force=True)
    assert logins(home, service) == before + 1


def mutt_sends(home, program):
    return home.run(program, "-F", home.directory / ".muttrc", "-s",
                    f"by {program},", TO, give="Hello.\n")


def test_mutt_sends(home):
    assert mutt_sends(home, "mutt").returncode == 0
    arrived(home, "by mutt,")


def test_neomutt_sends_a_short_token(home, short):
    assert mutt_sends(home, "neomutt").returncode == 0
    arrived(home, "by neomutt,")


def test_neomutt_sends_no_long_token_to_postfix(home):
    assert mutt_sends(home, "neomutt").returncode != 0
    assert "request longer than 2048: AUTH XOAUTH2" in home.lab.up.text()


def test_msmtp(home):
    home.do("msmtp", "-t", give=f"To: {TO}\nSubject: by msmtp\n\nHello.\n")
    arrived(home, "by msmtp")


def test_git_send_email(home):
    home.write("0001.patch", f"From 0123456789 Mon Sep 17 00:00:00 2001\n"
               f"From: Anna <{ANNA}>\nDate: Sun, 22 Nov 2026 08:00:00 +0000\n"
               "Subject: [PATCH] by git\n\nText.\n---\n a | 1 +\n")
    home.own()
    home.do("git", "send-email", "--to", TO, "--quiet", "--confirm=never",
            "0001.patch", EMAIL=ANNA)
    arrived(home, "by git")


def test_nmh(home):
    (home.directory / "Mail").mkdir(mode=0o700)
    home.write("draft", f"From: {ANNA}\nTo: {TO}\nSubject: by nmh\n"
               "--------\nHello.\n")
    home.own()
    home.do("send", home.directory / "draft")
    arrived(home, "by nmh")
    inbox = home.maildir("Maildir")
    (inbox / "new" / "1.x").write_text(f"From: {ANNA}\nSubject: in\n\nHello.\n")
    home.own()
    assert " in" in home.do("inc", "-file", inbox)


@pytest.mark.parametrize("service, command", [
    ("imap", ["getmail", "-g", "{home}", "-q"]), ("pop3", ["mpop", "-q"])],
    ids=["getmail", "mpop"])
def test_fetch_into_a_maildir(home, service, command):
    before = logins(home, service)
    inbox = home.maildir("Maildir")
    home.do(*(word.format(home=home.directory) for word in command))
    assert len(maildir.messages(inbox)) == MESSAGES
    assert logins(home, service) == before + 1


def test_offlineimap(home):
    before = logins(home, "imap")
    home.do("offlineimap", "-o", "-u", "quiet")
    inbox = home.directory / "Mail" / "anna" / "INBOX"
    assert len([*inbox.glob("*/*:*")]) == MESSAGES
    assert logins(home, "imap") > before


def test_curl_imap(home):
    text = home.shell("curl-imap")
    assert message_from_string(text)["Subject"].startswith("INBOX ")


def test_curl_pop(home):
    lines = home.shell("curl-pop").splitlines()
    assert [line.split()[0] for line in lines] == [
        str(i + 1) for i in range(MESSAGES)]


def test_curl_smtp(home):
    home.write("message", f"To: {TO}\nSubject: by curl\n\nHello.\n")
    home.own()
    home.shell("curl-smtp")
    arrived(home, "by curl")


def test_what_has_no_mechanism_for_tokens(home):
    """What the page says of them is still so."""
    for program in ("fetchmail", "swaks"):
        code = Path("/usr/bin", program).read_bytes().upper()
        assert b"OAUTH" not in code and b"BEARER" not in code, program
    home.write("rc", 'set pop_authenticators = "xoauth2"\n')
    home.own()
    refused = home.run("neomutt", "-F", home.directory / "rc", "-Q", "from")
    assert "not a valid authenticator" in refused.stdout + refused.stderr


@pytest.mark.parametrize("command", [
    ["msmtp", TO], ["getmail", "-g", "{home}", "-q"], ["offlineimap", "-o"],
    ["mpop", "-q"],
    ["sh", "-euc", "{curl}"]], ids=lambda c: c[0])
def test_no_token_is_an_error_and_no_wait(home, command):
    home.maildir("Maildir")
    words = {"home": home.directory, "curl": home.block("curl-pop")}
    done = home.run(*(word.format(**words) for word in command),
                    give="Subject: never\n\n", MAILTOKEN_SOCKET="/nonexistent")
    assert done.returncode != 0, (done.stdout, done.stderr)


def test_exim(home, page):
    lab = home.lab
    with Watcher(exim.UID) as watcher:
        relay = exim.Exim(lab, page)
        relay.send(RELAY, TO, "by exim")
        until(lambda: any("by exim" in s for s in lab.arrived()), 20,
              "exim's message")
        assert f"sasl_method=XOAUTH2, sasl_username={RELAY}" in lab.up.text()
        lab.agent.stop()
        relay.send(RELAY, TO, "later")
        assert " defer " in relay.text() and " ** " not in relay.text()
        assert "later" not in " ".join(lab.arrived())
        lab.agent.start()
    seen = relay.text() + watcher.text()
    assert watcher.seen
    assert not any(token in seen for token in lab.idp.issued())


def test_no_token_in_arguments_and_logs(home):
    watcher = home.watcher
    canary = "canary-among-arguments"
    home.do("sh", "-c", f"sleep 0.3; : {canary}")
    until(lambda: canary in watcher.text(), 5, "the watcher to see it")
    seen = watcher.text() + " ".join(home.lab.logs().values())
    tokens = home.lab.idp.issued()
    assert len(tokens) >= 4
    assert not any(token in seen for token in tokens)
    assert {"mutt", "neomutt", "msmtp", "mpop", "curl", "sh",
            "python3"} <= watcher.programs()


def test_nothing_was_left_out(page):
    assert page.used == set(page.blocks)
