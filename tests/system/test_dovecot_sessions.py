"""Dovecot: IMAP and POP3 sessions on imapc storage."""

import imaplib
import poplib
import re
import time

import pytest

from lab import documented, exchange, imap, mailbox
from lab.imap import LOCAL_PASSWORD
from lab.dovecots import name_of
from lab.wait import until

LIFE = 5
DEADLINE_S = 10
BLOCKS = ["base", "imapc", "smart-proxy"]


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin(life=LIFE)


@pytest.fixture
def make(world, request):
    """A mailbox upstream, and a Dovecot that shows it."""
    name = name_of(request)

    def made(front=None, extra: str = "", userdb: str = "", **kw):
        user = world.account(f"{name}@contoso.example")
        mailbox.fill(world.upstream, user, 20)
        down = world.downstream(name, BLOCKS, {user: userdb}, extra=extra,
                                port=front and front.port, start=False, **kw)
        request.addfinalizer(down.stop)
        return user, down.start()
    return made


def subjects(client: imaplib.IMAP4, words: str = "Subject") -> int:
    client.select("INBOX")
    status, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert status == "OK"
    return sum(words.encode() in part[1] for part in data
               if isinstance(part, tuple))


@pytest.mark.parametrize("manner", ["bye", "hard"])
def test_a_session_outlives_its_tokens(world, make, manner):
    front = world.front(manner=manner)
    user, down = make(front)
    client = mailbox.login(down, user)
    number = 20
    end = time.monotonic() + 8 * LIFE
    while front.cuts < 3:
        assert time.monotonic() < end, "three expiries"
        assert subjects(client) == number
        mailbox.fill(world.upstream, user, 1)
        number += 1
        time.sleep(0.7)
    assert subjects(client) == number
    client.logout()
    assert len(set(front.tokens)) > 3


def test_idle_across_an_expiry(world, make):
    front = world.front(manner="bye")
    user, down = make(front)
    client = mailbox.login(down, user)
    client.select("INBOX")
    client.send(b"idle IDLE\r\n")
    assert client.readline().startswith(b"+")
    until(lambda: front.cuts, 3 * LIFE, "an expiry")
    until(lambda: len(front.tokens) > 1, 2 * LIFE, "another login")
    mailbox.fill(world.upstream, user, 1)
    client.sock.settimeout(3 * LIFE)
    while b"21 EXISTS" not in (line := client.readline()):
        assert line.startswith(b"* "), line
    client.send(b"DONE\r\n")
    while not (line := client.readline()).startswith(b"idle "):
        assert line
    assert line.startswith(b"idle OK")
    client.logout()


def test_pop3(world, make):
    """The pop3 service on imapc storage, where a proxy would not do."""
    user, down = make(world.front(exchange.Imap))
    client = poplib.POP3("127.0.0.1", down.ports.pop3, timeout=30)
    client.user(user)
    client.pass_(LOCAL_PASSWORD)
    assert client.stat()[0] == 20
    assert b"Subject: INBOX 0" in client.retr(1)[1]
    client.dele(1)
    client.quit()
    there = mailbox.login(world.upstream, user)
    assert there.select("INBOX") == ("OK", [b"19"])
    there.logout()


def test_oauthbearer(world, make):
    user, down = make(extra="imapc_sasl_mechanisms = oauthbearer\n")
    assert subjects(mailbox.login(down, user)) == 20
    world.upstream.wait_words(f"user=<{user}>, method=OAUTHBEARER")


def test_another_accounts_token(world, make):
    """mailtoken:NAME, as for a shared mailbox."""
    line = documented.blocks()["users", "shared"].strip()
    userdb = line.split(":", 7)[7].replace("anna@contoso.example", "app")
    user, down = make(userdb=userdb)
    # An application has a token for any mailbox: here, for this one.
    world.idp.set(mailbox=user)
    world.application("app")
    assert subjects(mailbox.login(down, user)) == 20
    assert world.agent.events("token", "app")
    assert not world.agent.events("token", user)


def test_the_socket_in_the_settings(world, make):
    path = world.socket
    user, down = make(
        extra=f"plugin {{\n  mailtoken_socket = {path}\n}}\n"
        if imap.release() == "2.3" else f"mailtoken_socket_path = {path}\n",
        environment={"MAILTOKEN_SOCKET": "/nonexistent"})
    assert subjects(mailbox.login(down, user)) == 20


@pytest.mark.parametrize("password", ["token", "plain"])
def test_other_accounts_are_as_before(world, make, password):
    """The module is loaded, but the password is not a reference."""
    mechanism = "xoauth2" if password == "token" else "plain"
    user, down = make(extra=f"imapc_sasl_mechanisms = {mechanism}\n")
    secret = (world.agent.do("token", user).strip() if password == "token"
              else LOCAL_PASSWORD)
    imap.write_users(down.directory / "users",
                     {user: f"userdb_imapc_password={secret}"})
    before = len(world.agent.events("token", user))
    assert subjects(mailbox.login(down, user)) == 20
    assert len(world.agent.events("token", user)) == before


