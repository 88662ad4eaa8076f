"""Dovecot: login proxies; the client has a local password, the server gets a
token."""

import imaplib
import poplib
import re
import smtplib
import threading
import time

import pytest

from lab import exchange, imap, mailbox
from lab.dovecots import name_of
from lab.imap import LOCAL_PASSWORD

BLOCKS = ["login-proxy"]
DEADLINE_S = 10
HERD = 200


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin()


@pytest.fixture
def user(world, request) -> str:
    """A mailbox upstream, whose owner the agent knows."""
    name = world.account(name_of(request) + "@contoso.example")
    mailbox.fill(world.upstream, name, 5)
    return name


@pytest.fixture
def make(world, user, request):
    def made(change=None, fields: str = "", **kw):
        """change: of the configuration's text; fields: of the user's line."""
        down = world.downstream(name_of(request), BLOCKS, {user: fields},
                                start=False, **kw)
        if change:
            down.conf.write_text(change(down.conf.read_text()))
        request.addfinalizer(down.stop)
        return down.start()
    return made


@pytest.fixture
def proxy(make):
    return make()


class Refused(Exception):
    pass


def by_imap(down, user, password=LOCAL_PASSWORD):
    client = imaplib.IMAP4("127.0.0.1", down.ports.imap, timeout=60)
    try:
        client.login(user, password)
        assert client.select("INBOX") == ("OK", [b"5"])
    except client.error as e:
        raise Refused(str(e)) from e
    finally:
        client.shutdown()


def by_pop3(down, user, password=LOCAL_PASSWORD):
    client = poplib.POP3("127.0.0.1", down.ports.pop3, timeout=60)
    try:
        client.user(user)
        client.pass_(password)
        assert client.stat()[0] == 5
    except poplib.error_proto as e:
        raise Refused(str(e)) from e
    finally:
        client.close()


def by_submission(down, user, password=LOCAL_PASSWORD):
    client = smtplib.SMTP("127.0.0.1", down.ports.submission,
                          "localhost", 60)
    try:
        client.login(user, password)
        assert client.mail(user)[0] == 250
    except (smtplib.SMTPResponseException,
            smtplib.SMTPServerDisconnected) as e:
        raise Refused(str(e)) from e
    finally:
        client.close()


BY = {"imap": by_imap, "pop3": by_pop3, "submission": by_submission}
# How each protocol says that it is not the password.
TEMPORARY = {"imap": r"\[UNAVAILABLE\]", "pop3": r"\[SYS/TEMP\]",
             "submission": r"\(4\d\d,|454"}
FOR_AGENT = {"imap": "imap", "pop3": "pop", "submission": "smtp"}


@pytest.mark.parametrize("protocol", BY)
def test_login(world, proxy, user, protocol):
    BY[protocol](proxy, user)
    events = world.agent.events("token", user)
    assert [e["service"] for e in events] == [FOR_AGENT[protocol]]
    assert f"user=<{user}>, method=XOAUTH2" in world.upstream.text()


@pytest.mark.parametrize("protocol", BY)
def test_wrong_password(world, proxy, user, protocol):
    """The agent is not even asked."""
    with pytest.raises(Refused) as info:
        BY[protocol](proxy, user, "wrong")
    assert not re.search(TEMPORARY[protocol], str(info.value))
    assert not world.agent.events("token", user)


@pytest.mark.parametrize("protocol", BY)
@pytest.mark.parametrize("kind", ["absent", "hanging"])
def test_no_agent(world, proxy, user, protocol, kind):
    since = time.monotonic()
    with world.trouble(kind), pytest.raises(Refused) as info:
        BY[protocol](proxy, user)
    assert time.monotonic() - since < 2 * DEADLINE_S
    assert re.search(TEMPORARY[protocol], str(info.value)), info.value
    proxy.wait_words("mailtoken: account")
    BY[protocol](proxy, user)


@pytest.mark.parametrize("protocol", BY)
def test_refused_upstream(world, proxy, user, protocol):
    world.idp.revoke(world.agent.do("token", user).strip())
    since = time.monotonic()
    with pytest.raises(Refused):
        BY[protocol](proxy, user)
    assert time.monotonic() - since < DEADLINE_S
    world.agent.do("refresh", user)
    BY[protocol](proxy, user)


