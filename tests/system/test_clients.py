"""Debian's mail programs with Cyrus SASL, unchanged, with the plugin: the
configurations of docs/clients.md against a mail host that takes tokens."""

import shutil
import subprocess

import pytest

from lab import clients, mailbox
from lab.clients import USER, Clients
from lab.sendmail import Sendmail
from lab.wait import until

SIZE = 400
LONG = 2500         # bytes
LIFE = 3
PULL_S = 4          # without the cuts: longer than a token lives
NOT_HERE = "mailtoken:nobody@contoso.example"
CUT = {"bye": "AccessTokenExpired", "hard": "unexpected EOF"}
BEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"


@pytest.fixture(scope="module")
def world(dovecots):
    dovecots.begin()
    dovecots.plugins().chmod(0o755)
    return dovecots


@pytest.fixture(scope="module")
def anna(world):
    made = Clients(world)
    mailbox.fill(world.upstream, USER, 20)
    return made


def served(world, who: Clients, service: str) -> int:
    """How often the agent gave the plugin a token for this."""
    return sum(e["service"] == service and e["result"] == "ok"
               for e in world.agent.events("token", who.user)
               if "service" in e)


# imtest, smtptest, pop3test

TRIALS = {"imtest": ("imap", ". LOGOUT\r\n"), "smtptest": ("smtp", "QUIT\r\n"),
          "pop3test": ("pop", "QUIT\r\n")}


def trial(who: Clients, name: str, changes: dict):
    command = who.configuration("sh", name, changes)
    done = who.run("sh", "-c", "exec " + command, give=TRIALS[name][1])
    return done.stdout


@pytest.mark.parametrize("mech", [XOAUTH2, BEARER, None], ids=str)
@pytest.mark.parametrize("name", TRIALS)
def test_trial(world, anna, name, mech):
    """As the page has it, with the other mechanism, and with neither named."""
    before = served(world, anna, TRIALS[name][0])
    text = trial(anna, name, {"-m XOAUTH2": f"-m {mech}" if mech else ""})
    assert "\nAuthenticated.\n" in text
    used = mech or XOAUTH2
    assert f"AUTHENTICATE {used} " in text or f"AUTH {used} " in text
    assert served(world, anna, TRIALS[name][0]) == before + 1


@pytest.mark.parametrize("mech, answer", [(XOAUTH2, ""), (BEARER, "AQ==")])
def test_trial_refused(world, anna, mech, answer):
    """The plugin answers the server's error, and the session goes on."""
    text = trial(anna, "imtest", {"-m XOAUTH2": f"-m {mech}",
                                  "mailtoken:": "bad"})
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("S: + "))
    assert lines[at + 1] == f"C: {answer}"
    assert lines[at + 2].startswith("S: A01 NO ")
    assert "Authentication failed." in text and "BYE" in text


def test_trial_of_an_account_that_is_not_there(anna):
    text = trial(anna, "imtest", {"mailtoken:": NOT_HERE})
    assert "Authenticated." not in text and "AUTHENTICATE" not in text


# mbsync

class Mbsync:
    def __init__(self, who: Clients, changes: dict = None, imaps: int = None):
        self.who = who
        who.file(".mbsyncrc", who.configuration("mbsyncrc", "mbsync", changes,
                                                imaps))
        self.script = who.configuration("sh", "mbsync")
        self.inbox = who.home / "Mail" / "INBOX"

    def run(self, **kw):
        """Once, as the page's loop does."""
        (self.who.home / "Mail").mkdir(exist_ok=True)
        shutil.chown(self.who.home / "Mail", "vmail")
        return self.who.run("mbsync", "office365", **kw)

    def all(self):
        done = self.who.run("sh", "-c", self.script, timeout=100)
        assert done.returncode == 0, done.stdout[-2000:]
        return done

    def subjects(self) -> list:
        return sorted(subject(path.read_bytes())
                      for part in ("cur", "new")
                      for path in (self.inbox / part).iterdir())

    def put(self, messages: list):
        for number, text in enumerate(messages):
            path = self.inbox / "new" / f"1.{number}.here"
            path.write_bytes(text.replace(b"\r\n", b"\n"))
            shutil.chown(path, "vmail", "vmail")


def subject(message: bytes) -> str:
    head = message.partition(b"\n\n")[0].decode()
    return next(line.removeprefix("Subject: ").strip()
                for line in head.splitlines() if line.startswith("Subject: "))


def upstream_subjects(world, user: str) -> list:
    client = mailbox.login(world.upstream, user, timeout=60)
    client.select("INBOX", readonly=True)
    data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    client.logout()
    return sorted(subject(part[1]) for part in data if isinstance(part, tuple))


@pytest.fixture
def short_lives(world):
    world.idp.set(life=LIFE)
    yield
    world.idp.set(life=3600)