def login_fails(down, user):
    with pytest.raises(imaplib.IMAP4.error):
        client = mailbox.login(down, user)
        client.select("INBOX")
        raise client.error(str(client.select("INBOX")))


@pytest.mark.parametrize("mechanism, dummy", [
    ("xoauth2", b""), ("oauthbearer", b"AQ==")])
def test_a_refused_token(world, make, mechanism, dummy):
    """The challenge gets its answer, the server's words reach the log, and
    the next login has another token."""
    world.idp.set(life=600)
    try:
        front = world.front(kind=Watching)
        user, down = make(front, extra=f"imapc_sasl_mechanisms = {mechanism}\n")
        bad = world.agent.do("token", user).strip()
        world.idp.revoke(bad)
        login_fails(down, user)
        assert front.sent == [dummy]
        down.wait_words(f"server refused the token for {user}")
        until(lambda: world.agent.do("token", user).strip() != bad, 10,
              "another token")
        assert subjects(mailbox.login(down, user)) == 20
        assert front.tokens.count(bad) == 1
    finally:
        world.idp.set(life=LIFE)


class Watching(exchange.Front):
    """Notes what the client says after an error challenge."""

    def __init__(self, *args, **kw):
        self.sent = []
        super().__init__(*args, **kw)

    async def serve(self, session, reader, writer):
        up_reader, up_writer = await self.connect()
        await self.relay(session, _Tee(reader, self, session), _Noting(
            writer, session), up_reader, up_writer)


class _Noting:
    def __init__(self, writer, session):
        self.writer, self.session = writer, session
        session.challenged = False

    def write(self, data: bytes):
        if re.match(rb"\+ [A-Za-z0-9+/=]{8,}\r\n$", data):
            self.session.challenged = True
        self.writer.write(data)

    async def drain(self):
        await self.writer.drain()


class _Tee:
    def __init__(self, reader, front, session):
        self.reader, self.front, self.session = reader, front, session

    async def read(self, size: int) -> bytes:
        data = await self.reader.read(size)
        if self.session.challenged and data:
            self.session.challenged = False
            self.front.sent.append(data.rstrip(b"\r\n"))
        return data

    async def readuntil(self, end: bytes) -> bytes:
        return await self.reader.readuntil(end)


def test_exchange_refuses(world, make):
    front = world.front(exchange.Imap)
    user, down = make(front)
    world.idp.revoke(world.agent.do("token", user).strip())
    login_fails(down, user)
    assert front.refused == [b""]
    down.wait_words("AUTHENTICATE failed.")
    down.wait_words('{"status": "400"')


def test_exchange_throttles(world, make):
    """The words are in the log; the token is not blamed."""
    front = world.front(exchange.Imap)
    front.throttled = b"Connection is closed. 13"
    user, down = make(front)
    login_fails(down, user)
    down.wait_words("Connection is closed. 13")
    assert not world.agent.events("reject", user)
    front.throttled = None
    assert subjects(mailbox.login(down, user)) == 20


@pytest.mark.parametrize("kind", ["absent", "hanging"])
def test_no_agent(world, make, kind):
    user, down = make()
    since = time.monotonic()
    with world.trouble(kind):
        login_fails(down, user)
    assert time.monotonic() - since < 2 * DEADLINE_S
    down.wait_words("mailtoken: account")
    assert subjects(mailbox.login(down, user)) == 20


def test_slow_agent(world, make):
    user, down = make()
    with world.trouble("slow"):
        assert subjects(mailbox.login(down, user)) == 20


def test_agent_restarted_and_reloaded(world, make):
    front = world.front(manner="bye")
    user, down = make(front)
    client = mailbox.login(down, user)
    assert subjects(client) == 20
    world.agent.stop()
    world.agent.start()
    until(lambda: front.cuts, 3 * LIFE, "an expiry")
    assert subjects(client) == 20
    world.agent.do("reload")
    cuts = front.cuts
    until(lambda: front.cuts > cuts, 3 * LIFE, "another expiry")
    assert subjects(client) == 20
    client.logout()


def test_reload_with_an_open_session(world, make):
    front = world.front(manner="bye")
    user, down = make(front)
    client = mailbox.login(down, user)
    assert subjects(client) == 20
    down.do("reload")
    down.wait_words("SIGHUP received")
    until(lambda: front.cuts, 3 * LIFE, "an expiry")
    assert subjects(client) == 20           # the old process
    other = mailbox.login(down, user)
    assert subjects(other) == 20            # a new one
    client.logout()
    other.logout()
    assert "killed with signal" not in down.text()