def test_without_a_password_check(world, make, user):
    """The token's passdb alone lets nobody in."""
    def open_door(text: str) -> str:
        text, n = re.subn(r"passdb (passwd-file )?\{.*?\n\}\n", "", text,
                          count=1, flags=re.S)
        assert n == 1 and "skip = unauthenticated" in text
        return text.replace("skip = unauthenticated", "")
    proxy = make(open_door)
    for password in (LOCAL_PASSWORD, "wrong"):
        with pytest.raises(Refused):
            by_imap(proxy, user, password)
    assert not world.agent.events("token", user)
    proxy.wait_words("has authenticated the user")


def test_another_accounts_token(world, make, user):
    """A field of the first passdb, as for a shared mailbox."""
    world.idp.set(mailbox=user)
    world.application("app")
    by_imap(make(fields="pass=mailtoken:app"), user)
    assert world.agent.events("token", "app")
    assert not world.agent.events("token", user)


def test_the_socket_in_the_settings(world, make, user):
    def change(text: str) -> str:
        if imap.release() == "2.3":
            return text.replace("driver = mailtoken",
                                f"driver = mailtoken\n  args = socket={path}")
        return text + f"mailtoken_socket_path = {path}\n"
    path = world.socket
    by_imap(make(change, environment={"MAILTOKEN_SOCKET": "/nonexistent"}),
            user)


def test_agent_slow_reloaded_and_restarted(world, proxy, user):
    with world.trouble("slow"):
        by_imap(proxy, user)
    world.agent.do("reload")
    by_imap(proxy, user)
    world.agent.stop()
    world.agent.start()
    by_imap(proxy, user)


def test_agent_dies(world, proxy, user):
    """The one that was asked: the next one is, before anybody notices."""
    with world.trouble("dying") as dying:
        by_imap(proxy, user)
    assert dying.requests == 2


def test_agents_die(world, proxy, user):
    """Once more, and not again and again."""
    since = time.monotonic()
    with world.trouble("dead") as dead, pytest.raises(Refused) as info:
        by_imap(proxy, user)
    assert time.monotonic() - since < DEADLINE_S
    assert re.search(TEMPORARY["imap"], str(info.value)), info.value
    proxy.wait_words("broke off twice without a whole answer")
    assert dead.requests == 2
    by_imap(proxy, user)


def test_stop_while_the_agent_hangs(world, proxy, user):
    """Pending lookups end; nothing is killed."""
    with world.trouble("hanging") as hanging:
        threads = [threading.Thread(target=lambda: swallow(by_imap, proxy, user))
                   for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        since = time.monotonic()
        proxy.stop()
        assert time.monotonic() - since < DEADLINE_S
        for thread in threads:
            thread.join(30)
        assert hanging.asked
    for bad in ("Panic", "killed with signal", "Leaked"):
        assert bad not in proxy.text()


def swallow(job, *args):
    try:
        job(*args)
    except Exception:
        pass


def test_herd(world, proxy, user):
    """Two hundred at once."""
    errors = []

    def one():
        try:
            by_imap(proxy, user)
        except Exception as e:      # whatever it is, it counts
            errors.append(repr(e))
    requests = world.idp.count()
    threads = [threading.Thread(target=one) for _ in range(HERD)]
    since = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors, (len(errors), errors[:3])
    assert time.monotonic() - since < 60
    assert len(world.agent.events("token", user)) == HERD
    assert world.idp.count() == requests


def test_exchange(world, make, user):
    """IMAP by proxy works there; POP3 does not: Exchange wants the response
    on a line of its own, and Dovecot has it on the first."""
    imap_front, pop3_front = (world.front(exchange.Imap), world.front(
        exchange.Pop3, port=world.upstream.ports.pop3))
    proxy = make(port=imap_front.port, pop3_port=pop3_front.port)
    by_imap(proxy, user)
    with pytest.raises(Refused):
        by_pop3(proxy, user)
    proxy.wait_words("Protocol error")
