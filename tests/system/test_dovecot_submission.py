"""Dovecot: the submission service relays with XOAUTH2."""

import smtplib
import time
from email.message import EmailMessage

import pytest

from lab.fakesmtp import FakeSmtp
from lab.imap import LOCAL_PASSWORD
from lab.dovecots import name_of
from lab.wait import until

BLOCKS = ["base", "submission"]
DEADLINE_S = 10
SHORT, LONG = 0, 6000


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin()


@pytest.fixture
def make(world, request):
    name = name_of(request)

    def made(size: int = SHORT, **kw):
        world.idp.set(bytes=size)
        user = world.account(f"{name}@contoso.example")
        down = world.downstream(name, BLOCKS, {user: ""}, start=False, **kw)
        request.addfinalizer(down.stop)
        return user, down.start()
    return made


def send(down, user: str, subject: str = "one"):
    """One message; raises smtplib's errors."""
    message = EmailMessage()
    message["From"], message["To"] = user, "inbox@fabrikam.example"
    message["Subject"] = subject
    message.set_content("Hello.\n" * 20)
    with smtplib.SMTP("127.0.0.1", down.ports.submission,
                      "localhost", 40) as smtp:
        smtp.login(user, LOCAL_PASSWORD)
        smtp.send_message(message)


def refused(down, user: str) -> smtplib.SMTPResponseException:
    with pytest.raises(smtplib.SMTPException) as info:
        send(down, user)
    error = info.value
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return smtplib.SMTPResponseException(*error.recipients.popitem()[1])
    return error


def unharmed(down):
    assert "killed with signal" not in down.text()
    assert "Panic" not in down.text() and "Fatal" not in down.text()


@pytest.mark.parametrize("size", [SHORT, LONG])
def test_relay(world, make, size):
    user, down = make(size)
    for _ in range(3):
        send(down, user)
    assert world.fake.messages.count(user) == 3
    assert len(world.agent.do("token", user).strip()) >= size
    assert world.agent.events("token", user)
    unharmed(down)


@pytest.mark.parametrize("size", [SHORT, LONG])
@pytest.mark.parametrize("mode", ["dovecot", "535", "challenge", "454"])
def test_refused(world, make, mode, size, request):
    """A temporary error for the client, whose mail program tries again; the
    process lives, and the next message goes out."""
    if mode == "dovecot":
        user, down = make(size)
        world.idp.revoke(world.agent.do("token", user).strip())
    else:
        fake = FakeSmtp(mode)
        request.addfinalizer(fake.stop)
        user, down = make(size, submission_port=fake.port,
                          extra="submission_relay_ssl = no\n")
    error = refused(down, user)
    assert 400 <= error.smtp_code < 500, error
    unharmed(down)
    if mode == "dovecot":
        world.agent.do("refresh", user)
    else:
        fake.mode = "ok"
    until(lambda: sent(down, user), 30, "the next message")
    unharmed(down)


def sent(down, user) -> bool:
    try:
        send(down, user)
    except smtplib.SMTPException:
        return False
    return True


def test_challenge_is_reported(world, make, request):
    """The agent renews what the server's challenge refused."""
    fake = FakeSmtp("challenge")
    request.addfinalizer(fake.stop)
    user, down = make(submission_port=fake.port,
                      extra="submission_relay_ssl = no\n")
    refused(down, user)
    bad = fake.logins[0].token
    fake.mode = "ok"
    until(lambda: world.agent.do("token", user).strip() != bad, 10,
          "another token")
    send(down, user)
    assert fake.logins[-1].token != bad


def test_other_relays_are_as_before(world, make, request):
    """A password that is not a reference: PLAIN, as without the module."""
    user, down = make(extra=f"submission_relay_user = {user_of(request)}\n"
                      f"submission_relay_password = {LOCAL_PASSWORD}\n")
    before = len(world.agent.events("token", user))
    send(down, user)
    assert len(world.agent.events("token", user)) == before
    assert "method=PLAIN" in world.upstream.text()


def user_of(request) -> str:
    return name_of(request) + "@contoso.example"


@pytest.mark.parametrize("kind", ["absent", "hanging"])
def test_no_agent(world, make, kind):
    user, down = make()
    since = time.monotonic()
    with world.trouble(kind):
        error = refused(down, user)
    assert time.monotonic() - since < 2 * DEADLINE_S
    assert 400 <= error.smtp_code < 500, error
    down.wait_words("mailtoken: account")
    send(down, user)
    unharmed(down)


def test_agent_slow_reloaded_and_restarted(world, make):
    user, down = make()
    with world.trouble("slow"):
        send(down, user)
    world.agent.do("reload")
    send(down, user)
    world.agent.stop()
    world.agent.start()
    send(down, user)
    unharmed(down)