@pytest.mark.parametrize("manner, messages", [("bye", 1000), ("hard", 200)])
def test_mbsync_outlives_its_tokens(world, short_lives, manner, messages):
    """Every message comes down once, and all go up, although the server ends
    sessions when their token expires."""
    who = Clients(world, f"{manner}@contoso.example")
    mailbox.fill(world.upstream, who.user, messages, size=SIZE)
    front = world.front(manner=manner, rate=messages * 640 // PULL_S)
    mbsync = Mbsync(who, imaps=front.port)
    said = mbsync.all().stdout
    assert front.cuts >= 1 and len(set(front.tokens)) >= max(2, front.cuts)
    assert CUT[manner] in said
    pulled = sorted(f"INBOX {i}" for i in range(messages))
    assert mbsync.subjects() == pulled

    front.rate = 0
    mbsync.put([mailbox.message(i, "pushed", SIZE) for i in range(messages)])
    mbsync.all()
    # What mbsync had sent without having heard of it is there twice.
    both = set(pulled) | {f"pushed {i}" for i in range(messages)}
    assert set(upstream_subjects(world, who.user)) == both
    assert set(mbsync.subjects()) == both and not front.failures


def test_mbsync_with_a_token_that_is_revoked(world):
    """A clean error; and since the plugin told the agent, once."""
    who = Clients(world, "revoked@contoso.example")
    mbsync = Mbsync(who)
    world.idp.revoke(who.token())
    done = mbsync.run()
    assert done.returncode == 1 and "AUTHENTICATIONFAILED" in done.stdout
    assert world.agent.events("reject", who.user)
    until(lambda: mbsync.run().returncode == 0, 10, "a login")


@pytest.mark.parametrize("mech", [XOAUTH2, BEARER])
def test_mbsync_refused(anna, mech):
    mbsync = Mbsync(anna, {"mailtoken:": "bad", XOAUTH2: mech})
    done = mbsync.run()
    assert done.returncode == 1
    assert f"'AUTHENTICATE {mech} " in done.stdout
    assert "NO [AUTHENTICATIONFAILED]" in done.stdout


def test_mbsync_without_agent(anna):
    done = Mbsync(anna).run(MAILTOKEN_SOCKET="/nonexistent")
    assert done.returncode == 1 and "start mailtokend" in done.stdout


# Perl

def perl(who: Clients, changes: dict):
    program = who.file("send.pl", who.configuration("perl", "perl", changes))
    return who.run("perl", program)


def test_perl(world, anna):
    before, messages = served(world, anna, "smtp"), len(world.fake.messages)
    for mech in (XOAUTH2, BEARER):
        done = perl(anna, {XOAUTH2: mech})
        assert done.returncode == 0, done.stdout
    assert served(world, anna, "smtp") == before + 2
    assert len(world.fake.messages) == messages + 2


def test_perl_refused(anna):
    done = perl(anna, {"mailtoken:": "bad"})
    assert done.returncode != 0 and "no login: 5.7.8" in done.stdout


# libetpan

@pytest.fixture(scope="module")
def etpan(anna, tmp_path_factory):
    headers, library = clients.unpacked("libetpan-dev", "libetpan20")
    library = next(library.glob("usr/lib/*/libetpan.so.20")).parent
    program = anna.world.directory / "etpanhost"
    source = clients.UNPACK.parent / "hosts" / "etpanhost.c"
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-isystem",
         headers / "usr/include", "-o", program, source, f"-L{library}",
         "-l:libetpan.so.20", f"-Wl,-rpath,{library}"], check=True, timeout=60)

    def run(mech: str, password: str, **environment):
        return anna.run(program, mech, "127.0.0.1",
                        anna.world.upstream.ports.imaps,
                        anna.world.ca.certificate, USER, password,
                        **environment)
    return run


@pytest.mark.parametrize("mech", [XOAUTH2, BEARER])
def test_libetpan(etpan, mech):
    done = etpan(mech, "mailtoken:")
    assert done.returncode == 0 and "messages=20\n" in done.stdout
    done = etpan(mech, "bad")
    assert done.returncode == 1 and "Authentication failed" in done.stdout
    done = etpan(mech, "mailtoken:", MAILTOKEN_SOCKET="/nonexistent")
    assert done.returncode == 1 and "authenticate rc=" in done.stdout


# sendmail

@pytest.fixture(scope="module")
def sendmail(anna):
    return Sendmail(anna)


def test_sendmail(world, anna, sendmail):
    before, messages = served(world, anna, "smtp"), len(world.fake.messages)
    text = sendmail.send()
    assert ">>> AUTH XOAUTH2 " in text and "Sent (Ok)" in text
    assert text.index(">>> STARTTLS") < text.index(">>> AUTH")
    assert served(world, anna, "smtp") == before + 1
    assert len(world.fake.messages) == messages + 1


def test_sendmail_gives_no_token_to_anybody(anna, sendmail):
    """Without a certificate that it knows, the mail waits."""
    path = sendmail.directory / "sendmail.cf"
    text = path.read_text()
    path.write_text(text.replace(str(anna.world.ca.certificate),
                                 "/etc/ssl/certs/ca-certificates.crt"))
    said = sendmail.send()
    path.write_text(text)
    assert "AUTH XOAUTH2 " not in said and "Deferred" in said


def test_sendmail_without_agent(sendmail, tmp_path):
    assert "Deferred: Temporary AUTH failure" in sendmail.send(agent=tmp_path)


def test_sendmail_refused(anna, sendmail):
    """It goes on without a login, as the page warns."""
    entry = anna.configuration("authinfo", "sendmail-authinfo")
    sendmail.map("authinfo", entry.replace("mailtoken:", "bad"))
    text = sendmail.send()
    sendmail.map("authinfo", entry)
    assert "535 5.7.8" in text and "530 5.7.0 Authentication" in text


# Tokens as long as Entra ID's

@pytest.fixture
def long_token(world, anna):
    for size in (LONG, 0):
        world.idp.set(bytes=size)
        world.agent.do("refresh", USER)
        if size:
            yield anna.token()


def test_long_tokens(anna, etpan, sendmail, long_token):
    """Whom they fit; sendmail cuts them."""
    assert len(long_token) >= LONG
    assert Mbsync(anna).run().returncode == 0
    assert etpan(XOAUTH2, "mailtoken:").returncode == 0
    assert "\nAuthenticated.\n" in trial(anna, "imtest", {})
    text = sendmail.send()
    assert "AUTH XOAUTH2 " in text and "530 5.7.0 Authentication" in text
